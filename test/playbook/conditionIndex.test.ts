import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCondition, evaluateCondition, parse } from '../../src/cel/cel.ts';
import { demandsOf } from '../../src/cel/demands.ts';
import { dyn, type ObjectType } from '../../src/cel/types.ts';
import { ConditionIndex } from '../../src/playbook/conditionIndex.ts';
import type { Condition, Rule, Scope } from '../../src/playbook/playbook.ts';
import { playbookOf } from '../support/playbooks.ts';

const demands = (source: string) => {
  const parsed = parse(source);
  if (!parsed.ok) throw new Error(`${source}: ${parsed.problems[0]?.message}`);
  const { equalities, ranges } = demandsOf(parsed.tree);
  return [
    ...equalities.map(({ path, texts }) => [path.join('.'), ...texts]),
    ...ranges.map(({ path, from, to }) => [path.join('.'), from, to]),
  ];
};
const [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

describe('what a condition demands of a text', () => {
  it.each([
    ['product.category == "tents"', [['product.category', 'tents']]],
    ['"tents" == product.category && size(cart.lines) > 1', [['product.category', 'tents']]],
    [
      'cart.value > event.price && (product.category in ["a", "b"] && page.page == "home")',
      [
        ['product.category', 'a', 'b'],
        ['page.page', 'home'],
      ],
    ],
    ['product.category == "tents" || cart.value > 100', []],
    ['!(product.category == "tents")', []],
    ['product.category != "tents"', []],
    ['product.category == product.brand', []],
    ['product.category in ["a", product.brand]', []],
    ['visitor.recentProducts.exists(each, each == "a")', []],
  ])('%s', (source, expected) => {
    expect(demands(source)).toEqual(expected);
  });
});

describe('what a condition demands of a number', () => {
  it.each([
    ['cart.value >= 100', [['cart.value', 100, most]]],
    ['cart.value > 100.5', [['cart.value', 100.50000000000001, most]]],
    ['cart.value <= -5', [['cart.value', least, -5]]],
    ['100 < cart.value', [['cart.value', 100.00000000000001, most]]],
    ['cart.value < -5', [['cart.value', least, -5.000000000000001]]],
    ['cart.value < 0', [['cart.value', least, -Number.MIN_VALUE]]],
    ['100 >= cart.value', [['cart.value', least, 100]]],
    ['cart.value == 7', [['cart.value', 7, 7]]],
    ['traits.views["tents"] >= 3', [['traits.views.tents', 3, most]]],
    ['7 == cart.value', [['cart.value', 7, 7]]],
    [
      'cart.value >= 10 && (visitor.orders < 3 && cart.value < 20)',
      [
        ['cart.value', 10, 19.999999999999996],
        ['visitor.orders', least, 2.9999999999999996],
      ],
    ],
    ['cart.value >= 5 && cart.value <= 3', [['cart.value', 5, 3]]],
    ['traits.views[product.category] >= 3', []],
    ['cart.value != 7', []],
    ['cart.value > 5 || visitor.orders > 1', []],
    ['!(cart.value > 5)', []],
    ['cart.value > event.price', []],
    ['cart.value + 1 > 5', []],
    ['event.name < "b"', []],
    ['event.prices.all(each, each > 5)', []],
  ])('%s', (source, expected) => {
    expect(demands(source)).toEqual(expected);
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
  const rulesOf = (scope: Scope) => playbook.candidateRules('seen', scope).map(({ of }) => of);
  const run = (asked: readonly Rule[], scope: Scope) => {
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
    expect(run(rulesOf(scope), scope)).toEqual(run(playbook.rulesFor('seen'), scope));
  });

  it('asks few of many', () => {
    const of = (category: string) =>
      rulesOf({ event: {}, product: { category }, cart: { value: 20 } } as unknown as Scope);
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
    expect(small.candidateRules('product_viewed', { product: { category: 'b' } } as unknown as Scope)).toHaveLength(2);
  });
});

/** Anything at all may stand at these, so that each kind of condition fails with some scopes. */
const names = {
  product: ['category', 'brand'],
  cart: ['value'],
  visitor: ['orders', 'views', 'clicks', 'searches', 'visits'],
};
const types = Object.fromEntries(
  Object.entries(names).map(([root, fields]): [string, ObjectType] => [
    root,
    { kind: 'object', fields: Object.fromEntries(fields.map((name) => [name, dyn])) },
  ]),
);

function conditionOf(source: string): Pick<Condition, 'source' | 'demands' | 'evaluate'> {
  const compiled = compileCondition(source, { types });
  if (!compiled.ok) throw new Error(`${source}: ${compiled.problems[0]?.message}`);
  const { cel } = compiled;
  return { source, demands: demandsOf(cel.tree), evaluate: (scope) => evaluateCondition(cel, scope) };
}

/** Mostly what a shop compares with texts, and what with numbers; but each may be compared with either. */
const paths = ['product.category', 'product.brand', 'cart.value', 'visitor.orders'];
const textPath = fc.constantFrom(...Array(8).fill(paths.slice(0, 2)).flat(), ...paths.slice(2));
const numberPath = fc.constantFrom(...Array(8).fill(paths.slice(2)).flat(), ...paths.slice(0, 2));
const text = fc.constantFrom('a', 'b', 'c');
const number = fc.integer({ min: -3, max: 12 });
const order = fc.constantFrom('<', '<=', '>', '>=', '==');
const side = fc.oneof(
  fc.tuple(textPath, text).map(([of, value]) => `${of} == "${value}"`),
  fc.tuple(textPath, text, text).map(([of, one, other]) => `${of} in ["${one}", "${other}"]`),
  fc.tuple(numberPath, order, number).map((parts) => parts.join(' ')),
  fc.tuple(number, order, numberPath).map((parts) => parts.join(' ')),
  fc.tuple(numberPath, number, number).map(([of, from, to]) => `${of} >= ${from} && ${of} < ${to}`),
  fc.tuple(numberPath, textPath).map(([one, other]) => `(${one} < 4 || ${other} == "a")`),
);
const condition = fc
  .array(side, { minLength: 1, maxLength: 3 })
  .map((sides) => ({ if: conditionOf(sides.join(' && ')) }));
const value = fc.oneof({ weight: 8, arbitrary: number }, { weight: 1, arbitrary: fc.constantFrom(null, 'a', true) });
const word = fc.oneof({ weight: 8, arbitrary: text }, { weight: 1, arbitrary: fc.constantFrom(null, 5, ['a'], 'd') });
const scopes = fc.record(
  {
    product: fc.oneof(
      { weight: 8, arbitrary: fc.record({ category: word, brand: word }, { requiredKeys: ['category'] }) },
      { weight: 1, arbitrary: fc.constant(null) },
    ),
    cart: fc.record({ value }),
    visitor: fc.record({ orders: value }, { requiredKeys: [] }),
  },
  { requiredKeys: ['product', 'visitor'] },
) as unknown as fc.Arbitrary<Scope>;

describe('an index of any conditions', () => {
  it('leaves out, of any scope, only those that are false without failing, keeps the order, and is right about those that hold', () => {
    const rules = fc.array(
      fc.oneof({ weight: 9, arbitrary: condition }, { weight: 1, arbitrary: fc.constant({ if: null }) }),
      {
        maxLength: 150,
        size: 'max',
      },
    );
    let all = 0;
    let asked = 0;
    let known = 0;
    fc.assert(
      fc.property(rules, fc.array(scopes, { minLength: 5, maxLength: 5 }), (given, each) => {
        // The same condition may stand at two places.
        const index = new ConditionIndex(
          given.map((rule, place) => ({ ...rule, place })),
          (rule) => rule.if,
        );
        for (const scope of each) {
          const found = index.candidates(scope);
          const places = found.map(({ of }) => of.place);
          expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
          const left = index.all.filter(({ place }) => !places.includes(place));
          expect(left.filter((rule) => rule.if!.evaluate(scope))).toEqual([]);
          const surely = found.filter(({ holds }) => holds);
          expect(surely.filter(({ of }) => !of.if!.evaluate(scope))).toEqual([]);
          all += given.length;
          asked += places.length;
          known += surely.length;
        }
      }),
      { numRuns: 100 },
    );
    // The numbers that it compares are few: a shop has more, and leaves out nearly all.
    expect(asked / all).toBeLessThan(0.8);
    expect(known / asked).toBeGreaterThan(0.05);
  });

  const asked = (conditions: readonly string[], scope: object) =>
    new ConditionIndex(conditions.map(conditionOf), (condition) => condition)
      .candidates(scope as Scope)
      .map(({ of }) => of.source);
  const eachOf = (count: number, source: (i: number) => string) => Array.from({ length: count }, (_, i) => source(i));

  it('finds each under the text that the fewest others want, at as many paths as there are', () => {
    const conditions = [
      ...eachOf(20, (i) => `product.category == "all" && product.brand == "b${i}"`),
      ...eachOf(20, (i) => `product.category == "c${i}"`),
    ];
    expect(asked(conditions, { product: { category: 'all', brand: 'b7' } })).toEqual([conditions[7]]);
    expect(asked(conditions, { product: { category: 'c3', brand: 'b0' } })).toEqual([conditions[0], conditions[23]]);
  });

  it('finds those that want one text, or none, by the numbers that they compare', () => {
    const steps = eachOf(50, (i) => `product.category == "a" && cart.value >= ${i}`);
    const bands = eachOf(50, (i) => `visitor.orders > ${i} && visitor.orders < ${i + 2}`);
    const scope = { product: { category: 'a' }, cart: { value: 2.5 }, visitor: { orders: 7 } };
    expect(asked([...steps, ...bands], scope)).toEqual([...steps.slice(0, 3), bands[6]]);
    expect(asked(steps, { ...scope, product: { category: 'b' } })).toEqual([]);
    expect(asked(steps, { ...scope, cart: { value: null } })).toEqual(steps);
  });

  it('does not say of one that it holds which compares more numbers than are looked at', () => {
    const numbers = names.visitor;
    const conditions = eachOf(10, (i) => numbers.map((name) => `visitor.${name} >= ${i}`).join(' && '));
    const index = new ConditionIndex(conditions.map(conditionOf), (condition) => condition);
    for (const low of numbers) {
      const visitor = { ...Object.fromEntries(numbers.map((name) => [name, 100])), [low]: -1 };
      expect(index.candidates({ visitor } as unknown as Scope).filter(({ holds }) => holds)).toEqual([]);
    }
  });

  it('asks every one of many where the path holds something else, because each may fail', () => {
    const conditions = eachOf(20, (i) => `product.category == "c${i}" && cart.value > 0`);
    for (const product of [null, {}, { category: null }, { category: 5 }]) {
      expect(asked(conditions, { product, cart: { value: 1 } })).toEqual(conditions);
    }
  });
});
