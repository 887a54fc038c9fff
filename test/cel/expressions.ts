import fc from 'fast-check';
import { bool, type CelType, listOf, number, string, timestamp } from '../../src/cel/types.ts';

/**
 * Generated expressions and the facts they read, for comparing two evaluators. Everything is well-typed for both: the library keeps
 * int and double apart, so there are grammars for both kinds; `/` is of doubles, `%` of ints, as in CEL.
 */

/** The facts, as both evaluators are told of them. Optional ones are absent in half of the scopes. */
export const facts = {
  event: {
    query: 'string',
    seconds: 'double',
    gift: 'bool',
    prices: 'list<double>',
    tags: 'list<string>',
    amounts: 'map<string, double>',
    results: 'double',
    note: 'string',
  },
  product: { id: 'string', name: 'string', price: 'double' },
} as const;

const ours: { readonly [type: string]: CelType } = {
  string,
  double: number,
  bool,
  'list<double>': listOf(number),
  'list<string>': listOf(string),
  'map<string, double>': { kind: 'map', of: number },
};
const objectOf = (fields: { readonly [name: string]: string }): CelType => ({
  kind: 'object',
  fields: Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, ours[type]!])),
});
export const declared = { types: { event: objectOf(facts.event), product: objectOf(facts.product), now: timestamp } };

export interface Facts {
  readonly event: object;
  readonly product: object;
  readonly now: number;
}

const someText = fc.constantFrom('', 'Red', 'red tent', 'Tent', 'sale', ' x ', 'p_017', '12', '2.5', "it's");
const someNumber = fc.constantFrom(0, 1, 2.5, -3, 5, 10, 12, 349);
/** Any second from 1973 to 2037, so that most rows of the zone tables are met. */
const instant = fc.integer({ min: 1e8, max: 2_145_000_000 }).map((seconds) => seconds * 1_000);

export const scopes: fc.Arbitrary<Facts> = fc.record({
  event: fc.record(
    {
      query: someText,
      seconds: someNumber,
      gift: fc.boolean(),
      prices: fc.array(someNumber, { minLength: 2, maxLength: 4 }),
      tags: fc.array(someText, { minLength: 2, maxLength: 4 }),
      amounts: fc.dictionary(fc.constantFrom('a', 'b', 'c'), someNumber, { minKeys: 1, noNullPrototype: true }),
      results: someNumber,
      note: someText,
    },
    { requiredKeys: ['query', 'seconds', 'gift', 'prices', 'tags', 'amounts'], noNullPrototype: true },
  ),
  product: fc.record({ id: someText, name: someText, price: someNumber }, { noNullPrototype: true }),
  now: instant,
});

type Source = fc.Arbitrary<string>;
const pick = (...sources: readonly string[]): Source => fc.constantFrom(...sources);

function join(...parts: readonly (string | Source)[]): Source {
  const sources = parts.map((part) => (typeof part === 'string' ? fc.constant(part) : part));
  return fc.tuple(...sources).map((each) => each.join(''));
}

const quoted = fc.oneof(someText, fc.constantFrom('größer', '👍a')).map((text) => JSON.stringify(text));
const order = pick(' < ', ' <= ', ' > ', ' >= ');
const compared = pick(' < ', ' <= ', ' > ', ' >= ', ' == ', ' != ');
/** The library has no `!=` of times. */
const comparedTimes = pick(' < ', ' <= ', ' > ', ' >= ', ' == ');
/** One in `n` of the whole. */
const rarely = (n: number, often: Source, rare: Source): Source =>
  fc.oneof({ weight: n - 1, arbitrary: often }, { weight: 1, arbitrary: rare });

const written = {
  instant: instant.map((ms) => `timestamp("${new Date(ms).toISOString().replace('.000Z', 'Z')}")`),
  duration: fc
    .tuple(pick('', '-'), fc.integer({ min: 0, max: 72 }), fc.integer({ min: 0, max: 3_600 }))
    .map(([sign, hours, seconds]) => `duration("${sign}${hours}h${seconds}s")`),
};

type Kind = 'bool' | 'number' | 'int' | 'text' | 'numbers' | 'texts' | 'amounts' | 'duration' | 'timestamp';

/** One depth for all kinds, or a number in a text in a number would begin anew. */
const depthIdentifier = fc.createDepthIdentifier();

const grammar = fc.letrec<Record<Kind, string>>((tie) => {
  const of = (name: Kind) => tie(name) as Source;
  const either = (...options: Source[]) =>
    fc.oneof({ maxDepth: 3, depthIdentifier, withCrossShrink: true }, ...(options as [Source]));
  return {
    bool: either(
      rarely(
        20,
        pick('true', 'false', 'event.gift', 'has(event.results)', 'has(event.note)'),
        fc.constant('(event.results > 1.0)'),
      ),
      join('(', of('number'), compared, of('number'), ')'),
      join('(', of('text'), compared, of('text'), ')'),
      join('(', of('timestamp'), comparedTimes, of('timestamp'), ')'),
      join('(', of('duration'), comparedTimes, of('duration'), ')'),
      join('(', of('bool'), pick(' && ', ' || ', ' == ', ' != '), of('bool'), ')'),
      join('!', of('bool')),
      join('(', of('bool'), ' ? ', of('bool'), ' : ', of('bool'), ')'),
      join('(', of('int'), compared, of('int'), ')'),
      join('(', of('numbers'), ' == ', of('numbers'), ')'),
      join('(', of('number'), ' in ', of('numbers'), ')'),
      join(of('text'), pick('.contains(', '.startsWith(', '.endsWith('), of('text'), ')'),
      join(of('numbers'), pick('.all', '.exists', '.exists_one'), '(x, x', compared, of('number'), ')'),
      join(of('texts'), pick('.all', '.exists'), '(s, s.contains(', of('text'), '))'),
      // Some elements decide, others fail.
      join(
        of('numbers'),
        pick('.all', '.exists'),
        '(x, x',
        compared,
        of('number'),
        pick(' || ', ' && '),
        'event.results > 1.0)',
      ),
    ),
    number: either(
      pick('0.0', '1.0', '2.5', '-3.0', '5.0', '10.0', '12.0', '349.0'),
      rarely(30, pick('event.seconds', 'product.price'), pick('event.results', 'event.amounts.b')),
      join('(', of('number'), pick(' + ', ' - ', ' * ', ' / '), of('number'), ')'),
      join('-(', of('number'), ')'),
      join('(', of('bool'), ' ? ', of('number'), ' : ', of('number'), ')'),
      join('double(size(', fc.oneof(of('text'), of('numbers'), of('texts'), of('amounts')), '))'),
      join('double(int(', of('number'), '))').filter((source) => !source.includes('/')),
    ),
    int: either(
      pick('0', '1', '2', '3', '7', '12'),
      join('size(', fc.oneof(of('text'), of('numbers'), of('texts'), of('amounts')), ')'),
      join('(', of('int'), pick(' + ', ' - ', ' * '), of('int'), ')'),
      join('(', of('int'), ' % ', pick('2', '3', '5'), ')'),
      join('now.', pick('getHours()', 'getDayOfWeek()', 'getMonth("America/New_York")', 'getDate("Asia/Kathmandu")')),
    ),
    text: either(
      quoted,
      rarely(30, pick('event.query', 'product.id', 'product.name'), fc.constant('event.note')),
      join('(', of('text'), ' + ', of('text'), ')'),
      join('string(', fc.oneof(of('number'), of('int'), of('bool'), of('text')), ')'),
      join('(', of('bool'), ' ? ', of('text'), ' : ', of('text'), ')'),
    ),
    numbers: either(
      fc.constant('event.prices'),
      join('[', of('number'), ', ', of('number'), ']'),
      join(of('numbers'), '.filter(x, x', compared, of('number'), ')'),
      join(of('numbers'), '.map(x, x * ', of('number'), ')'),
      join('(', of('numbers'), ' + ', of('numbers'), ')'),
    ),
    texts: either(
      fc.constant('event.tags'),
      join('[', of('text'), ', ', of('text'), ']'),
      join(of('texts'), '.map(s, s + ', of('text'), ')'),
    ),
    amounts: either(fc.constant('event.amounts'), join('{"a": ', of('number'), ', "b": ', of('number'), '}')),
    duration: either(written.duration, join('(', of('timestamp'), ' - ', of('timestamp'), ')')),
    timestamp: either(
      fc.oneof(fc.constant('now'), written.instant),
      join('(', of('timestamp'), pick(' + ', ' - '), written.duration, ')'),
    ),
  };
});

/** A condition that is all about one operator or function. */
export interface About {
  /** What it makes; the condition itself if that is true or false. */
  readonly value: string;
  readonly condition: string;
}
type Abouts = fc.Arbitrary<About>;

const { bool: truth, number: double, int, text, numbers, texts, amounts, duration, timestamp: time } = grammar;

const isTrue = (condition: Source): Abouts => condition.map((source) => ({ value: source, condition: source }));

/** Whatever is compared, one of each two of these operators is true and the other is false. */
const is = (value: Source, other: Source, operators: Source): Abouts =>
  fc
    .tuple(value, operators, other)
    .map(([made, operator, than]) => ({ value: made, condition: `(${made}${operator}${than})` }));
const isDouble = (value: Source) => is(value, double, pick(' < ', ' >= ', ' > ', ' <= ', ' == ', ' != '));
const isInt = (value: Source, other: Source = int) =>
  is(value, other, pick(' < ', ' >= ', ' > ', ' <= ', ' == ', ' != '));
const isText = (value: Source) => is(value, text, pick(' < ', ' >= ', ' == ', ' != '));
const isNumbers = (value: Source) => is(value, numbers, pick(' == ', ' != '));
const isTime = (value: Source) => is(value, time, pick(' < ', ' >= '));
const isDuration = (value: Source) => is(value, duration, pick(' < ', ' >= '));

/** Two sides, and half of the time the same in another dress. */
function sides(side: Source): fc.Arbitrary<readonly [string, string]> {
  return fc.oneof(
    fc.tuple(side, side),
    side.chain((source) =>
      fc.constantFrom([source, source] as const, [source, `(true ? ${source} : ${source})`] as const),
    ),
  );
}
const equality = (operator: string, ...kinds: readonly Source[]): Abouts =>
  isTrue(fc.oneof(...kinds.map((kind) => sides(kind).map(([a, b]) => `(${a}${operator}${b})`))));
const ordered = (operator: string): Abouts =>
  isTrue(
    fc.oneof(
      ...[double, int, text, time, duration].map((kind) => join('(', kind, operator, kind, ')')),
      join('(', double, operator, int, ')'),
    ),
  );
/** More often true, or more often false, so that `&&` and `||` of two are neither nearly always. */
const mostly = (value: boolean): Source =>
  fc.oneof(
    truth,
    value
      ? pick('true', '(event.seconds < 1000.0)', 'has(event.query)')
      : pick('false', '(event.seconds > 1000.0)', '!has(event.query)'),
  );

/** A text with a part of itself, or with another one. */
const withPart = (method: string, whole: (a: string, b: string, c: string) => string): Abouts =>
  isTrue(
    fc
      .tuple(text, text, text, fc.boolean())
      .map(([a, b, c, its]) => (its ? `${whole(a, b, c)}${method}(${b})` : `${a}${method}(${c})`)),
  );

const oneOf = (...abouts: Abouts[]): Abouts => fc.oneof(...abouts);
const zone = pick(
  '"UTC"',
  '"Europe/Berlin"',
  '"America/New_York"',
  '"America/St_Johns"',
  '"Asia/Kathmandu"',
  '"Australia/Lord_Howe"',
  '"Pacific/Apia"',
);
const timePart = (name: string, from: number, to: number): Abouts =>
  isInt(
    fc.oneof(join(time, `.${name}()`), join(time, `.${name}(`, zone, ')')),
    fc.integer({ min: from, max: to }).map(String),
  );
const durationPart = (name: string, to: number): Abouts =>
  isInt(join(duration, `.${name}()`), fc.integer({ min: -to, max: to }).map(String));
const pairOf = (element: Source): Source => join('[', element, ', ', element, ']');
/** Mostly over one element or two: of more, all of them or just one would rarely hold. */
const fewOf = (element: Source): Source => fc.oneof(join('[', element, ']'), pairOf(element));
const macro = (name: string): Source =>
  fc.oneof(
    join(fewOf(double), `.${name}(x, x`, order, double, ')'),
    join(numbers, `.${name}(x, x`, compared, 'event.seconds)'),
    join(fewOf(text), `.${name}(s, s.contains(`, text, '))'),
    join(fewOf(text), `.${name}(s, size(s)`, order, pick('2', '3', '4'), ')'),
    join(fewOf(double), `.${name}(x, [1.0, 10.0].exists(y, x * y`, order, double, '))'),
  );

/** Each operator and function that there is, by the name that it has in src/cel. */
export const subjects: { readonly [name: string]: Abouts } = {
  '&&': isTrue(join('(', mostly(true), ' && ', mostly(true), ')')),
  '||': isTrue(join('(', mostly(false), ' || ', mostly(false), ')')),
  '!_': isTrue(join('!', truth)),
  '?:': oneOf(
    isTrue(join('(', truth, ' ? ', truth, ' : ', truth, ')')),
    isDouble(join('(', truth, ' ? ', double, ' : ', double, ')')),
    isText(join('(', truth, ' ? ', text, ' : ', text, ')')),
  ),
  '==': equality(' == ', double, int, text, truth, numbers, texts, amounts, time, duration),
  '!=': equality(' != ', double, int, text, truth, numbers, texts, amounts),
  '<': ordered(' < '),
  '<=': ordered(' <= '),
  '>': ordered(' > '),
  '>=': ordered(' >= '),
  in: isTrue(
    fc.oneof(
      fc.tuple(double, double, double, fc.boolean()).map(([a, b, c, its]) => `(${a} in [${b}, ${its ? a : c}])`),
      fc.tuple(text, text, text, fc.boolean()).map(([a, b, c, its]) => `(${a} in [${its ? a : c}, ${b}])`),
      fc.tuple(numbers, numbers, numbers, fc.boolean()).map(([a, b, c, its]) => `(${a} in [${b}, ${its ? a : c}])`),
      join('(', text, ' in event.tags)'),
      join('(', double, ' in event.prices)'),
      join('(', pick('"a"', '"b"', '"c"'), ' in event.amounts)'),
    ),
  ),
  // A duration plus a time is left out: the library takes it for a duration, and then compares it with none.
  '+': oneOf(
    isDouble(join('(', double, ' + ', double, ')')),
    isInt(join('(', int, ' + ', int, ')')),
    isText(join('(', text, ' + ', text, ')')),
    isNumbers(join('(', numbers, ' + ', numbers, ')')),
    isTime(join('(', time, ' + ', duration, ')')),
    isDuration(join('(', duration, ' + ', duration, ')')),
  ),
  '-': oneOf(
    isDouble(join('(', double, ' - ', double, ')')),
    isInt(join('(', int, ' - ', int, ')')),
    isTime(join('(', time, ' - ', duration, ')')),
    isDuration(join('(', time, ' - ', time, ')')),
    isDuration(join('(', duration, ' - ', duration, ')')),
  ),
  '*': oneOf(isDouble(join('(', double, ' * ', double, ')')), isInt(join('(', int, ' * ', int, ')'))),
  '/': isDouble(join('(', double, ' / ', double, ')')),
  '%': isInt(join('(', int, ' % ', rarely(4, pick('1', '2', '3', '5', '-4'), int), ')')),
  '-_': oneOf(isDouble(join('-(', double, ')')), isInt(join('-(', int, ')'))),
  '.': oneOf(
    isDouble(rarely(15, pick('event.seconds', 'product.price'), pick('event.results', 'event.amounts.b'))),
    isText(rarely(15, pick('event.query', 'product.id', 'product.name'), fc.constant('event.note'))),
    isDouble(join('{"a": ', double, ', "b": ', double, '}.', rarely(15, pick('a', 'b'), fc.constant('c')))),
  ),
  '[]': oneOf(
    isDouble(join(rarely(4, pairOf(double), numbers), '[', rarely(30, pick('0', '1'), pick('2', '-1')), ']')),
    isText(join(rarely(4, pairOf(text), texts), '[', rarely(30, pick('0', '1'), pick('2', '9')), ']')),
    isDouble(join('{"a": ', double, ', "b": ', double, '}[', rarely(30, pick('"a"', '"b"'), text), ']')),
  ),
  '[a, b]': oneOf(
    isNumbers(join('[', double, ', ', double, ', event.seconds]')),
    is(join('[', text, ', ', text, ']'), texts, pick(' == ', ' != ')),
  ),
  '{a: b}': is(join('{"a": ', double, ', "b": ', double, ', "it": event.seconds}'), amounts, pick(' == ', ' != ')),
  size: isInt(join('size(', fc.oneof(text, numbers, texts, amounts), ')')),
  has: isTrue(
    fc.oneof(
      pick('has(event.results)', 'has(event.note)', 'has(event.amounts.a)', 'has(event.amounts.c)'),
      join('(', pick('has(event.results)', 'has(event.note)'), pick(' && ', ' == '), truth, ')'),
      fc.constant('(has(event.results) && event.results > 0.0)'),
    ),
  ),
  duration: isDuration(
    fc.oneof(
      written.duration,
      fc.integer({ min: 1, max: 9_999 }).map((n) => `duration("${n / 1_000}s")`),
      fc
        .tuple(fc.integer({ min: 0, max: 50 }), pick('ms', 's', 'm', 'h'))
        .map(([n, unit]) => `duration("${n}.5${unit === 'ms' ? 's' : unit}${n}ms")`),
    ),
  ),
  timestamp: isTime(
    fc
      .tuple(fc.integer({ min: 0, max: 4_000_000_000_000 }), pick('Z', '+02:00', '-09:30'), fc.boolean())
      .map(
        ([ms, offset, fraction]) => `timestamp("${new Date(ms).toISOString().slice(0, fraction ? 23 : 19)}${offset}")`,
      ),
  ),
  string: isText(join('string(', fc.oneof(double, int, truth, text), ')')),
  double: isDouble(
    join(
      'double(',
      rarely(20, fc.oneof(double, int, pick('"12"', '"-2.5"', '"1e3"', '"0.25"')), pick('"x"', '"1,5"')),
      ')',
    ),
  ),
  int: isInt(join('int(', rarely(20, fc.oneof(double, int, pick('"12"', '"-2"', '"007"')), pick('"x"', '"1.5"')), ')')),
  contains: withPart('.contains', (a, b, c) => `((${a} + ${b}) + ${c})`),
  startsWith: withPart('.startsWith', (_a, b, c) => `(${b} + ${c})`),
  endsWith: withPart('.endsWith', (a, b) => `(${a} + ${b})`),
  lowerAscii: isText(join(text, '.lowerAscii()')),
  // The library raises other letters than ASCII's, too.
  upperAscii: isText(join(text, '.upperAscii()').filter((source) => !source.includes('ö'))),
  trim: isText(join('(" " + ', text, ' + "\\t\\n").trim()')),
  all: isTrue(macro('all')),
  exists: isTrue(macro('exists')),
  exists_one: isTrue(macro('exists_one')),
  filter: oneOf(
    isNumbers(join(numbers, '.filter(x, x', compared, double, ')')),
    is(join(texts, '.filter(s, s.contains(', text, '))'), texts, pick(' == ', ' != ')),
  ),
  'map with a condition': isNumbers(join(numbers, '.map(x, x', compared, double, ', x + ', double, ')')),
  map: isNumbers(join(numbers, '.map(x, x ', pick('+', '-', '*', '/'), ' ', double, ')')),
  getFullYear: timePart('getFullYear', 1985, 2025),
  getMonth: timePart('getMonth', 0, 11),
  getDate: timePart('getDate', 1, 31),
  getDayOfMonth: timePart('getDayOfMonth', 0, 30),
  getDayOfWeek: timePart('getDayOfWeek', 0, 6),
  getDayOfYear: timePart('getDayOfYear', 0, 365),
  getHours: oneOf(timePart('getHours', 0, 23), durationPart('getHours', 72)),
  getMinutes: oneOf(timePart('getMinutes', 0, 59), durationPart('getMinutes', 5_000)),
  getSeconds: oneOf(timePart('getSeconds', 0, 59), durationPart('getSeconds', 200_000)),
  // Of a duration the library gives all milliseconds; CEL's conformance data has those beyond the last second.
  getMilliseconds: timePart('getMilliseconds', 0, 999),
};
