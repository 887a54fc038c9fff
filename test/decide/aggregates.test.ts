import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Contribution,
  isStructured,
  nextLeaving,
  readAggregate,
  scoreReaches,
  withContribution,
} from '../../src/decide/aggregates.ts';
import type { Json } from '../../src/model/json.ts';
import type { Trait, TraitKind, Window } from '../../src/playbook/playbook.ts';

const minute = 60_000;
const window: Window = { widthMs: 30 * minute, stepMs: minute, steps: 30 };

function traitOf(kind: TraitKind, more: Partial<Trait> = {}): Trait {
  const initial = kind === 'count' || kind === 'sum' || kind === 'distinct' || kind === 'rate' || kind === 'score';
  return {
    name: 't',
    path: ['traits', 't'],
    kind,
    events: null,
    over: 'all',
    window: null,
    if: null,
    of: null,
    by: null,
    limit: 64,
    groups: 16,
    halfLifeMs: 0,
    perMs: 0,
    money: false,
    initial: initial ? 0 : null,
    cart: null,
    says: null,
    signature: 'sig',
    ...more,
  };
}
const grouped = { by: { source: 'g', reads: [], evaluate: () => null }, initial: {} as Json };

/** Folds contributions; each one's `now` is the largest time so far. */
function fold(trait: Trait, events: readonly (Partial<Contribution> & { at: number })[]): Json | undefined {
  let state: Json | undefined;
  let now = Number.NEGATIVE_INFINITY;
  for (const event of events) {
    now = Math.max(now, event.at);
    state = withContribution(trait, state, { value: 1, group: null, now, ...event });
  }
  return state;
}

describe('a window', () => {
  it('covers the steps that end with the current, partial one', () => {
    const trait = traitOf('count', { window });
    const state = fold(trait, [{ at: 10 * minute + 59_999 }]);
    expect(readAggregate(trait, state, 10 * minute + 59_999)).toBe(1);
    expect(readAggregate(trait, state, 40 * minute - 1)).toBe(1);
    expect(readAggregate(trait, state, 40 * minute)).toBe(0);
  });

  it('says when its next step leaves', () => {
    const trait = traitOf('count', { window });
    const state = fold(trait, [{ at: 10 * minute }, { at: 12 * minute }]);
    expect(nextLeaving(trait, state, 12 * minute)).toBe(40 * minute);
    expect(nextLeaving(trait, state, 40 * minute)).toBe(42 * minute);
    expect(nextLeaving(trait, state, 42 * minute)).toBe(null);
  });

  it('takes an event that comes late into the step of its time, and none that is over', () => {
    const trait = traitOf('sum', { window });
    const state = fold(trait, [
      { at: 100 * minute, value: 1 },
      { at: 71 * minute, value: 10 },
      { at: 70 * minute, value: 100 },
    ]);
    expect(readAggregate(trait, state, 100 * minute)).toBe(11);
    expect(readAggregate(trait, state, 101 * minute)).toBe(1);
  });

  it('joins its steps in the order of time', () => {
    const events = [
      { at: 5 * minute, value: 'b' },
      { at: 9 * minute, value: 'd' },
      { at: 1 * minute, value: 'a' },
      { at: 5 * minute, value: 'c' },
    ];
    const last = traitOf('last', { window });
    const first = traitOf('first', { window });
    expect(readAggregate(last, fold(last, events), 9 * minute)).toBe('d');
    expect(readAggregate(first, fold(first, events), 9 * minute)).toBe('a');
    expect(readAggregate(first, fold(first, events), 31 * minute)).toBe('b');
  });

  it('is what a list of all events says, for each kind', () => {
    const event = fc.record({ at: fc.integer({ min: 0, max: 90 * minute }), value: fc.integer({ min: -5, max: 5 }) });
    const kinds = fc.constantFrom<TraitKind>('count', 'sum', 'min', 'max', 'average', 'distinct', 'rate');
    fc.assert(
      fc.property(
        kinds,
        fc.array(event, { maxLength: 40 }),
        fc.integer({ min: 0, max: 60 * minute }),
        (kind, events, later) => {
          const trait = traitOf(kind, { window, perMs: minute });
          const now = Math.max(0, ...events.map(({ at }) => at));
          const read = now + later;
          const state = fold(trait, events);
          // An event that was over when it came does not stand in the window; at `read` it would be over as well.
          const values = events
            .filter(({ at }) => Math.floor(at / minute) > Math.floor(read / minute) - 30)
            .map(({ value }) => value);
          expect(readAggregate(trait, state, read)).toEqual(plainly(kind, values) ?? trait.initial);
        },
      ),
    );
  });
});

function plainly(kind: TraitKind, values: readonly number[]): number | null {
  const sum = values.reduce((total, value) => total + value, 0);
  if (values.length === 0) return null;
  switch (kind) {
    case 'count':
      return values.length;
    case 'rate':
      return values.length / 30;
    case 'distinct':
      return new Set(values).size;
    case 'min':
      return Math.min(...values);
    case 'max':
      return Math.max(...values);
    case 'average':
      return sum / values.length;
    default:
      return sum;
  }
}

describe('groups', () => {
  it('have a value each, and the least recently seen makes room', () => {
    const trait = traitOf('count', { ...grouped, groups: 2 });
    const state = fold(trait, [
      { at: 1, group: 'a' },
      { at: 2, group: 'b' },
      { at: 3, group: 'a' },
      { at: 4, group: 'c' },
    ]);
    expect(readAggregate(trait, state, 5)).toEqual({ a: 2, c: 1 });
  });

  it('are gone when nothing of them is left in the window', () => {
    const trait = traitOf('count', { ...grouped, window });
    const state = fold(trait, [
      { at: 0, group: 'a' },
      { at: 5 * minute, group: 'b' },
    ]);
    expect(readAggregate(trait, state, 30 * minute)).toEqual({ b: 1 });
    expect(readAggregate(trait, state, 35 * minute)).toEqual({});
  });
});

describe('a score', () => {
  const trait = traitOf('score', { halfLifeMs: 60 * minute });

  it('is halved in its half-life, and a late event adds what is left of it', () => {
    const state = fold(trait, [
      { at: 0, value: 8 },
      { at: 60 * minute, value: 1 },
      { at: 0, value: 4 },
    ]);
    expect(readAggregate(trait, state, 60 * minute)).toBe(7);
    expect(readAggregate(trait, state, 180 * minute)).toBe(1.75);
  });

  it('tells when it reaches a bound', () => {
    const state = fold(trait, [{ at: 0, value: 8 }]);
    expect(scoreReaches(trait, state, null, 2)).toBe(120 * minute);
    expect(scoreReaches(trait, state, null, 8)).toBe(null);
    expect(scoreReaches(trait, state, null, 9)).toBe(null);
  });

  it('is nothing in the end', () => {
    const state = fold(trait, [{ at: 0, value: 8 }]);
    const over = scoreReaches(trait, state, null, 0)!;
    expect(readAggregate(trait, state, over + 1)).toBe(0);
    expect(readAggregate(trait, state, over - minute)).toBeGreaterThan(0);
  });
});

describe('what was kept under another declaration', () => {
  it('counts as none, and the next event begins anew', () => {
    const before = traitOf('count', { window });
    const after = traitOf('count', { window: { widthMs: 60 * minute, stepMs: minute, steps: 60 }, signature: 'other' });
    const state = fold(before, [{ at: 0 }, { at: minute }]);
    expect(readAggregate(after, state, minute)).toBe(0);
    const next = withContribution(after, state, { value: 1, group: null, at: 2 * minute, now: 2 * minute });
    expect(readAggregate(after, next, 2 * minute)).toBe(1);
  });
});

describe('a plain count', () => {
  it('keeps its value alone', () => {
    expect(isStructured(traitOf('count'))).toBe(false);
    expect(isStructured(traitOf('count', { window }))).toBe(true);
  });
});
