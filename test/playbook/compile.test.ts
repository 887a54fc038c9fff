import { describe, expect, it } from 'vitest';
import { CelError } from '../../src/cel/errors.ts';
import { bundleHash, compileCatalog, compilePlaybook } from '../../src/playbook/compile.ts';
import type { Scope } from '../../src/playbook/playbook.ts';
import { compileFiles, playbookOf, playbookTextOf, showOf } from '../support/playbooks.ts';

const scope = (roots: Partial<Record<keyof Scope, unknown>>) => roots as unknown as Scope;
const slots = 'slots: { side: { fallback: plain } }\n';
const show = (more = '', content = 'hi') => `[{ show: { slot: side, content: ${content}${more} } }]`;

describe('a compiled playbook', () => {
  it('is named by the hash of its text, the built-in file included', () => {
    const text = playbookTextOf({ 'a.yaml': 'content: { x: { type: offer } }' });
    expect(compilePlaybook(text).playbook?.version).toBe(bundleHash(text));
    expect(bundleHash(text)).toMatch(/^[0-9a-f]{16}$/);
    expect(text).toContain('visitor.recentProducts');
    expect(playbookTextOf({ 'a.yaml': 'content: { x: { type: offer }}' })).not.toBe(text);
  });

  it('has defaults for what it does not say', () => {
    const playbook = playbookOf('content: { plain: { type: offer } }');
    expect(playbook).toMatchObject({ currency: 'USD', minorDigits: 2, timezone: 'UTC', sessionIdleMs: 30 * 60_000 });
  });

  it('knows the digits of its currency', () => {
    const main = (currency: string) =>
      compileFiles({ 'playbook.yaml': `{ format: 1, currency: ${currency}, session: { idle: 5m } }` }).playbook;
    expect(main('JPY')).toMatchObject({ minorDigits: 0, sessionIdleMs: 300_000 });
    expect(main('KWD')).toMatchObject({ minorDigits: 3 });
  });

  it('tries live rules alone, by event type and in the order of their ids', () => {
    const rule = (id: string, when: string, more = '') =>
      `  ${id}: { when: ${when}, then: ${show('', 'plain')}${more} }\n`;
    const playbook = playbookOf(
      `content: { plain: { type: offer } }\n${slots}rules:\n${rule('b', 'page_viewed')}${rule('a', '[page_viewed, product_viewed]')}${rule('c', 'page_viewed', ', status: paused')}${rule('d', 'page_viewed', ', status: draft')}`,
    );
    expect(playbook.rulesFor('page_viewed').map(({ id }) => id)).toEqual(['a', 'b']);
    expect(playbook.rulesFor('product_viewed').map(({ id }) => id)).toEqual(['a']);
    expect(playbook.rulesFor('order_completed')).toEqual([]);
    expect(playbook.rulesFor('nothing')).toEqual([]);
    expect(playbook.rules.size).toBe(4);
  });

  it('runs the built-in traits of a type before the playbook’s own', () => {
    const playbook = playbookOf(
      'traits: { mine: { count: product_viewed, if: product.price > 5 }, all: { last: "*", of: page.path } }',
    );
    expect(
      playbook
        .traitsFor('product_viewed')
        .map(({ name }) => name)
        .slice(-2),
    ).toEqual(['mine', 'all']);
    expect(playbook.traitsFor('page_viewed').map(({ name }) => name)).toContain('all');
    expect(playbook.traitsFor('page_viewed').map(({ name }) => name)).not.toContain('mine');
    expect(playbook.traits.get('mine')).toMatchObject({
      path: ['traits', 'mine'],
      kind: 'count',
      initial: 0,
      over: 'all',
      money: false,
    });
  });

  it('has the profile that every visitor has', () => {
    const { traits } = playbookOf('');
    const byPath = new Map([...traits.values()].map((trait) => [trait.path.join('.'), trait]));
    for (const path of [
      'pageViews',
      'productViews',
      'searches',
      'cartAdds',
      'orders',
      'lifetimeValue',
      'recentProducts',
      'lastSearch',
      'device',
      'referrer',
      'campaign',
    ]) {
      expect([...byPath.keys()]).toContain(`visitor.${path}`);
    }
    for (const path of ['pageViews', 'productViews', 'searches'])
      expect(byPath.get(`session.${path}`)?.over).toBe('session');
    expect(byPath.get('visitor.lifetimeValue')).toMatchObject({ kind: 'sum', money: true });
    expect(byPath.get('visitor.recentProducts')).toMatchObject({ kind: 'recent', limit: 20, initial: [] });
    expect(byPath.get('visitor.lastSearch')).toMatchObject({ initial: '' });
    expect(byPath.get('cart')).toMatchObject({
      kind: 'cart',
      cart: { add: 'cart_item_added', remove: 'cart_item_removed', order: 'order_completed' },
    });
  });

  it('lets a playbook declare a standard event again, with more properties', () => {
    const playbook = playbookOf(
      'events: { search_performed: { properties: { required: [query], properties: { query: { type: string }, shop: { enum: [north, south] } } } } }\ncontent: { plain: { type: offer } }\nslots: { side: { fallback: plain } }\nrules: { r: { when: search_performed, if: event.shop == "north", then: [{ show: { slot: side, content: plain } }] } }',
    );
    expect(playbook.rules.get('r')?.if?.evaluate(scope({ event: { query: 'x', shop: 'north' } }))).toBe(true);
    expect(playbook.events.get('search_performed')?.validate({ query: 'x', shop: 'west' })).toEqual([
      { path: ['shop'], message: 'must be one of "north", "south"' },
    ]);
  });

  it('gives a rule that any of several events can fire what all of them have', () => {
    const text = (condition: string) =>
      `content: { plain: { type: offer } }\n${slots}rules: { r: { when: [cart_item_added, cart_item_removed], if: ${condition}, then: ${show('', 'plain')} } }`;
    expect(playbookOf(text('product.price > 5 && event.productId != "" && event.quantity > 1')).rules.size).toBe(1);
    expect(compileFiles({ 'r.yaml': text('event.price > 5') }).problems[0]?.message).toBe(
      'event has no price: cart_item_removed does not have it',
    );
  });

  it('lets a condition fail with a CelError, and never with anything else', () => {
    const playbook = playbookOf(
      `content: { plain: { type: offer } }\n${slots}rules: { r: { when: product_viewed, if: product.price > 5, then: ${show('', 'plain')} } }`,
    );
    expect(() => playbook.rules.get('r')?.if?.evaluate(scope({ product: null }))).toThrow(CelError);
  });

  it('adds the value of its lines to an order, in major units', () => {
    const content =
      'content: { plain: { type: offer }, hi: { type: offer, text: "${event.value} for ${event.orderId}" } }\n';
    const playbook = playbookOf(
      `${content}${slots}rules: { r: { when: order_completed, if: event.value > 20, then: ${show()} } }`,
    );
    expect(showOf(playbook, 'r').captures).toEqual(['event.value', 'event.orderId']);
    expect(
      playbook.contents.get('hi')?.render([
        ['event.value', 20.5],
        ['event.orderId', 'o1'],
      ]),
    ).toEqual({ text: '20.50 for o1' });
  });
});

describe('captured facts', () => {
  const content = (texts: string) =>
    `content: { plain: { type: offer }, hi: { type: offer, text: ${JSON.stringify(texts)} } }\n${slots}`;
  it('are first what texts and while need, then what the conditions read, 8 at most', () => {
    const condition =
      '"visitor.orders > 0 && session.pageViews > 1 && session.searches > 1 && visitor.searches > 1 && cart.value > 5 && size(cart.lines) > 1 && now > now"';
    const playbook = playbookOf(
      `${content('${product.name} ${cart.value}')}rules: { r: { when: product_viewed, if: ${condition.replace('now > now', 'now != null')}, then: [{ if: device.kind == "mobile" && page.path != "", show: { slot: side, content: hi, while: product.id == "x" && visitor.orders == 0 } }] } }`,
    );
    expect(showOf(playbook, 'r').captures).toEqual([
      'product.name',
      'cart.value',
      'product.id',
      'visitor.orders',
      'session.pageViews',
      'session.searches',
      'visitor.searches',
      'device.kind',
    ]);
  });

  it('are refused when texts and while need more than 8', () => {
    const nine = ['id', 'name', 'category', 'brand', 'price', 'image', 'url']
      .map((name) => `\${product.${name}}`)
      .join(' ');
    const rules = `rules: { r: { when: product_viewed, then: ${show(', while: event.productId != ""')} } }`;
    expect(showOf(playbookOf(`${content(nine)}${rules}`), 'r').captures).toHaveLength(8);
    const { problems } = compileFiles({ 'r.yaml': `${content(`${nine} \${cart.value}`)}${rules}` });
    expect(problems[0]).toMatchObject({ line: 3, expected: 'at most 8' });
  });

  it('are single values: a list has no bound', () => {
    const rules = `rules: { r: { when: product_viewed, then: ${show()} } }`;
    const { problems } = compileFiles({ 'r.yaml': `${content('${size(cart.lines)}')}${rules}` });
    expect(problems[0]?.message).toBe(
      'hi or its while reads cart.lines, a list or a map; only single values are captured',
    );
  });

  it('fill texts wherever they stand in the data; one that is missing leaves its hole empty', () => {
    const playbook = playbookOf(
      `content: { plain: { type: offer }, hi: { type: offer, a: { b: ["\${product.name}!", 5, true, null] }, c: "\${product.price}" } }\n${slots}rules: { r: { when: product_viewed, then: ${show()} } }`,
    );
    expect(playbook.contents.get('hi')?.render([['product.price', 5]])).toEqual({
      a: { b: ['!', 5, true, null] },
      c: '5.00',
    });
    expect(playbook.contents.get('hi')?.type).toBe('offer');
  });
});

describe('a catalog', () => {
  it('is read from its text alone, and named by it', () => {
    const text = '{"products":[{"id":"p","price":5}]}';
    expect(compileCatalog(text)).toMatchObject({
      version: bundleHash(text),
      products: new Map([['p', { id: 'p', price: 5 }]]),
    });
    expect(() => compileCatalog('{}')).toThrow('expected the text of a catalog');
  });
});
