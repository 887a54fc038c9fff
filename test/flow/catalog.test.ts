import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import { Shopper } from './shopper.ts';

const upsert = `mutation ($products: [ProductInput!]!) { upsertProducts(input: { products: $products }) {
  outcomes { id status error { code message path } } } }`;

interface Product {
  readonly id: string;
  readonly [field: string]: unknown;
}

describePair('imported products', () => {
  let usher: WholeUsher;
  beforeAll(async () => {
    usher = await startWhole({ playbook: join(import.meta.dirname, 'catalogPlaybook'), catalogSnapshotSeconds: 1 });
  }, 120_000);
  afterAll(() => usher?.[Symbol.asyncDispose]());

  async function put(...products: readonly Product[]) {
    const { data, errors } = await usher.query(upsert, { products }, usher.devKey!);
    expect(errors).toBeUndefined();
    return data.upsertProducts.outcomes as { id: string; status: string; error: { code: string; path: string[] } }[];
  }
  const titleOf = async (shopper: Shopper, slot: string) => (await shopper.slot(slot)).content.data.title;
  /** What rules think of a product changes with the snapshot, which comes by itself: a new visitor looks until it has come. */
  const opinionOf = (productId: string) =>
    expect.poll(
      async () => {
        const shopper = new Shopper(usher);
        await shopper.view(productId, 10_000);
        return titleOf(shopper, 'opinion');
      },
      { timeout: 30_000, interval: 200 },
    );

  it('are shown at once as they are now, also where they were decided before, and are told apart from what rules saw', async () => {
    const shopper = new Shopper(usher);
    await shopper.view('tent', 10_000);
    expect(await titleOf(shopper, 'last_look')).toBe('Tent: 349.00,  left, in_stock');
    await put({ id: 'tent', name: 'Tent', price: 299.5, stock: 2 });
    await expect.poll(() => titleOf(shopper, 'last_look'), { timeout: 10_000 }).toBe('Tent: 299.50, 2 left, in_stock');
    const listed = (await (await fetch(`${usher.url}/playbook/products.json`)).json()) as { products: Product[] };
    expect(listed.products.find(({ id }) => id === 'tent')).toMatchObject({ price: 299.5, stock: 2 });
    const facts = '{ personalizedSlots(names: ["last_look"]) { why { facts { name value } } } }';
    const { data } = await usher.query(facts, {}, shopper.token);
    expect(data.personalizedSlots[0].why.facts).toContainEqual({ name: 'product.price', value: 349 });
  });

  it('are seen by rules with the next snapshot, over those of the playbook, whose others stay', async () => {
    await opinionOf('stove').toBe('A bargain');
    await put({ id: 'lamp', name: 'Lamp', price: 150, stock: 2 }, { id: 'rope', name: 'Rope', price: 120, stock: 50 });
    await opinionOf('lamp').toBe('Nearly gone');
    await opinionOf('stove').toBe('A bargain');
    await put({ id: 'lamp', name: 'Lamp', price: 50, stock: 0 });
    await opinionOf('lamp').toBe('A bargain');
    await opinionOf('rope').toBe('Look at something');
  });

  it('have an outcome each: the wrong ones are refused with field and reason, the others written, and the same again is unchanged', async () => {
    const mug = { id: 'mug', name: 'Mug', price: 12.5, currency: 'EUR', brand: 'Nord', stock: 3 };
    const outcomes = await put(
      mug,
      { ...mug, id: '' },
      { ...mug, id: 'a', price: -1 },
      { ...mug, id: 'b', currency: 'USD' },
      { ...mug, id: 'c', availability: 'perhaps' },
      { ...mug, id: 'd', stock: -1 },
      { ...mug, id: 'e', name: ' ' },
      { ...mug, id: 'f', url: 'x'.repeat(2_001) },
    );
    expect(outcomes.map(({ status, error }) => [status, error?.code, error?.path?.[0]])).toEqual([
      ['CREATED', undefined, undefined],
      ...['id', 'price', 'currency', 'availability', 'stock', 'name', 'url'].map((field) => [
        'REFUSED',
        'PRODUCT_INVALID',
        field,
      ]),
    ]);
    expect((await put(mug, { ...mug, stock: 2 })).map(({ status }) => status)).toEqual(['UNCHANGED', 'CHANGED']);
  });

  it('are taken from a secret key alone, and at most 500 at once', async () => {
    const products = Array.from({ length: 501 }, (_, i) => ({ id: `p${i}`, name: 'P', price: 1 }));
    const code = async (list: readonly Product[], token: string) =>
      (await usher.query(upsert, { products: list }, token)).errors?.[0]?.extensions?.code;
    expect(await code(products, usher.devKey!)).toBe('BATCH_TOO_LARGE');
    expect(await code(products.slice(0, 1), 'dev:alice')).toBe('FORBIDDEN');
  });

  it('are still there, for pages and for rules, after a stop and a start', async () => {
    await put({ id: 'kayak', name: 'Kayak', price: 900, stock: 1 });
    await opinionOf('kayak').toBe('Nearly gone');
    await usher.stop();
    usher = await usher.restart();
    await opinionOf('kayak').toBe('Nearly gone');
    const shopper = new Shopper(usher);
    await shopper.view('kayak', 10_000);
    expect(await titleOf(shopper, 'last_look')).toBe('Kayak: 900.00, 1 left, in_stock');
  });
});
