import { describe, expect, it } from 'vitest';
import { type Cel, compileCel, compileCondition, evaluateCondition, evaluateJson } from '../../src/cel/cel.ts';
import { CelError, type CelProblem } from '../../src/cel/errors.ts';
import { maxMacroSteps } from '../../src/cel/macros.ts';
import { declared, scope } from './declared.ts';

function compiled(source: string): Cel {
  const result = compileCel(source, declared);
  if (!result.ok) throw new Error(`${source}: ${result.problems.map(({ message }) => message).join('; ')}`);
  return result.cel;
}
function problemsOf(source: string): readonly CelProblem[] {
  const result = compileCel(source, declared);
  return result.ok ? [] : result.problems;
}
const resultOf = (source: string, of: object = scope) => compiled(source).evaluate(of);

describe('an expression', () => {
  it.each<[string, unknown]>([
    ['product.id == "p_017" && cart.value > 100', true],
    ['1 / 2', 0.5],
    ['7 % 4', 3],
    ['-event.seconds + 2', -10],
    ['"a" + "b"', 'ab'],
    ['[1, 2] + [3]', [1, 2, 3]],
    ['event.seconds in [10, 12]', true],
    ['"sale" in event.tags', true],
    ['"a" in {"a": 1}', true],
    ['{"a": [1]} == {"a": [1]}', true],
    ['[1, 2] == [1, 2.0]', true],
    ['event.prices[1]', 10],
    ['{"a": 5}["a"]', 5],
    ['cart.lines[0].price * cart.lines[0].quantity', 100],
    ['size("👍a")', 2],
    ['size(cart.lines)', 2],
    ['event.tags.size()', 2],
    ['event.query.lowerAscii().contains("tent")', true],
    ['event.query.startsWith("Red") && !event.query.endsWith("Red")', true],
    ['event.gift ? "yes" : "no"', 'yes'],
    ['string(12.5) + string(true)', '12.5true'],
    ['double("1.5") + int("-2")', -0.5],
    ['int(2.9)', 2],
    ['now - timestamp("2026-11-23T11:58:00Z") < duration("2m1s")', true],
    ['now + duration("1h") > now', true],
    ['duration("1h30m") == duration("90m")', true],
    ['cart.lines.exists(l, l.price > 40 && l.quantity == 2)', true],
    ['cart.lines.all(l, l.price > 40)', false],
    ['cart.lines.exists_one(l, l.price > 40)', true],
    ['event.prices.filter(p, p > 5).map(p, p * 2)', [20, 30]],
    ['event.prices.map(p, p > 5, p)', [10, 15]],
    ['cart.lines.exists(l, event.prices.exists(p, p * 10 == l.price))', true],
    ['product.price / 10 > 30 ? 1 : 2', 1],
    ['string(now) + string(now + duration("1500ms"))', '2026-11-23T12:00:00Z2026-11-23T12:00:01.5Z'],
    ['int(-0.5) == 0 && 1 / int(-0.5) > 0 && 1 / (-4 % 2) > 0', true],
    ['double(1 / 0) > 0', true],
    ['0 / 0 in [0 / 0]', false],
    ['"\\uFB01" < "👍"', true],
    ['"\\u0085\\u3000a \\uFEFF ".trim()', 'a \uFEFF'],
  ])('%s', (source, value) => {
    expect(resultOf(source)).toEqual(value);
  });

  it('takes an integer literal for a double, so that 1 / 2 is a half and 5 == 5.0', () => {
    expect(resultOf('1 / 2 == 0.5 && 5 == 5.0')).toBe(true);
  });

  it('lets the side of && and || that decides alone decide, though the other one fails', () => {
    expect(resultOf('event.results > 3 || true')).toBe(true);
    expect(resultOf('true || event.results > 3')).toBe(true);
    expect(resultOf('event.results > 3 && false')).toBe(false);
    expect(resultOf('event.prices.exists(p, p == 15 || event.results > 1)')).toBe(true);
    expect(() => resultOf('event.results > 3 || false')).toThrow(CelError);
    expect(() => resultOf('event.results > 3 && true')).toThrow(CelError);
    expect(() => resultOf('event.prices.all(p, p > 0 && event.results > 1)')).toThrow(CelError);
  });

  it('fails on an absent fact, says which, and can ask for it by has() or null', () => {
    expect(() => resultOf('event.results > 3')).toThrow('event.results: is absent');
    expect(resultOf('has(event.results)')).toBe(false);
    expect(resultOf('has(event.results) && event.results > 3')).toBe(false);
    expect(resultOf('event.results == null')).toBe(true);
    expect(resultOf('event.query != null')).toBe(true);
    expect(resultOf('has(event.results)', { ...scope, event: { results: null } })).toBe(false);
    expect(() => resultOf('product.id == "p_017"', { ...scope, product: null })).toThrow(CelError);
    expect(resultOf('product == null', { ...scope, product: null })).toBe(true);
  });

  it('fails on a value of another type than declared, instead of coercing it', () => {
    expect(() => resultOf('cart.value > 100', { cart: { value: '120' } })).toThrow(CelError);
    expect(() => resultOf('event.gift ? 1 : 2', { event: { gift: 1 } })).toThrow(CelError);
    expect(() => resultOf('event.query + "x"', { event: { query: null } })).toThrow(CelError);
  });

  it('reads no property that an object only inherits', () => {
    const result = compileCel('event.constructor == null', { types: { event: { kind: 'dyn' } } });
    expect(result.ok && result.cel.evaluate({ event: {} })).toBe(true);
    const fields = { constructor: { kind: 'string' } } as const;
    const asDeclared = compileCel('event.constructor', { types: { event: { kind: 'object', fields } } });
    expect(() => asDeclared.ok && asDeclared.cel.evaluate({ event: {} })).toThrow('is absent');
  });

  it('gives no number to the state that JSON has not', () => {
    expect(() => evaluateJson(compiled('1 / 0'), scope)).toThrow('not a finite number');
    expect(() => evaluateJson(compiled('0 / 0'), scope)).toThrow('not a finite number');
  });

  it(`stops after ${maxMacroSteps} steps of macros, nested ones together`, () => {
    const many = (n: number) => ({ ...scope, event: { prices: Array.from({ length: n }, (_, i) => i) } });
    const nested = compiled('event.prices.all(a, event.prices.all(b, a + b >= 0))');
    expect(evaluateCondition(nested, many(99))).toBe(true);
    expect(() => evaluateCondition(nested, many(101))).toThrow('more than 10000 steps');
    expect(evaluateCondition(nested, many(99)), 'each evaluation begins anew').toBe(true);
  });

  it('fails where CEL has no value, and gives no time that nothing could write', () => {
    expect(() => resultOf('event.seconds % 0 == 0')).toThrow('there is no remainder of a division by 0');
    expect(() => resultOf('int(9223372036854775807.0)')).toThrow('is not a number');
    expect(() => resultOf('double("1e400")')).toThrow('is not a number');
    const centuries = 'duration("2500000h")';
    expect(() => resultOf(`${centuries} + ${centuries}`)).toThrow('is beyond 292 years');
    const far = Array(30).fill(centuries).join(' + ');
    expect(() => resultOf(`now + ${far}`)).toThrow('is beyond the years 1 to 9999');
    expect(() => resultOf('string(now)', { now: 9e15 })).toThrow(CelError);
    expect(() => resultOf('now.getHours("Europe/Berlin")', { now: 9e15 })).toThrow(CelError);
  });

  it('names what it reads as far as it is written, without the variables of macros', () => {
    const { reads } = compiled(
      'cart.lines.exists(l, l.price > product.price) && has(event.results) && event.prices[0] > cart.value && now > now',
    );
    expect(reads).toEqual(['cart.lines', 'product.price', 'event.results', 'event.prices', 'cart.value', 'now']);
  });
});

describe('a part of a time', () => {
  // Half an hour before midnight in Kathmandu, which is 5:45 ahead, and half an hour after the year's last.
  const summer = { now: Date.UTC(2026, 6, 13, 17, 45, 7, 8) };
  const winter = { now: Date.UTC(2026, 11, 31, 18, 45) };

  it.each<[string, object, number]>([
    ['now.getFullYear()', summer, 2026],
    ['now.getMonth()', summer, 6],
    ['now.getDate()', summer, 13],
    ['now.getDayOfMonth()', summer, 12],
    ['now.getDayOfWeek()', summer, 1],
    ['now.getDayOfYear()', summer, 193],
    ['now.getHours()', summer, 17],
    ['now.getMinutes()', summer, 45],
    ['now.getSeconds()', summer, 7],
    ['now.getMilliseconds()', summer, 8],
    ['now.getHours("Europe/Berlin")', summer, 19],
    ['now.getHours("Europe/Berlin")', winter, 19],
    ['now.getHours("America/New_York")', summer, 13],
    ['now.getHours("America/New_York")', winter, 13],
    ['now.getHours("-09:30")', summer, 8],
    ['now.getHours("02:00")', summer, 19],
    ['now.getMinutes("Asia/Kathmandu")', summer, 30],
    ['now.getFullYear("Asia/Kathmandu")', winter, 2027],
    ['now.getMonth("Asia/Kathmandu")', winter, 0],
    ['now.getDayOfYear("Asia/Kathmandu")', winter, 0],
    ['now.getDayOfWeek("Asia/Kathmandu")', winter, 5],
    // Before railways each town had its own time, to the second.
    ['timestamp("1880-01-01T00:00:00Z").getSeconds("Europe/Berlin")', winter, 28],
    ['timestamp("0099-12-31T00:00:00Z").getDayOfYear()', winter, 364],
    ['duration("-90m").getHours()', winter, -1],
    ['duration("61m1.5s").getMinutes()', winter, 61],
    ['duration("61m1.5s").getSeconds()', winter, 3661],
    ['duration("61m1.5s").getMilliseconds()', winter, 500],
  ])('%s is that of the zone at that time', (source, at, part) => {
    expect(resultOf(source, at)).toBe(part);
  });

  it.each([
    // Summer time ended at 00:01 there, in 2010.
    ['America/St_Johns', Date.UTC(2010, 10, 7, 2, 31), [59, 23 * 3_600 + 60]],
    // Berlin had its own time until 1893, 53 minutes and 28 seconds ahead: its clocks changed in the middle of a minute.
    ['Europe/Berlin', Date.UTC(1893, 2, 31, 23, 6, 32), [86_399, 6 * 60 + 32]],
  ])('is the same whatever was asked before: around a change of clocks in %s', (zone, change, [before, after]) => {
    const second = compiled(
      `now.getHours("${zone}") * 3600 + now.getMinutes("${zone}") * 60 + now.getSeconds("${zone}")`,
    );
    const asked = [change - 1_000, change, change - 1_000, change, change + 60_000, change - 1_000];
    const told = asked.map((now) => second.evaluate({ now }));
    expect(told).toEqual([before, after, before, after, after! + 60, before]);
  });
});

describe('a mistake', () => {
  it.each<[string, Partial<CelProblem>]>([
    ['prodct.id == "x"', { message: 'prodct is not a known name', start: 0, end: 6, nearest: 'product' }],
    ['product.nmae == "x"', { message: 'product has no nmae', start: 8, end: 12, nearest: 'name' }],
    ['segments.x', { message: 'segments is not known here: segments are not run by this version yet', start: 0 }],
    ['cart.value > "100"', { message: '> cannot compare a number with a text', expected: 'number', got: 'text' }],
    ['product.id == 5', { message: 'a text never equals a number', start: 0, end: 15 }],
    ['5 in ["a"]', { message: 'a number never equals a text' }],
    ['now > 5', { message: '> cannot compare a timestamp with a number' }],
    ['now + 5', { message: '+ does not work on a timestamp and a number' }],
    ['!cart.value', { message: 'what ! negates must be a bool, not a number', start: 1, end: 11 }],
    ['cart.value && true', { message: 'each side of && must be a bool, not a number', start: 0, end: 10 }],
    ['product.id.length()', { start: 11, end: 17, message: 'length() is not a function that this version has' }],
    ['event.query.contain("x")', { nearest: 'contains' }],
    ['event.query.matches("(a+)+")', { message: 'matches() is not a function that this version has' }],
    ['lenght(event.tags)', { start: 0, end: 6 }],
    ['cart.value.total', { message: 'cart.value is a number and has no fields', start: 11 }],
    ['cart.value[0]', { message: 'cart.value is a number; only lists and maps have [ ]' }],
    ['event.tags["a"]', { message: 'the index of a list must be a number, not a text' }],
    ['[1, "a"]', { message: 'each element of this list must be a number, not a text', start: 4 }],
    ['event.gift ? 1 : "a"', { message: 'both sides of : must have one type, not number and text' }],
    ['duration("5 minutes")', { expected: 'a duration such as duration("30m") or duration("1h30m")' }],
    ['duration("2562048h")', { expected: 'a duration such as duration("30m") or duration("1h30m")' }],
    ['timestamp("2026-11-23T24:00:00Z")', { expected: 'an instant such as timestamp("2026-11-23T20:15:00Z")' }],
    ['timestamp("0000-12-31T00:00:00Z")', { expected: 'an instant such as timestamp("2026-11-23T20:15:00Z")' }],
    [
      'now.getHours("Europe/Berlim")',
      { message: '"Europe/Berlim" is not a time zone', start: 13, nearest: 'Europe/Berlin' },
    ],
    ['now.getHours(event.query)', { expected: 'a time zone such as "Europe/Berlin" or "+02:00"' }],
    ['now.getHours("+25:00")', { message: '"+25:00" is not a time zone' }],
    ['now.getHours("UTC", 1)', { message: '.getHours() takes at most 1 argument, not 2' }],
    ['(now - now).getHours("UTC")', { message: '.getHours() takes no argument, not 1' }],
    ['(now - now).getMonth()', { message: 'what has .getMonth() must be a timestamp, not a duration' }],
    ['event.query.getHours()', { message: 'what has .getHours() must be a timestamp or duration, not a text' }],
    ['now.getHour()', { nearest: 'getHours' }],
    ['duration(event.query)', { message: expect.stringContaining('written out') as unknown as string }],
    ['product.id = "x"', { message: 'expected "==" (equality is written with two signs)', start: 11 }],
    ['cart.value > 1 and true', { message: 'expected "&&"', start: 15 }],
    ['cart.value > 1 or true', { message: 'expected "||"' }],
    ['(cart.value > 1', { message: 'expected ")", got the end' }],
    ['cart.value >', { message: 'expected a value, got the end' }],
    ['', { message: 'an expression is empty' }],
    ['9007199254740993 > 1', { message: expect.stringContaining('2^53') as unknown as string }],
    ['5u > 1', { message: expect.stringContaining('unsigned numbers are not run') as unknown as string }],
    ['b"x" == b"x"', { message: expect.stringContaining('bytes') as unknown as string }],
    ['has(cart)', { message: 'has() asks for one field, as in has(event.results)' }],
    ['event.tags.all(1, true)', {}],
    ['event.tags.filter(t, 5)', { message: 'the condition of .filter() must be a bool, not a number' }],
    ['event.tags.all(a, event.tags.all(b, event.tags.all(c, event.tags.all(d, true))))', { expected: 'at most 3' }],
    ['{1: 2}', { message: 'the key of a map must be a text, written out' }],
  ])('%s', (source, expected) => {
    const [problem] = problemsOf(source);
    expect(problem).toMatchObject(expected);
    expect(problem!.end).toBeGreaterThanOrEqual(problem!.start);
  });

  it('is told with the others of the same expression, without what only follows from it', () => {
    const messages = problemsOf('prodct.id == "x" && cart.valu > 5 && prodct.at.getHours() > 5').map(
      ({ message }) => message,
    );
    expect(messages).toEqual(['prodct is not a known name', 'cart has no valu', 'prodct is not a known name']);
  });

  it('of a condition that is no condition says so', () => {
    const result = compileCondition('cart.value', declared);
    expect(!result.ok && result.problems[0]?.message).toBe('a condition must be true or false; this is a number');
  });

  it.each([
    ['characters', `"${'x'.repeat(1_999)}" == ""`],
    ['levels', `${'('.repeat(60)}true${')'.repeat(60)}`],
    ['parts', `${'!'.repeat(600)}true`],
    ['elements', `size([${Array.from({ length: 201 }, () => '1').join(',')}]) > 0`],
  ])('is also an expression of too many %s', (_what, source) => {
    expect(problemsOf(source)).toHaveLength(1);
  });
});
