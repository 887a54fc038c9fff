import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCel } from '../../src/cel/cel.ts';
import { CelError } from '../../src/cel/errors.ts';
import { declared, scope } from './declared.ts';

/** The library's own checker and evaluator, on the same declarations. It knows int and double; facts here are doubles. */
const library = new Environment()
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
const libraryScope = { event: scope.event, product: scope.product, now: new Date(scope.now) };

const FAILS = 'fails';

function ours(source: string): unknown {
  const result = compileCel(source, declared);
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

function theirs(source: string): unknown {
  try {
    return plain(library.evaluate(source, libraryScope));
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
  if (isDuration(value)) return Number(value.seconds) * 1000 + value.nanos / 1e6;
  return Array.isArray(value) ? value.map(plain) : value;
}

function isDuration(value: unknown): value is { seconds: bigint; nanos: number } {
  return value !== null && typeof value === 'object' && 'seconds' in value && 'nanos' in value;
}

const literal = fc.constantFrom('0.0', '1.0', '2.5', '5.0', '10.0', '12.0', '349.0');
const text = fc.constantFrom('""', '"Red"', '"Tent"', '"sale"', '"p_017"', "'it\\'s'");
const op = fc.constantFrom('<', '<=', '>', '>=', '==', '!=');

/** Well-typed expressions by the type they have. `event.results` is absent, so many of them fail somewhere. */
const generated = fc.letrec<
  Record<'bool' | 'number' | 'string' | 'numbers' | 'strings' | 'duration' | 'timestamp', string>
>((tie) => {
  const join = (...parts: (string | fc.Arbitrary<string>)[]) =>
    fc
      .tuple(...parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part)))
      .map((each) => each.join(''));
  const of = (name: Parameters<typeof tie>[0]) => tie(name) as fc.Arbitrary<string>;
  const either = (...options: fc.Arbitrary<string>[]) =>
    fc.oneof({ maxDepth: 4, withCrossShrink: true }, ...(options as [fc.Arbitrary<string>]));
  return {
    bool: either(
      fc.constantFrom('true', 'false', 'event.gift', 'has(event.results)', 'has(event.query)'),
      join('(', of('number'), ' ', op, ' ', of('number'), ')'),
      join('(', of('string'), ' ', op, ' ', of('string'), ')'),
      join(
        '(',
        of('timestamp'),
        ' ',
        op.filter((each) => each !== '!='),
        ' ',
        of('timestamp'),
        ')',
      ),
      join('(', of('duration'), ' ', fc.constantFrom('<', '>', '=='), ' ', of('duration'), ')'),
      join('(', of('bool'), ' ', fc.constantFrom('&&', '||', '==', '!='), ' ', of('bool'), ')'),
      join('!', of('bool')),
      join('(', of('bool'), ' ? ', of('bool'), ' : ', of('bool'), ')'),
      join(of('string'), '.', fc.constantFrom('contains', 'startsWith', 'endsWith'), '(', of('string'), ')'),
      join('(', of('number'), ' in ', of('numbers'), ')'),
      join('(', of('string'), ' in ', of('strings'), ')'),
      // Some elements decide, others fail.
      join(
        of('numbers'),
        '.',
        fc.constantFrom('all', 'exists'),
        '(x, x ',
        op,
        ' ',
        of('number'),
        fc.constantFrom(' || ', ' && '),
        'event.results > 1.0)',
      ),
      join(of('numbers'), '.', fc.constantFrom('all', 'exists', 'exists_one'), '(x, x ', op, ' ', of('number'), ')'),
      join(of('strings'), '.', fc.constantFrom('all', 'exists'), '(s, s.contains(', of('string'), '))'),
      join('(', of('numbers'), ' == ', of('numbers'), ')'),
    ),
    number: either(
      literal,
      fc.constantFrom('event.seconds', 'event.results', 'product.price'),
      join('(', of('number'), ' ', fc.constantFrom('+', '-', '*', '/'), ' ', of('number'), ')'),
      join('-(', of('number'), ')'),
      join('(', of('bool'), ' ? ', of('number'), ' : ', of('number'), ')'),
      join('double(size(', fc.oneof(of('string'), of('numbers'), of('strings')), '))'),
      join(of('numbers'), '[', fc.constantFrom('0', '1', '7'), ']'),
      join('double(int(', of('number'), '))').filter((source) => !source.includes('/')),
    ),
    string: either(
      text,
      fc.constantFrom('event.query', 'product.id', 'product.name'),
      join('(', of('string'), ' + ', of('string'), ')'),
      join('string(', fc.oneof(of('number'), of('bool'), of('string')), ')'),
      join('(', of('bool'), ' ? ', of('string'), ' : ', of('string'), ')'),
    ),
    numbers: either(
      fc.constant('event.prices'),
      join('[', of('number'), ', ', of('number'), ']'),
      join(of('numbers'), '.filter(x, x ', op, ' ', of('number'), ')'),
      join(of('numbers'), '.map(x, x * ', of('number'), ')'),
      join('(', of('numbers'), ' + ', of('numbers'), ')'),
    ),
    strings: either(
      fc.constant('event.tags'),
      join('[', of('string'), ']'),
      join(of('strings'), '.map(s, s + ', of('string'), ')'),
    ),
    duration: either(
      fc.constantFrom('duration("0s")', 'duration("90m")', 'duration("-1h")'),
      join('(', of('timestamp'), ' - ', of('timestamp'), ')'),
    ),
    timestamp: either(
      fc.constantFrom('now', 'timestamp("2026-11-23T11:00:00Z")'),
      join('(', of('timestamp'), fc.constantFrom(' + ', ' - '), of('duration'), ')'),
    ),
  };
});

const runs = Number(process.env['USHER_TEST_RUNS'] ?? 400);

describe('our closures and the evaluator of the library', () => {
  it('agree on well-typed expressions, also on which fail', () => {
    let failed = 0;
    fc.assert(
      fc.property(fc.oneof(...Object.values(generated)), (source) => {
        fc.pre(source.length < 1_500);
        const expected = theirs(source);
        if (expected === FAILS) failed++;
        expect(ours(source), source).toEqual(expected);
      }),
      { numRuns: runs },
    );
    expect(failed, 'some of them fail, or nothing is said of failures').toBeGreaterThan(0);
  });

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
        const check = library.check(source);
        const result = compileCel(source, declared);
        if (check.valid) accepted++;
        expect(result.ok, `${source}: ${check.valid ? 'the library accepts' : check.error?.message}`).toBe(check.valid);
      }),
      { numRuns: runs },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});
