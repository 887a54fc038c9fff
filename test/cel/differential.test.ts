import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { compileCel } from '../../src/cel/cel.ts';
import { CelError } from '../../src/cel/errors.ts';
import { functionNames, methodNames } from '../../src/cel/functions.ts';
import { declared } from './declared.ts';
import { type Facts, facts, declared as generatedFacts, scopes, subjects } from './expressions.ts';

// The library tells the time of a zone by way of the zone of the process.
process.env['TZ'] = 'UTC';

/** The library's own checker and evaluator, on the same declarations. It knows int and double; facts here are doubles. */
const library = new Environment()
  .registerVariable('event', { schema: facts.event })
  .registerVariable('product', { schema: facts.product })
  .registerVariable('now', 'google.protobuf.Timestamp');

const FAILS = 'fails';

function ours(source: string, scope: Facts): unknown {
  const result = compileCel(source, generatedFacts);
  // Our limits are tested elsewhere.
  fc.pre(result.ok || !result.problems.some(({ message }) => message.startsWith('macros nest')));
  if (!result.ok) throw new Error(`${source}: ${result.problems[0]?.message}`);
  try {
    return plain(result.cel.evaluate(scope));
  } catch (error) {
    if (error instanceof CelError) return FAILS;
    throw error;
  }
}

function theirs(source: string, scope: Facts): unknown {
  try {
    return plain(library.evaluate(source, { ...scope, now: new Date(scope.now) }));
  } catch (error) {
    if ((error as Error).name === 'EvaluationError') return FAILS;
    throw error;
  }
}

/** One kind of number, and no difference between the two zeros. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number') return value === 0 ? 0 : value;
  if (value instanceof Date) return value.getTime();
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  if (isDuration(value)) return Number(value.seconds) * 1000 + value.nanos / 1e6;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
}

function isDuration(value: object): value is { seconds: bigint; nanos: number } {
  return 'seconds' in value && 'nanos' in value;
}

const runs = Math.max(1_000, Number(process.env['USHER_TEST_RUNS'] ?? 0));

describe('our closures and the evaluator of the library agree on conditions about', () => {
  const rows: object[] = [];

  it.each(Object.keys(subjects))('%s', (subject) => {
    const counts = { true: 0, false: 0, fails: 0 };
    fc.assert(
      fc.property(subjects[subject]!, scopes, ({ value, condition }, scope) => {
        fc.pre(condition.length < 1_000);
        if (value !== condition) expect(ours(value, scope), value).toEqual(theirs(value, scope));
        const expected = theirs(condition, scope);
        expect(ours(condition, scope), condition).toBe(expected);
        counts[String(expected) as 'true']++;
      }),
      { numRuns: runs },
    );
    const conditions = counts.true + counts.false + counts.fails;
    rows.push({ subject, conditions, ...counts });
    expect(conditions).toBeGreaterThanOrEqual(1_000);
    expect(counts.true / conditions, 'of them are true').toBeGreaterThanOrEqual(0.25);
    expect(counts.false / conditions, 'of them are false').toBeGreaterThanOrEqual(0.25);
    expect(counts.fails / conditions, 'of them fail').toBeLessThan(0.1);
  });

  it('whatever function src/cel has', () => {
    expect(Object.keys(subjects)).toEqual(expect.arrayContaining([...functionNames, ...methodNames]));
  });

  it('facts that are absent, so that some of them fail', () => {
    expect(rows.filter((row) => (row as { fails: number }).fails > 0).length).toBeGreaterThan(rows.length / 2);
  });

  afterAll(() => console.table(rows));
});

/** What both sides of the last test are told of. */
const looseLibrary = new Environment()
  .registerVariable('event', {
    schema: {
      query: 'string',
      results: 'double',
      seconds: 'double',
      prices: 'list<double>',
      tags: 'list<string>',
      gift: 'bool',
    },
  })
  .registerVariable('product', { schema: { id: 'string', name: 'string', price: 'double' } })
  .registerVariable('now', 'google.protobuf.Timestamp');

describe('our checker and the checker of the library', () => {
  const atom = fc.constantFrom(
    '1.0',
    'product.price',
    '"a"',
    'event.query',
    'true',
    'event.gift',
    'now',
    'duration("1m")',
    'event.prices',
    'event.tags',
    'event.nothing',
    'nobody',
  );
  const loose = fc.letrec<{ any: string }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      atom,
      fc
        .tuple(tie('any'), fc.constantFrom('+', '-', '*', '/', '==', '&&', '||', 'in'), tie('any'))
        .map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      fc.tuple(tie('any'), tie('any'), tie('any')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
      tie('any').map((a) => `!${a}`),
      tie('any').map((a) => `double(${a}.getHours())`),
      tie('any').map((a) => `double(${a}.getDate("Europe/Berlin"))`),
      tie('any')
        .map((a) => `size(${a})`)
        .map((a) => `double(${a})`),
      fc.tuple(tie('any'), tie('any')).map(([a, b]) => `${a}.contains(${b})`),
      fc.tuple(tie('any'), tie('any')).map(([a, b]) => `${a}.exists(x, x == ${b})`),
    ),
  })).any;

  it('refuse the same expressions, whatever is put together', () => {
    let accepted = 0;
    fc.assert(
      fc.property(loose, (source) => {
        const check = looseLibrary.check(source);
        const result = compileCel(source, declared);
        if (check.valid) accepted++;
        expect(result.ok, `${source}: ${check.valid ? 'the library accepts' : check.error?.message}`).toBe(check.valid);
      }),
      { numRuns: runs },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});
