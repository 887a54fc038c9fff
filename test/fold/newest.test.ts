import { describe, expect, it } from 'vitest';
import { liveProductsOf } from '../../src/fold/newest.ts';
import { present } from '../../src/fold/present.ts';
import type { Slot } from '../../src/model/visitor.ts';
import type { Product } from '../../src/playbook/playbook.ts';
import { TestBundles } from '../support/bundles.ts';
import { FoldShard } from '../support/foldShard.ts';

const bundles = new TestBundles();
const playbook = bundles.addPlaybook(`
format: 1
currency: USD
events:
  bundle_viewed:
    properties:
      type: object
      properties: { product: { type: object, properties: { id: { type: string }, price: { type: number } } } }
content:
  plain: { type: offer, title: Welcome }
  priced: { type: offer, title: "\${product.name} for \${product.price}", text: "\${product.stock} \${product.availability}", image: "\${product.image}" }
  twice: { type: offer, title: "\${seen.product.price}, then \${product.price}" }
  own: { type: offer, title: "\${event.product.id} for \${event.product.price}" }
slots:
  one: { accepts: offer, fallback: plain }
  two: { accepts: offer, fallback: plain }
  three: { accepts: offer, fallback: plain }
rules:
  price: { when: product_viewed, then: [{ show: { slot: one, content: priced } }] }
  both:
    when: { sequence: [{ event: product_viewed, as: seen }, { event: product_viewed }], within: 1h }
    then: [{ show: { slot: two, content: twice } }]
  own: { when: bundle_viewed, then: [{ show: { slot: three, content: own } }] }
`);
const catalog = bundles.addCatalog([
  { id: 'a', price: 1000, name: 'Tent', image: '/a.jpg' },
  { id: 'b', price: 2000, name: 'Lamp', stock: 4 },
]);
const compiled = bundles.playbook(playbook)!;
const newest: Product = {
  id: 'a',
  name: 'Cheap tent',
  category: '',
  brand: '',
  price: 750,
  image: '/new.jpg',
  url: '',
  stock: 0,
};

function slotsAfter(...events: readonly object[]): Readonly<Record<string, Slot>> {
  const shard = new FoldShard(bundles);
  shard.append({ v: 1, kind: 'activate', id: 'a', playbook, catalog, foldVersion: 1 }, 0);
  events.forEach((event, i) => {
    shard.append({ v: 1, kind: 'event', id: `e${i}`, visitor: 'v', ...event }, 1000);
  });
  return shard.fold().visitor('v')!.slots;
}
const viewed = (productId: string) => ({ type: 'product_viewed', properties: { productId } });
const shown = (slot: Slot | undefined, name: string, of: (id: string) => Product | null) =>
  present(
    slot,
    compiled.slots.get(name)!,
    (version) => bundles.playbook(version),
    { playbook: compiled, page: null, device: null, timeZone: null, newest: of },
    2000,
  ).content.data;

describe('a text about a product', () => {
  it('shows price, stock, availability and image as they are now, and all else as it was decided', () => {
    const { one } = slotsAfter(viewed('a'));
    expect(shown(one, 'one', () => null)).toMatchObject({
      title: 'Tent for 10.00',
      text: ' in_stock',
      image: '/a.jpg',
    });
    expect(shown(one, 'one', (id) => (id === 'a' ? newest : null))).toMatchObject({
      title: 'Tent for 7.50',
      text: '0 out_of_stock',
      image: '/new.jpg',
    });
    expect(liveProductsOf(one!.candidates[0]!.facts)).toEqual(['a', 'a', 'a', 'a']);
    // What was captured stays: it is what was decided from.
    expect(one!.candidates[0]!.facts).toContainEqual(['product.price', 10]);
  });

  it('tells the products of a sequence apart', () => {
    const { two } = slotsAfter(viewed('b'), viewed('a'));
    expect(shown(two, 'two', (id) => (id === 'a' ? newest : null))).toMatchObject({ title: '20.00, then 7.50' });
    expect(shown(two, 'two', (id) => (id === 'b' ? newest : null))).toMatchObject({ title: '7.50, then 10.00' });
  });

  it('does not take a property of an event that is called product for one', () => {
    const { three } = slotsAfter({ type: 'bundle_viewed', properties: { product: { id: 'a', price: 5 } } });
    expect(shown(three, 'three', () => newest)).toMatchObject({ title: 'a for 5' });
    expect(liveProductsOf(three!.candidates[0]!.facts)).toEqual([]);
  });
});
