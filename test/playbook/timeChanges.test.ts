import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Scope, Segment } from '../../src/playbook/playbook.ts';
import { playbookOf, problemsOf } from '../support/playbooks.ts';

const traits = `traits:
  views: { count: product_viewed, over: 30m }
  views_by: { count: product_viewed, over: 1h, by: product.category }
  heat: { score: product_viewed, halfLife: 1h }
  interest: { score: product_viewed, halfLife: 1h, by: product.category }
  plain: { count: product_viewed }
  seen_at: { last: product_viewed, of: event.at }
  views_at: { last: product_viewed, of: event.at, over: 30m }
`;
const segmentOf = (condition: string): Segment =>
  playbookOf(
    `${traits}segments: { other: { if: visitor.orders > 1 }, s: { if: ${JSON.stringify(condition)} } }`,
  ).segments.get('s')!;

/** Each change in short: `instant`, `calendar`, `window views`, `score interest tents`. */
const changesOf = (condition: string) =>
  segmentOf(condition).changes.map((change) => {
    if (change.kind === 'instant') return change.calendar ? 'calendar' : 'instant';
    return change.kind === 'window' ? `window ${change.trait}` : `score ${change.trait} ${change.group}`;
  });

describe('what time alone may change in a condition', () => {
  it.each([
    ['visitor.orders > 3 && cart.value > 5 && traits.plain > 1', []],
    ['visitor.lastSeenAt == visitor.lastOrderAt', []],
    ['segments.other', []],
    ['traits.views > 3', ['window views']],
    ['traits.views > 3 && traits.views < 9 && traits["views"] != 5', ['window views']],
    [
      'traits.views_by["tents"] > 3 || traits.views_by[visitor.lastCategory] > traits.views',
      ['window views_by', 'window views'],
    ],
    ['cart.lines.exists(line, line.quantity < traits.views)', ['window views']],
    ['size(traits.views_by) > 2 && "tents" in traits.views_by', ['window views_by']],
    ['visitor.idle > duration("10m")', ['instant']],
    ['now - visitor.lastOrderAt > duration("72h")', ['instant']],
    ['visitor.lastOrderAt + duration("72h") < now', ['instant']],
    ['now == visitor.lastOrderAt || !(duration("5m") <= visitor.idle)', ['instant', 'instant']],
    ['now > timestamp("2026-01-01T00:00:00Z")', ['calendar']],
    ['now - timestamp("2026-01-01T00:00:00Z") > duration("5m") + duration("1m")', ['calendar']],
    ['(now > visitor.lastOrderAt) == (visitor.orders > 3)', ['instant']],
    ['visitor.orders > 3 ? now > visitor.lastOrderAt : traits.views > 3', ['instant', 'window views']],
    ['now - now == duration("0s")', []],
    ['traits.heat > 5', ['score heat null']],
    ['cart.value <= traits.heat', ['score heat null']],
    ['traits.interest["tents"] > 5', ['score interest tents', 'score interest tents']],
    ['has(traits.interest.tents)', ['score interest tents']],
    [
      'traits.interest["a"] > 5 || traits.interest.b == 1 || has(traits.interest.a)',
      ['score interest a', 'score interest a', 'score interest b', 'score interest b'],
    ],
    ['cart.lines.exists(now, now.quantity > 3)', []],
  ])('%s', (condition, changes) => {
    expect(changesOf(condition)).toEqual(changes);
  });

  it.each([
    'string(▸now) == "x"',
    'string(visitor.idle) == "x"'.replace('visitor', '▸visitor'),
    'cart.lines.exists(line, ▸now > visitor.lastOrderAt)',
    'cart.lines.exists(line, ▸visitor.idle > duration("5m"))',
    'cart.lines.exists(line, ▸traits.heat > line.quantity)',
    '▸traits.heat * 2 > 5',
    '▸traits.heat > traits.views',
    '▸traits.heat > (segments.other ? 5 : 3)',
    '▸now - traits.views_at > duration("5m")',
    '(visitor.orders > 3 ? ▸now : visitor.lastOrderAt) > visitor.lastSeenAt',
    '▸now in [visitor.lastOrderAt]',
    'size(▸traits.interest) > 2',
    '▸traits.interest[visitor.lastCategory] > 2',
    'has(▸visitor.idle)',
    'size(▸traits) > 2',
  ])('is refused where it cannot be told: %s', (condition) => {
    const { found, places } = problemsOf(
      `${traits}segments: { other: { if: visitor.orders > 1 }, s: { if: '${condition}' } }`,
    );
    expect(found[0]).toMatch(new RegExp(`^${places[0]} Usher cannot tell when this changes by time: `));
  });
});

describe('the instants at which a condition turns', () => {
  const conditions = [
    'visitor.idle > duration("20ms")',
    'visitor.idle >= duration("20ms") && visitor.idle < duration("50ms")',
    'now - visitor.lastOrderAt > duration("30ms")',
    'visitor.lastOrderAt + duration("30ms") == now',
    'duration("30ms") != now - visitor.lastOrderAt',
    'now + (now - visitor.lastOrderAt) >= timestamp("1970-01-01T00:00:00.101Z")',
    '(now > visitor.lastOrderAt) == (visitor.idle < duration("7ms"))',
    'now < timestamp("1970-01-01T00:00:00.050Z") || visitor.lastOrderAt == null || now - visitor.lastOrderAt >= visitor.idle + visitor.idle',
  ].map(segmentOf);

  it('are all told, with the ms after them: the condition changes at no other ms', () => {
    let turned = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...conditions),
        fc.nat(100),
        fc.option(fc.nat(100)),
        ({ condition, changes }, lastSeenAt, lastOrderAt) => {
          const at = (now: number) =>
            ({ now, visitor: { lastSeenAt, lastOrderAt, idle: now - lastSeenAt } }) as unknown as Scope;
          const holds = (now: number) => {
            try {
              return condition.evaluate(at(now));
            } catch {
              return false;
            }
          };
          const told = new Set(
            changes.flatMap((change) => {
              const instant = change.kind === 'instant' ? change.at(at(lastSeenAt)) : null;
              return instant === null ? [] : [instant, instant + 1];
            }),
          );
          for (let now = lastSeenAt + 1; now < 300; now++) {
            if (holds(now) === holds(now - 1)) continue;
            turned++;
            expect([...told], `turns at ${now}`).toContain(now);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(turned).toBeGreaterThan(300);
  });

  it('are none where a fact is absent', () => {
    const [change] = segmentOf('now - visitor.lastOrderAt > duration("30ms")').changes;
    const scope = { now: 5, visitor: { lastOrderAt: null } } as unknown as Scope;
    expect(change!.kind === 'instant' && change!.at(scope)).toBeNull();
  });
});

describe('the bound of a score', () => {
  const bounds = (condition: string, roots: object) =>
    segmentOf(condition).changes.map((change) =>
      change.kind === 'score' ? change.bound(roots as unknown as Scope) : '?',
    );

  it('is what it is compared with, and where it fades, for a group', () => {
    expect(bounds('traits.heat > cart.value + 1', { cart: { value: 4 } })).toEqual([5]);
    expect(bounds('3 >= traits.interest.tents', {})).toEqual([3, 1e-6]);
    expect(bounds('has(traits.interest.tents)', {})).toEqual([1e-6]);
  });

  it('is never 0, which halving does not reach: below a millionth a score is 0', () => {
    expect(bounds('traits.heat > 0', {})).toEqual([1e-6]);
    expect(bounds('traits.heat > 0.0000001', {})).toEqual([1e-6]);
  });

  it('is none where what it is compared with is absent', () => {
    expect(bounds('traits.heat > visitor.secondsOnPage', { visitor: { secondsOnPage: null } })).toEqual([null]);
    expect(bounds('traits.interest.tents != null', {})).toEqual([null, 1e-6]);
  });
});
