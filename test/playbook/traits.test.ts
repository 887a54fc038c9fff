import { describe, expect, it } from 'vitest';
import { playbookLimits } from '../../src/playbook/limits.ts';
import type { Scope } from '../../src/playbook/playbook.ts';
import { compileFiles, playbookOf, problemsOf } from '../support/playbooks.ts';

const traitOf = (declaration: string) => playbookOf(`traits: { t: ${declaration} }`).traits.get('t')!;
const foundIn = (declaration: string) => problemsOf(`traits: { t: ${declaration} }`).found;

describe('a trait', () => {
  it.each([
    ['{ count: product_viewed }', { kind: 'count', initial: 0, money: false, window: null, by: null, groups: 0 }],
    ['{ sum: product_viewed, of: product.price }', { kind: 'sum', initial: 0, money: true }],
    ['{ min: product_viewed, of: product.price }', { kind: 'min', initial: null, money: true }],
    ['{ max: time_spent, of: event.seconds }', { kind: 'max', initial: null, money: false }],
    ['{ average: product_viewed, of: product.price }', { kind: 'average', initial: null, money: true }],
    ['{ last: product_viewed, of: product.brand }', { kind: 'last', initial: '' }],
    ['{ first: "*", of: event.at }', { kind: 'first', initial: null, events: null }],
    ['{ recent: product_viewed, of: product.id }', { kind: 'recent', initial: [], limit: 20 }],
    ['{ distinct: product_viewed, of: product.price }', { kind: 'distinct', initial: 0, limit: 64, money: false }],
    ['{ rate: product_viewed, over: 10m, per: 1m }', { kind: 'rate', initial: 0, perMs: 60_000 }],
    ['{ score: product_viewed, halfLife: 7d }', { kind: 'score', initial: 0, halfLifeMs: 604_800_000, of: null }],
    ['{ score: product_viewed, of: product.price, halfLife: 1h }', { kind: 'score', money: false }],
    ['{ set: text }', { kind: 'set', initial: '', events: [] }],
    ['{ set: time }', { kind: 'set', initial: null, events: [] }],
    ['{ count: product_viewed, over: session }', { over: 'session', window: null }],
  ])('%s', (declaration, expected) => {
    expect(traitOf(declaration)).toMatchObject({ name: 't', path: ['traits', 't'], ...expected });
  });

  it('that is grouped reads as a map, which is empty at first', () => {
    const playbook = playbookOf(
      'traits: { t: { last: product_viewed, of: product.price, by: product.category } }\nsegments: { s: { if: \'traits.t["tents"] > 100 && traits.t.boots < 50\' } }',
    );
    const trait = playbook.traits.get('t')!;
    expect(trait).toMatchObject({ initial: {}, groups: 16, money: true });
    expect(trait.by!.evaluate({ product: { category: 'tents' } } as unknown as Scope)).toBe('tents');
    expect(traitOf('{ count: product_viewed, by: product.category, groups: 3 }').groups).toBe(3);
  });

  it.each([
    ['1s', 1_000, 1_000, 1],
    ['1m', 60_000, 1_000, 60],
    ['61s', 61_000, 10_000, 7],
    ['30m', 1_800_000, 60_000, 30],
    ['1h', 3_600_000, 60_000, 60],
    ['24h', 86_400_000, 3_600_000, 24],
    ['60d', 5_184_000_000, 86_400_000, 60],
    ['400d', 34_560_000_000, 86_400_000, 400],
  ])('over %s has a window on the grid of semantics 3.8', (over, widthMs, stepMs, steps) => {
    expect(traitOf(`{ count: page_viewed, over: ${over} }`)).toMatchObject({
      over: 'all',
      window: { widthMs, stepMs, steps },
    });
  });

  it('has another signature whenever its values would mean something else, and the same one otherwise', () => {
    const base = '{ count: product_viewed, over: 30m, by: product.category, if: product.price > 5 }';
    const others = [
      base.replace('count', 'rate').replace('30m', '30m, per: 1m'),
      base.replace('product_viewed', 'product_clicked'),
      base.replace('30m', '31m'),
      base.replace('> 5', '> 6'),
      base.replace('product.category', 'product.brand'),
      base.replace('by:', 'groups: 4, by:'),
      '{ score: product_viewed, halfLife: 1h }',
      '{ score: product_viewed, halfLife: 2h }',
      '{ distinct: product_viewed, of: product.id, limit: 9 }',
      '{ distinct: product_viewed, of: product.id, limit: 8 }',
      '{ distinct: product_viewed, of: product.name, limit: 8 }',
      '{ count: product_viewed }',
      '{ count: product_viewed, over: session }',
      '{ set: text }',
      '{ set: number }',
    ];
    const signatures = [base, ...others].map((declaration) => traitOf(declaration).signature);
    expect(new Set(signatures).size).toBe(signatures.length);
    for (const signature of signatures) expect(signature).toMatch(/^[A-Za-z0-9_-]{6}$/);
    expect(traitOf(base.replace('{', '{ name: Views, says: "after {value} views",')).signature).toBe(signatures[0]);
    const yen = compileFiles({ 'playbook.yaml': `{ format: 1, currency: JPY, traits: { t: ${base} } }` });
    expect(yen.playbook!.traits.get('t')!.signature).not.toBe(signatures[0]);
  });

  it('remembers each value of a list in a `recent`: what was bought', () => {
    const { traits } = playbookOf('segments: { s: { if: "\\"p_017\\" in visitor.boughtProducts" } }');
    const bought = [...traits.values()].find(({ path }) => path.join('.') === 'visitor.boughtProducts')!;
    const order = { event: { lines: [{ productId: 'a' }, { productId: 'b' }] } } as unknown as Scope;
    expect(bought.of!.evaluate(order)).toEqual(['a', 'b']);
    expect(bought.limit).toBe(64);
  });
});

describe('a mistake in a trait is told with its place', () => {
  it.each([
    ['{ sum: product_viewed, of: ▸event.productId }', 'a sum is of numbers, not of texts'],
    ['{ max: product_viewed, of: ▸product.name }', 'max is of numbers, not of texts'],
    ['{ score: product_viewed, of: ▸product.name, halfLife: 1h }', 'a score is of numbers, not of texts'],
    [
      '{ last: order_completed, of: ▸event.lines }',
      'a trait remembers a text, number, time or true/false, not a list of map',
    ],
    [
      '{ count: product_viewed, by: ▸event.at }',
      'a trait is grouped by a text, number or true/false, not by a timestamp',
    ],
    ['{ recent: product_viewed, of: product.id, over: ▸30m }', 'recent has no window'],
    ['{ score: product_viewed, halfLife: 1h, over: ▸30m }', 'score has no window'],
    ['{ count: product_viewed, ▸of: product.id }', 'of does not go with count'],
    ['{ recent: product_viewed, of: product.id, ▸by: product.brand }', 'by does not go with recent'],
    ['{ count: product_viewed, ▸limit: 5 }', 'limit does not go with count'],
    ['{ count: product_viewed, ▸halfLife: 1h }', 'halfLife does not go with count'],
    ['{ count: product_viewed, ▸per: 1h }', 'per does not go with count'],
    ['{ count: product_viewed, ▸groups: 5 }', 'groups goes with by alone'],
    ['{ set: text, ▸over: session }', 'over does not go with set'],
    ['▸{ score: product_viewed }', 'halfLife is missing'],
    ['▸{ rate: product_viewed, over: 1h }', 'per is missing'],
    ['▸{ rate: product_viewed, per: 1m }', 'over is missing'],
    ['{ rate: product_viewed, per: 1m, over: ▸session }', 'a rate is over a window, not over session'],
    ['▸{ distinct: product_viewed }', 'of is missing'],
    ['{ count: product_viewed, over: ▸sesion }', 'expected one of all, session, got "sesion"'],
    [
      '{ count: product_viewed, over: ▸500d }',
      'expected a duration such as 30s, 30m, 1h30m or 7d, from 1s to 400d, got "500d"',
    ],
    [
      '{ score: product_viewed, halfLife: ▸30s }',
      'expected a duration such as 30s, 30m, 1h30m or 7d, from 1m to 366d, got "30s"',
    ],
    ['{ set: ▸txt }', 'expected one of text, number, bool, time, got "txt"'],
    ['{ last: "*", of: ▸product.id }', 'product is not known here: not every event comes with a product'],
    [
      '{ count: page_viewed, if: ▸segments.x }',
      'segments is not known here: a trait is computed from the event alone, before these are known',
    ],
  ])('%s', (declaration, message) => {
    const { found, places } = problemsOf(`traits: { t: ${declaration} }`);
    expect(found).toEqual([`${places[0]} ${message}`]);
  });
});

describe('the room that traits take of a visitor', () => {
  it('is bounded for one, with what could be lowered to what', () => {
    const declaration = (groups: number) =>
      `{ sum: product_viewed, of: product.price, by: product.category, over: 1h, groups: ${groups} }`;
    const { problems } = compileFiles({ 'a.yaml': `traits:\n  t: ${declaration(16)}` });
    expect(problems).toMatchObject([
      {
        line: 2,
        column: 76,
        message: 't may take 31,808 characters of each visitor: 16 groups of 60 steps of its window',
        expected: 'at most 20,480: groups: 10, or a window of fewer steps (at most 60 up to 60d)',
      },
    ]);
    expect(foundIn(declaration(10))).toEqual([]);
    expect(foundIn(declaration(11))).toHaveLength(1);
    expect(foundIn('{ last: product_viewed, of: product.name, over: 100d }')).toEqual([
      '1:62 t may take 27,000 characters of each visitor: 100 steps of its window',
    ]);
  });

  it('is that of two numbers a step for an average', () => {
    const average = (groups: number) =>
      `{ average: product_viewed, of: product.price, by: product.category, over: 1h, groups: ${groups} }`;
    expect(foundIn(average(6))).toEqual([]);
    expect(foundIn(average(7))[0]).toContain('t may take 22,316 characters of each visitor: 7 groups of 60 steps');
  });

  it('lets the most of what has a most by itself stand', () => {
    for (const declaration of [
      '{ distinct: product_viewed, of: product.brand, limit: 64, over: 400d }',
      '{ recent: product_viewed, of: product.brand, limit: 64 }',
      '{ count: product_viewed, by: product.category, over: 1h }',
      '{ last: product_viewed, of: product.brand, by: product.category, groups: 62 }',
    ])
      expect(foundIn(declaration), declaration).toEqual([]);
  });

  it('is bounded for all together, and names the largest', () => {
    const traits = (count: number) =>
      Array.from(
        { length: count },
        (_, i) => `  t${i}: { recent: product_viewed, of: product.name, limit: 6${i % 5} }\n`,
      );
    const one = compileFiles({ 'a.yaml': `traits:\n${traits(5).join('')}` });
    expect(one.problems).toEqual([]);
    const { problems } = compileFiles({ 'a.yaml': `traits:\n${traits(7).join('')}` });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ line: 6 });
    expect(problems[0]!.message).toMatch(
      /^the traits of this playbook may take 1[34]\d,\d{3} characters of each visitor together; the largest: t4 16,576, /,
    );
    expect(problems[0]!.expected).toContain('at most 131,072');
    expect(playbookLimits.allTraitCharacters).toBe(131_072);
  });
});
