import { expect } from 'vitest';
import type { ContractCase } from './contract.ts';
import type { StateStoreSubject } from './stateStore.contract.ts';

const product = (id: string, text = `text of ${id}`) => ({ id, text });

export const productCases: readonly ContractCase<StateStoreSubject>[] = [
  {
    name: 'tells which products were new, which changed and which stayed, in the order given',
    async run({ store: { products } }) {
      expect(await products.put([product('tent'), product('stove')])).toEqual(['CREATED', 'CREATED']);
      expect(await products.put([product('lamp'), product('tent', 'cheaper'), product('stove')])).toEqual([
        'CREATED',
        'CHANGED',
        'UNCHANGED',
      ]);
      expect(await products.put([])).toEqual([]);
    },
  },
  {
    name: 'writes a product that is given twice in one call twice: the last stands',
    async run({ store: { products } }) {
      expect(await products.put([product('tent', 'a'), product('tent', 'b')])).toEqual(['CREATED', 'CHANGED']);
      expect(await products.read(['tent'])).toEqual(['b']);
      expect((await products.status()).products).toBe(1);
    },
  },
  {
    name: 'reads products in the order asked, and null for one that is not there',
    async run({ store: { products } }) {
      await products.put([product('tent'), product('Zelt ä \u{1f600}')]);
      expect(await products.read(['Zelt ä \u{1f600}', 'nothing', 'tent'])).toEqual([
        'text of Zelt ä \u{1f600}',
        null,
        'text of tent',
      ]);
      expect(await products.read([])).toEqual([]);
    },
  },
  {
    name: 'lists products by their last change, in pages, so that whoever goes on misses none',
    async run({ store: { products } }) {
      await products.put(['a', 'b', 'c', 'd'].map((id) => product(id)));
      const first = await products.readChanged(0, 2);
      expect(first.map(({ id }) => id)).toEqual(['a', 'b']);
      await products.put([product('a', 'again'), product('c')]);
      const rest = await products.readChanged(first[1]!.revision, 10);
      expect(rest.map(({ id, text }) => [id, text])).toEqual([
        ['c', 'text of c'],
        ['d', 'text of d'],
        ['a', 'again'],
      ]);
      const { revision } = await products.status();
      expect(rest.at(-1)!.revision).toBe(revision);
      expect(await products.readChanged(revision, 10)).toEqual([]);
    },
  },
  {
    name: 'lets one of two that publish at once win, and refuses who did not know what stood',
    async run({ store: { products } }) {
      expect(await products.status()).toEqual({ products: 0, revision: 0, published: null });
      const both = await Promise.all([products.publish(null, 'one'), products.publish(null, 'two')]);
      expect(both.toSorted()).toEqual([false, true]);
      const stands = both[0] ? 'one' : 'two';
      expect((await products.status()).published).toBe(stands);
      expect(await products.publish('another', 'three')).toBe(false);
      expect(await products.publish(stands, 'three')).toBe(true);
      // Its own repeat, as after a lost reply.
      expect(await products.publish(stands, 'three')).toBe(true);
      expect((await products.status()).published).toBe('three');
    },
  },
  {
    name: 'still has products, their revisions and what is published after it was opened again',
    async run({ store, reopen }) {
      await store.products.put([product('tent')]);
      await store.products.publish(null, 'one');
      const { products } = await reopen();
      expect(await products.status()).toEqual({ products: 1, revision: 1, published: 'one' });
      expect(await products.put([product('tent'), product('stove')])).toEqual(['UNCHANGED', 'CREATED']);
      expect((await products.status()).revision).toBe(2);
    },
  },
];
