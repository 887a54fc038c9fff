import { describe, expect, it } from 'vitest';
import { TestBundles } from '../support/bundles.ts';
import { FoldShard } from '../support/foldShard.ts';

const text = (body: string) => `
format: 1
currency: USD
content:
  plain: { type: banner, title: Welcome }
  first: { type: banner, title: First }
  second: { type: banner, title: Second }
slots:
  one: { fallback: plain }
  two: { fallback: plain }
${body}`;

function foldWith(
  body: string,
  events: readonly object[],
  products: { id: string; price: number; category?: string }[] = [],
) {
  const bundles = new TestBundles();
  const shard = new FoldShard(bundles);
  const playbook = bundles.addPlaybook(text(body));
  shard.append({ v: 1, kind: 'activate', id: 'a', playbook, catalog: bundles.addCatalog(products), foldVersion: 1 }, 0);
  events.forEach((event, i) => {
    shard.append({ v: 1, kind: 'event', id: `e${i}`, visitor: 'v', properties: {}, ...event }, 1000 + i);
  });
  return shard.fold();
}
const shownIn = (shard: FoldShard, slot: string) =>
  shard.visitor('v')?.slots[slot]?.candidates.map(({ content }) => content) ?? [];
const search = (query: string) => ({ type: 'search_performed', properties: { query } });
const view = (productId: string, more: object = {}) => ({ type: 'product_viewed', properties: { productId }, ...more });

describe('a rule', () => {
  it('does all of its `then` whose conditions hold', () => {
    const rule = `
rules:
  r:
    when: search_performed
    then:
      - { if: 'event.query == "a"', show: { slot: one, content: first } }
      - { if: 'event.query != ""', show: { slot: two, content: second } }
`;
    const both = foldWith(rule, [search('a')]);
    expect([shownIn(both, 'one'), shownIn(both, 'two')]).toEqual([['first'], ['second']]);
    const last = foldWith(rule, [search('b')]);
    expect([shownIn(last, 'one'), shownIn(last, 'two')]).toEqual([[], ['second']]);
  });

  it('does the first of its `choose` that fits, and nothing if none does', () => {
    const rule = `
rules:
  r:
    when: search_performed
    choose:
      - { if: 'event.query == "a"', show: { slot: one, content: first } }
      - { if: 'event.query in ["a", "b"]', show: { slot: two, content: second } }
`;
    const [a, b, c] = ['a', 'b', 'c'].map((query) => foldWith(rule, [search(query)]));
    expect([shownIn(a!, 'one'), shownIn(a!, 'two')]).toEqual([['first'], []]);
    expect([shownIn(b!, 'one'), shownIn(b!, 'two')]).toEqual([[], ['second']]);
    expect([shownIn(c!, 'one'), shownIn(c!, 'two')]).toEqual([[], []]);
    expect([a, b, c].map((shard) => shard!.meta.counters.rulesFired)).toEqual([1, 1, 0]);
  });

  it('that is a draft or paused does not run', () => {
    const rules = ['draft', 'paused', 'live'].map(
      (status) =>
        `  ${status}_rule: { status: ${status}, when: search_performed, then: [{ show: { slot: one, content: first } }] }`,
    );
    const shard = foldWith(`rules:\n${rules.join('\n')}\n`, [search('a')]);
    expect(shard.visitor('v')?.slots['one']?.candidates.map(({ rule }) => rule)).toEqual(['live_rule']);
  });

  it('sees the visitor with this event counted', () => {
    const rule =
      'rules:\n  r: { when: product_viewed, if: visitor.productViews == 2, then: [{ show: { slot: one, content: first } }] }\n';
    expect(shownIn(foldWith(rule, [view('p')]), 'one')).toEqual([]);
    expect(shownIn(foldWith(rule, [view('p'), view('p')]), 'one')).toEqual(['first']);
  });

  it('may read page, device, product, session, cart, traits and now', () => {
    const rule = `
traits:
  tents: { count: product_viewed, if: product.category == "tents" }
rules:
  r:
    when: product_viewed
    if: page.page == "product" && device.kind == "mobile" && product.price == 12.5 && session.number == 1 && size(cart.lines) == 0 && traits.tents == 1 && now == event.at
    then: [{ show: { slot: one, content: first } }]
`;
    const event = view('p', { context: { page: 'product', device: 'mobile' } });
    const shard = foldWith(rule, [event], [{ id: 'p', price: 1250, category: 'tents' }]);
    expect(shownIn(shard, 'one')).toEqual(['first']);
    expect(shard.meta.counters.ruleErrors).toBe(0);
  });

  it('is kept by its `while` with what was captured of the event, after other events', () => {
    const rule = `
rules:
  r:
    when: product_viewed
    then: [{ show: { slot: one, content: first, while: 'visitor.lastSearch != product.category' } }]
`;
    const products = [{ id: 'p', price: 1, category: 'tents' }];
    const events = [search('boots'), view('p')];
    expect(shownIn(foldWith(rule, [...events, search('maps')], products), 'one')).toEqual(['first']);
    expect(shownIn(foldWith(rule, [...events, search('tents')], products), 'one')).toEqual([]);
  });
});

describe('a trait', () => {
  it.each([
    ['count: search_performed', [], 3],
    ['sum: time_spent, of: event.seconds', [], 42.5],
    ['first: search_performed, of: event.query', [], 'a'],
    ['last: search_performed, of: event.query', [], 'c'],
    ['recent: search_performed, of: event.query, limit: 2', [], ['c', 'b']],
    ['count: search_performed, over: session', [], 1],
    ['last: search_performed, of: event.query, over: session', [], 'c'],
    ['count: [search_performed, time_spent], if: \'event.type == "time_spent"\'', [], 2],
  ])('that says "%s" is what it says', (trait, _, expected) => {
    const spent = (seconds: number) => ({ type: 'time_spent', properties: { pageViewId: 'x', seconds } });
    const campaign = { context: { url: '?utm_campaign=c' } };
    const events = [search('a'), spent(30), search('b'), spent(12.5), { ...search('c'), ...campaign }];
    const shard = foldWith(`traits:\n  it: { ${trait} }\n`, events);
    const { traits, session } = shard.visitor('v')!;
    expect(traits.get('it') ?? session?.traits.get('it')).toEqual(expected);
  });

  it('of money is held in minor units, so that sums do not drift', () => {
    const events = Array.from({ length: 10 }, () => ({
      type: 'cart_item_added',
      properties: { productId: 'p', quantity: 1, price: 0.1 },
    }));
    const shard = foldWith('traits:\n  worth: { sum: cart_item_added, of: event.price }\n', events);
    expect(shard.visitor('v')?.traits.get('worth')).toBe(100);
  });

  it('remembers at most 256 characters of a text, and never a null', () => {
    const trait = 'traits:\n  title: { last: "*", of: page.title }\n';
    const long = { type: 'page_viewed', context: { title: 'x'.repeat(1000) } };
    expect(
      foldWith(trait, [long, { type: 'page_viewed' }])
        .visitor('v')
        ?.traits.get('title'),
    ).toBe('x'.repeat(256));
  });
});

describe('of a segment that time alone cannot let a visitor into', () => {
  const segmentTimer = (turns: number) => {
    const idle = Array.from({ length: turns }, (_, i) => `visitor.idle > duration("${i + 1}m")`);
    const shard = foldWith(`segments:\n  s: { if: 'visitor.orders > 0 && (${idle.join(' || ')})' }`, [search('a')]);
    return shard.visitor('v')!.timers.find(({ what }) => what === 'segment');
  };

  it('no timer is set', () => {
    expect(segmentTimer(7)).toBeUndefined();
  });

  it('one is set for the sixteenth instant, when there are so many to look at', () => {
    expect(segmentTimer(8)).toMatchObject({ key: [''], due: 1_000 + 8 * 60_000 + 1 });
    expect(segmentTimer(9)).toMatchObject({ key: [''], due: 1_000 + 8 * 60_000 + 1 });
  });
});
