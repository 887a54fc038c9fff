import { Environment } from '@marcbachmann/cel-js';
import { compileCondition, evaluateCondition } from '../src/cel/cel.ts';
import { listOf, money, number, string, timestamp } from '../src/cel/types.ts';
import { median } from './measure.ts';

/** Conditions, compiled once, evaluated again and again: ours, the library's own evaluator, and JavaScript written by hand. */
export type ConditionsResult = readonly ConditionResult[];
interface ConditionResult {
  readonly source: string;
  readonly oursPerSecond: number;
  readonly libraryPerSecond: number;
  readonly byHandPerSecond: number;
}

const hourMs = 3_600_000;
const start = Date.UTC(2026, 10, 23, 12);
/** Facts of which about half fit each condition, so that no branch is always taken. */
const scopes = Array.from({ length: 64 }, (_, i) => ({
  product: { id: i % 2 === 0 ? 'p_017' : `p_${i}`, category: ['tents', 'packs', 'shoes', 'stoves'][i % 4]! },
  cart: {
    value: 60 + i * 2,
    lines: [{ productId: `p_${(i * 7) % 64}` }, { productId: i % 4 === 2 ? 'p_017' : 'p_1' }],
  },
  visitor: { orders: i % 3, lastOrderAt: start - i * 2 * hourMs },
  event: { query: i % 2 === 0 ? 'Trekking tent' : 'boots' },
  now: start,
}));
type Facts = (typeof scopes)[number];

/** What shops ask, each with the same in JavaScript. */
const conditionsByHand: Readonly<Record<string, (facts: Facts) => boolean>> = {
  'product.id == "p_017" && cart.value > 100.0': ({ product, cart }) => product.id === 'p_017' && cart.value > 100,
  'product.category in ["tents", "packs"] && visitor.orders == 0.0': ({ product, visitor }) =>
    ['tents', 'packs'].includes(product.category) && visitor.orders === 0,
  'cart.lines.exists(line, line.productId == product.id)': ({ cart, product }) =>
    cart.lines.some((line) => line.productId === product.id),
  'event.query.contains("tent") || cart.value * 0.9 >= 150.0': ({ event, cart }) =>
    event.query.includes('tent') || cart.value * 0.9 >= 150,
  'now - visitor.lastOrderAt > duration("72h")': ({ now, visitor }) => now - visitor.lastOrderAt > 72 * hourMs,
};

export function conditions(): ConditionsResult {
  return Object.entries(conditionsByHand).map(([source, byHand]) => {
    const compiled = compileCondition(source, { types });
    if (!compiled.ok) throw new Error(compiled.problems[0]?.message);
    const { cel } = compiled;
    const theirs = library.parse(source);
    const facts = scopes.map(forLibrary);
    const inTurn = [
      () => held((each) => evaluateCondition(cel, each), scopes),
      () => held((each) => theirs(each) as boolean, facts),
      () => held(byHand, scopes),
    ];
    const [oursPerSecond, libraryPerSecond, byHandPerSecond] = perSecond(inTurn, scopes.filter(byHand).length);
    return { source, oursPerSecond, libraryPerSecond, byHandPerSecond } as ConditionResult;
  });
}

const object = (fields: Readonly<Record<string, typeof string>>) => ({ kind: 'object' as const, fields });
const types = {
  product: object({ id: string, category: string }),
  cart: object({ value: money, lines: listOf(object({ productId: string })) }),
  visitor: object({ orders: number, lastOrderAt: timestamp }),
  event: object({ query: string }),
  now: timestamp,
};
const library = new Environment()
  .registerVariable('product', { schema: { id: 'string', category: 'string' } })
  .registerVariable('cart', { schema: { value: 'double', lines: 'list<map<string, string>>' } })
  .registerVariable('visitor', { schema: { orders: 'double', lastOrderAt: 'google.protobuf.Timestamp' } })
  .registerVariable('event', { schema: { query: 'string' } })
  .registerVariable('now', 'google.protobuf.Timestamp');
/** Its times are Dates. */
function forLibrary({ visitor, now, ...facts }: Facts) {
  return { ...facts, visitor: { ...visitor, lastOrderAt: new Date(visitor.lastOrderAt) }, now: new Date(now) };
}

function held<T>(evaluate: (facts: T) => boolean, all: readonly T[]): number {
  let count = 0;
  for (const facts of all) if (evaluate(facts)) count++;
  return count;
}

/** Of each the median of five rounds, one after another in each round, so that a busy moment of the machine is not one's alone. */
function perSecond(ways: readonly (() => number)[], expected: number): number[] {
  const rates = ways.map((): number[] => []);
  for (let round = 0; round < 6; round++) {
    for (const [i, way] of ways.entries()) {
      const from = performance.now();
      let count = 0;
      for (; performance.now() - from < 200; count++) {
        const found = way();
        if (found !== expected) throw new Error(`expected ${expected} to hold, found ${found}`);
      }
      // The first round warms up.
      if (round > 0) rates[i]!.push((count * scopes.length) / ((performance.now() - from) / 1000));
    }
  }
  return rates.map(median);
}

export function printConditions(results: ConditionsResult): void {
  const million = (value: number) => `${(value / 1e6).toFixed(1)} M/s`;
  console.log('conditions (aim: 10 × the library’s evaluator)');
  for (const { source, oursPerSecond, libraryPerSecond, byHandPerSecond } of results) {
    const ratio = (oursPerSecond / libraryPerSecond).toFixed(1);
    console.log(
      `  ${source}: ${million(oursPerSecond)}, the library ${million(libraryPerSecond)} (${ratio} ×), by hand ${million(byHandPerSecond)}`,
    );
  }
}
