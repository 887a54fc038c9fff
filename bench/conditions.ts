import { Environment } from '@marcbachmann/cel-js';
import { compileCondition, evaluateCondition } from '../src/cel/cel.ts';
import { money, string } from '../src/cel/types.ts';
import { median } from './measure.ts';

/** One condition, compiled once, evaluated again and again: ours, the library's own evaluator, and JavaScript written by hand. */
export interface ConditionsResult {
  readonly oursPerSecond: number;
  readonly libraryPerSecond: number;
  readonly byHandPerSecond: number;
}

const source = 'product.id == "p_017" && cart.value > 100.0';
/** Half of the scopes fit, so that no branch is always taken. */
const scopes = Array.from({ length: 64 }, (_, i) => ({
  product: { id: i % 2 === 0 ? 'p_017' : `p_${i}` },
  cart: { value: 60 + i * 2 },
}));

export function conditions(): ConditionsResult {
  const compiled = compileCondition(source, {
    types: {
      product: { kind: 'object', fields: { id: string } },
      cart: { kind: 'object', fields: { value: money } },
    },
  });
  if (!compiled.ok) throw new Error(compiled.problems[0]?.message);
  const { cel } = compiled;
  const library = new Environment()
    .registerVariable('product', { schema: { id: 'string' } })
    .registerVariable('cart', { schema: { value: 'double' } })
    .parse(source);
  return {
    oursPerSecond: perSecond((scope) => evaluateCondition(cel, scope)),
    libraryPerSecond: perSecond((scope) => library(scope) as boolean),
    byHandPerSecond: perSecond((scope) => scope.product.id === 'p_017' && scope.cart.value > 100),
  };
}

function perSecond(evaluate: (scope: (typeof scopes)[number]) => boolean): number {
  const expected = scopes.filter((scope) => scope.product.id === 'p_017' && scope.cart.value > 100).length;
  const rates: number[] = [];
  for (let round = 0; round < 6; round++) {
    const from = performance.now();
    let held = 0;
    let rounds = 0;
    while (performance.now() - from < 250) {
      for (const scope of scopes) if (evaluate(scope)) held++;
      rounds++;
    }
    if (held !== expected * rounds) throw new Error(`expected ${expected * rounds} to hold, found ${held}`);
    // The first round warms up.
    if (round > 0) rates.push((rounds * scopes.length) / ((performance.now() - from) / 1000));
  }
  return median(rates);
}

export function printConditions(result: ConditionsResult): void {
  const million = (value: number) => `${(value / 1e6).toFixed(1)} M/s`;
  const { oursPerSecond, libraryPerSecond, byHandPerSecond } = result;
  console.log(
    `a condition: ${million(oursPerSecond)}; the library's evaluator ${million(libraryPerSecond)} (${(oursPerSecond / libraryPerSecond).toFixed(1)} ×); by hand ${million(byHandPerSecond)}`,
  );
}
