import { describe, expect, it } from 'vitest';
import { stillWanted } from '../../src/decide/wanted.ts';
import type { ActionOrder } from '../../src/model/action.ts';
import { TestBundles } from '../support/bundles.ts';
import { noon, Shop } from '../support/messages.ts';

const minute = 60_000;
const bundles = new TestBundles();
const text = `
format: 1
destinations: { crm: { kind: topic } }
actions:
  cart: { destination: crm, cart: true, purpose: marketing }
  seen: { destination: crm, with: { name: text } }
rules:
  reminder:
    when: { absent: order_completed, since: cart_item_added, for: 30m, key: cart.id }
    if: size(cart.lines) > 0
    then: [{ if: cart.value > 5, send: { action: cart } }]
  looked:
    when: product_viewed
    if: product.price > 1 && visitor.orders == 0 && visitor.idle < duration("1h")
    unless: segments.regular
    then: [{ send: { action: seen, with: { name: product.name } } }]
  guided:
    when: { sequence: [{ event: search_performed, as: asked }, { event: checkout_started }], within: 1h }
    if: asked.event.query == "tents"
    then: [{ send: { action: seen, with: { name: asked.event.query } } }]
segments: { regular: { if: visitor.pageViews >= 3 } }
`;
const playbook = bundles.addPlaybook(text);
const catalog = bundles.addCatalog([{ id: 'p1', price: 2_000, name: 'Tent' }]);
const known = () => new Shop(bundles, playbook, catalog).consent(true);
const order = { orderId: 'o', lines: [{ productId: 'p1', quantity: 1 }] };

/** What is asked just before the first message leaves, after what happened since it was ordered. */
function asked(shop: Shop, at = minute, ordered: ActionOrder = shop.orders[0]!) {
  const { shard } = shop;
  return stillWanted(shard.fold().visitor('u:ann')!, ordered, shard.active!, noon + at);
}
const reasonOf = (wanted: ReturnType<typeof stillWanted>) => (wanted.wanted ? null : wanted.reason);

describe('a message, just before it leaves,', () => {
  const reminded = () =>
    known()
      .added('p1', 0)
      .tick(31 * minute);
  const looked = () => known().did('product_viewed', { productId: 'p1' }, minute);

  it('is wanted while its rule would still send it', () => {
    expect(asked(reminded(), 32 * minute)).toEqual({ wanted: true });
    expect(asked(looked())).toEqual({ wanted: true });
  });

  it('takes what the event and the events of a sequence were as it was', () => {
    const later = looked().did('search_performed', { query: 'boots' }, 2 * minute);
    expect(asked(later, 3 * minute)).toEqual({ wanted: true });
    const guided = known().did('search_performed', { query: 'tents' }, 0).did('checkout_started', {}, minute);
    expect(asked(guided)).toEqual({ wanted: true });
  });

  it.each<[string, () => Shop, number, string]>([
    [
      'the order came',
      () => reminded().did('order_completed', order, 32 * minute),
      33 * minute,
      'the cart that it is about is no more',
    ],
    [
      'the cart was emptied',
      () =>
        reminded()
          .added('p1', 32 * minute)
          .did('cart_item_removed', { productId: 'p1' }, 33 * minute),
      34 * minute,
      'the cart that it is about is no more',
    ],
    [
      'consent was withdrawn',
      () => reminded().consent(false, 32 * minute),
      33 * minute,
      'there is no consent to marketing',
    ],
    [
      'a part of its condition fails that is about the visitor',
      () => looked().did('order_completed', order, 2 * minute),
      3 * minute,
      'visitor.orders == 0 does not hold any more',
    ],
    ['time has gone on', looked, 61 * minute, 'visitor.idle < duration("1h") does not hold any more'],
    [
      'what its rule says after unless holds',
      () => [2, 3, 4].reduce((shop, at) => shop.did('page_viewed', {}, at * minute), looked()),
      5 * minute,
      'unless segments.regular holds by now',
    ],
  ])('is not when %s', (_why, shop, at, reason) => {
    expect(reasonOf(asked(shop(), at))).toBe(reason);
  });

  it.each<[string, (text: string) => string]>([
    ['paused', (yaml) => yaml.replace('    when: product_viewed', '    status: paused\n    when: product_viewed')],
    ['gone', (yaml) => yaml.replace(/ {2}looked:[\s\S]*?(?= {2}guided:)/, '')],
    [
      'one that sends something else',
      (yaml) => yaml.replace('action: seen, with: { name: product.name }', 'action: cart'),
    ],
  ])('is not when its rule is %s in the playbook that is active by then', (_what, changed) => {
    const shop = looked();
    const [first] = shop.orders;
    shop.activate(bundles.addPlaybook(changed(text)), 2 * minute);
    expect(reasonOf(asked(shop, 3 * minute, first))).toBe('the rule looked does not send seen any more');
  });

  it('needs the consent that it was ordered by, whatever the playbook asks for by then', () => {
    const shop = reminded();
    const [first] = shop.orders;
    shop
      .activate(bundles.addPlaybook(text.replace(', purpose: marketing', '')), 32 * minute)
      .consent(false, 33 * minute);
    expect(reasonOf(asked(shop, 34 * minute, first))).toBe('there is no consent to marketing');
  });
});
