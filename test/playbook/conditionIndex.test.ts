import { describe, expect, it } from 'vitest';
import { parse } from '../../src/cel/cel.ts';
import { equalitiesOf } from '../../src/cel/equalities.ts';
import type { Scope } from '../../src/playbook/playbook.ts';
import { playbookOf } from '../support/playbooks.ts';

const equalities = (source: string) => {
  const parsed = parse(source);
  return parsed.ok ? equalitiesOf(parsed.tree).map(({ path, texts }) => [path.join('.'), ...texts]) : null;
};

describe('what a condition demands of a text', () => {
  it.each([
    ['product.category == "tents"', [['product.category', 'tents']]],
    ['"tents" == product.category && cart.value > 100', [['product.category', 'tents']]],
    [
      'cart.value > 1 && (product.category in ["a", "b"] && page.page == "home")',
      [
        ['product.category', 'a', 'b'],
        ['page.page', 'home'],
      ],
    ],
    ['product.category == "tents" || cart.value > 100', []],
    ['!(product.category == "tents")', []],
    ['product.category != "tents"', []],
    ['product.price == 5 && product.category == product.brand', []],
    ['product.category in ["a", product.brand]', []],
    ['visitor.recentProducts.exists(each, each == "a")', []],
  ])('%s', (source, expected) => {
    expect(equalities(source)).toEqual(expected);
  });
});

describe('rules that are found by what their condition compares', () => {
  const conditions = [
    ...Array.from({ length: 12 }, (_, i) => `product.category == "c${i % 4}" && cart.value >= ${i}`),
    'product.category in ["c1", "c3"]',
    'product.category == "c2" && event.nothing == "x"',
    'product.category == "c1" || cart.value > 5',
    'event.nothing == "x"',
    'cart.value > 3',
  ];
  const rules = conditions.map((condition, i) => {
    const id = `r${String(i).padStart(2, '0')}`;
    return `  ${id}: { when: seen, if: '${condition}', then: [{ show: { slot: side, content: hi } }] }\n`;
  });
  const playbook = playbookOf(
    `events: { seen: { name: Seen, properties: { properties: { productId: { type: string }, nothing: { type: string } } } } }
content: { hi: { type: offer } }
slots: { side: { fallback: hi } }
rules:
${rules.join('')}`,
  );
  const run = (asked: typeof playbook.rulesFor extends (type: string) => infer R ? R : never, scope: Scope) => {
    const held: string[] = [];
    const failed: string[] = [];
    for (const rule of asked) {
      try {
        if (rule.if!.evaluate(scope)) held.push(rule.id);
      } catch {
        failed.push(rule.id);
      }
    }
    return { held, failed };
  };
  const products = [...Array(5).keys()].map((i) => ({ category: `c${i}` }));

  it.each(
    [...products, null, {}, { category: null }].flatMap((product) => [0, 4, 9].map((value) => ({ product, value }))),
  )('fires the same, and fails the same, as asking each: $product, $value in the cart', ({ product, value }) => {
    const scope = { event: {}, product, cart: { value } } as unknown as Scope;
    expect(run(playbook.rulesFor('seen', scope), scope)).toEqual(run(playbook.rulesFor('seen'), scope));
  });

  it('asks few of many', () => {
    const of = (category: string) =>
      playbook.rulesFor('seen', { event: {}, product: { category }, cart: { value: 0 } } as unknown as Scope);
    expect(of('c2').map(({ id }) => id)).toEqual(['r02', 'r06', 'r10', 'r13', 'r14', 'r15', 'r16']);
    expect(of('of no rule').map(({ id }) => id)).toEqual(['r14', 'r15', 'r16']);
  });

  it('asks every one where there are not many', () => {
    const small = playbookOf(
      `content: { hi: { type: offer } }
slots: { side: { fallback: hi } }
rules:
  a: { when: product_viewed, if: 'product.category == "a"', then: [{ show: { slot: side, content: hi } }] }
  b: { when: product_viewed, if: 'product.category == "b"', then: [{ show: { slot: side, content: hi } }] }
`,
    );
    expect(small.rulesFor('product_viewed', { product: { category: 'b' } } as unknown as Scope)).toHaveLength(2);
  });
});
