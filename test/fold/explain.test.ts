import { describe, expect, it } from 'vitest';
import { explainSlot } from '../../src/fold/explain.ts';
import { TestBundles } from '../support/bundles.ts';
import { FoldShard } from '../support/foldShard.ts';

const minute = 60_000;
const start = 1_700_000_000_000;
const bundles = new TestBundles();
const playbook = bundles.addPlaybook(`
format: 1
content:
  plain: { type: banner, title: plain }
  full: { type: banner, title: "\${cart.value} in the cart" }
  big: { type: banner, title: big }
  vip: { type: banner, title: vip }
  back: { type: banner, title: back }
  once: { type: banner, title: once }
  guide: { type: banner, title: guide }
  asked: { type: banner, title: asked }
slots:
  banner: { accepts: banner, fallback: plain }
segments:
  buyer: { if: visitor.orders > 0 }
rules:
  full_cart: { when: cart_item_added, if: cart.value > 10, then: [{ show: { slot: banner, content: full } }], priority: 5 }
  any_cart: { when: cart_item_added, then: [{ show: { slot: banner, content: big } }] }
  for_buyers: { when: product_viewed, if: segments.buyer && cart.value > 10, then: [{ show: { slot: banner, content: vip } }] }
  reminder:
    when: { absent: order_completed, since: cart_item_added, for: 30m }
    then: [{ show: { slot: banner, content: back } }]
  only_once:
    when: page_viewed
    then: [{ show: { slot: banner, content: once, for: 1m } }]
    limit: { times: 1 }
  journey:
    when: { sequence: [{ event: page_viewed }, { event: cart_item_added }, { event: search_performed }], within: 1h }
    then: [{ show: { slot: banner, content: guide } }]
  of_search: { when: search_performed, if: event.query == "tents", then: [{ show: { slot: banner, content: asked } }] }
  personal: { when: search_performed, purpose: personalization, then: [{ show: { slot: banner, content: asked } }] }
  resting: { when: page_viewed, then: [{ show: { slot: banner, content: asked } }], status: paused }
`);
const catalog = bundles.addCatalog([{ id: 'p1', price: 2000 }]);

function explained() {
  const shard = new FoldShard(bundles);
  shard.append({ v: 1, kind: 'activate', id: 'a', playbook, catalog, foldVersion: 1 }, start);
  const event = (type: string, properties: object, at: number) =>
    shard.append({ v: 1, kind: 'event', id: `${type}${at}`, visitor: 'v', type, properties, at }, at);
  event('page_viewed', {}, start);
  event('cart_item_added', { productId: 'p1', quantity: 1 }, start + 2 * minute);
  shard.fold();
  const active = shard.active!;
  const nobody = { playbook: active.playbook, page: null, device: null, timeZone: null };
  const now = start + 3 * minute;
  return explainSlot(shard.visitor('v')!, 'banner', active, (version) => bundles.playbook(version), nobody, now);
}

describe('the explanation of a slot', () => {
  const { winner, contentId, rules } = explained();
  const reasonsOf = (id: string) => rules.find(({ ruleId }) => ruleId === id)!.reasons;

  it('begins with the winner and how it came, then who lost, then who is out', () => {
    expect([winner, contentId]).toEqual(['full_cart', 'full']);
    expect(rules.map(({ ruleId, outcome }) => `${outcome} ${ruleId}`)).toEqual([
      'shown full_cart',
      'lost any_cart',
      ...['for_buyers', 'journey', 'of_search', 'only_once', 'personal', 'reminder', 'resting'].map(
        (id) => `out ${id}`,
      ),
    ]);
    expect(rules[0]).toMatchObject({
      reasons: ['you put p1 into the cart'],
      facts: [{ name: 'cart.value', value: 20 }],
      decidedAt: start + 2 * minute,
    });
    expect(reasonsOf('any_cart')).toEqual(['lost on priority']);
  });

  it('names the part of a condition that does not hold, with the values it read', () => {
    expect(reasonsOf('for_buyers')).toEqual(['segments.buyer does not hold: segments.buyer = false']);
  });

  it('leaves what only an event can tell to the event', () => {
    expect(reasonsOf('of_search')).toEqual(['event.query == "tents" is asked when an event comes']);
  });

  it('tells how far a wait and a sequence have come', () => {
    const due = new Date(start + 32 * minute).toISOString().replace('.000Z', 'Z');
    expect(reasonsOf('reminder')).toEqual([`waits until ${due}, unless order_completed comes`]);
    expect(reasonsOf('journey')).toEqual(['2 of the 3 events of its sequence came']);
  });

  it('tells which consent is missing', () => {
    expect(reasonsOf('personal')).toEqual(['there is no consent to personalization']);
  });

  it('tells a used up limit, and that a rule is paused', () => {
    expect(reasonsOf('only_once')).toEqual(['has run 1 of 1 times (per visitor)']);
    expect(reasonsOf('resting')).toEqual(['is paused']);
  });
});
