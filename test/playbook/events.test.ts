import { describe, expect, it } from 'vitest';
import type { Json } from '../../src/model/json.ts';
import { propertyLimits } from '../../src/playbook/events.ts';
import { playbookOf } from '../support/playbooks.ts';

const { events } = playbookOf(
  'events: { note: { properties: { properties: { text: { type: string }, short: { type: string, maxLength: 3 }, day: { type: string, format: date }, list: { type: array, items: { type: number } }, any: true, map: { type: object, additionalProperties: { type: boolean } } } } } }',
);
const problemsOf = (type: string, properties: unknown) =>
  events
    .get(type)!
    .validate(properties as Json)
    .map(({ path, message }) => `${path.join('.')} ${message}`);

describe('the properties of an event', () => {
  it('fit', () => {
    expect(problemsOf('product_viewed', { productId: 'p_017' })).toEqual([]);
    expect(
      problemsOf('order_completed', { orderId: 'o', lines: [{ productId: 'p', quantity: 2, price: 9.9 }] }),
    ).toEqual([]);
    expect(problemsOf('page_viewed', {})).toEqual([]);
  });

  it.each<[string, string, unknown, string]>([
    ['missing', 'product_viewed', {}, 'productId is missing'],
    ['of another type', 'product_viewed', { productId: 5 }, 'productId must be string'],
    [
      'not declared, with the nearest name',
      'product_viewed',
      { productId: 'p', prodctId: 'p' },
      'prodctId is not a property that the tracking plan declares; did you mean productId?',
    ],
    [
      'not declared inside of a line',
      'order_completed',
      { orderId: 'o', lines: [{ productId: 'p', quantity: 1, colour: 'red' }] },
      'lines.0.colour is not a property that the tracking plan declares',
    ],
    ['half a piece', 'cart_item_added', { productId: 'p', quantity: 1.5 }, 'quantity must be integer'],
    ['less than nothing', 'cart_item_added', { productId: 'p', quantity: 1, price: -1 }, 'price must be >= 0'],
    ['no map', 'page_viewed', [], ' must be object'],
    ['nothing at all', 'page_viewed', null, ' must be object'],
    [
      'not a number',
      'cart_item_added',
      { productId: 'p', quantity: Number.NaN },
      'quantity is not a number that JSON has; expected a finite number',
    ],
    [
      'endless',
      'cart_item_added',
      { productId: 'p', quantity: 1, price: Number.POSITIVE_INFINITY },
      'price is not a number that JSON has; expected a finite number',
    ],
    [
      'beyond 2^53',
      'note',
      { any: 2 ** 53 + 2 },
      'any is a whole number beyond 2^53, which loses digits; expected a smaller number, or a text',
    ],
    [
      'half a surrogate pair',
      'note',
      { text: 'a\ud800' },
      'text has half of a surrogate pair; expected well-formed Unicode',
    ],
    ['half a surrogate pair in a name', 'note', { '\udc00': 1 }, '\ufffd is not a name that a property can have'],
    [
      'longer than a text without a bound may be',
      'note',
      { text: 'x'.repeat(propertyLimits.textLength + 1) },
      `text must NOT have more than ${propertyLimits.textLength} characters`,
    ],
    ['longer than its own bound', 'note', { short: 'abcd' }, 'short must NOT have more than 3 characters'],
    [
      'more than a list without a bound may have',
      'note',
      { list: Array(propertyLimits.items + 1).fill(1) },
      `list must NOT have more than ${propertyLimits.items} items`,
    ],
    ['not in the format', 'note', { day: '2026-13-01' }, 'day must match format "date"'],
  ])('are refused when they are %s', (_name, type, properties, problem) => {
    expect(problemsOf(type, properties)).toEqual([problem]);
  });

  it('may be as long as the bound', () => {
    expect(
      problemsOf('note', { text: 'x'.repeat(propertyLimits.textLength), list: Array(propertyLimits.items).fill(1) }),
    ).toEqual([]);
  });

  it('reach no prototype', () => {
    const [problem] = events.get('note')!.validate(JSON.parse('{"map": {"__proto__": true}}') as Json);
    expect(problem).toEqual({ path: ['map', '__proto__'], message: 'is not a name that a property can have' });
    expect(problemsOf('product_viewed', Object.create({ productId: 'p' }))).toEqual(['productId is missing']);
    expect(problemsOf('note', { constructor: 1 })).toEqual([
      'constructor is not a property that the tracking plan declares',
    ]);
  });

  it('nested without end end the check, not the process', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 10_000; i++) deep = [deep];
    expect(problemsOf('note', { any: deep })[0]).toContain(`is nested deeper than ${propertyLimits.depth} levels`);
  });

  it('have at most 5 problems told', () => {
    expect(problemsOf('order_completed', { orderId: 5, lines: Array.from({ length: 9 }, () => ({})) })).toHaveLength(5);
  });

  it('are told in words', () => {
    const { says } = events.get('product_viewed')!;
    expect(says.render({ event: { productId: 'p_017' } } as never)).toBe('viewed p_017');
  });
});
