import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newSource, passTo, withSkipped } from '../../src/fold/sequence.ts';
import { defaultFoldSettings, type FoldSettings } from '../../src/fold/work.ts';
import type { Source } from '../../src/model/visitor.ts';

const settings: FoldSettings = { ...defaultFoldSettings, missing: 4, skippedAhead: 3, firstNumber: 3 };

/** The same as semantics 2.2 says it: every number below `next` has a fate, and of the missing ones the largest few are kept. */
class PlainSource {
  readonly #fates = new Map<number, 'seen' | 'skipped'>();
  readonly #ahead = new Set<number>();
  #next = 1;
  #floor = 0;

  pass(sequence: number): void {
    this.#fates.set(sequence, 'seen');
    this.#next = Math.max(this.#next, sequence + 1);
    this.#settle();
  }

  skip(numbers: readonly number[], sequence: number): void {
    for (const number of numbers) {
      const isAhead = number >= this.#next;
      if (isAhead && (number >= sequence || this.#ahead.has(number) || this.#ahead.size >= settings.skippedAhead))
        continue;
      if (!isAhead && !this.missing().includes(number)) continue;
      this.#fates.set(number, 'skipped');
      if (isAhead) this.#ahead.add(number);
    }
    this.#settle();
  }

  missing(): number[] {
    const all: number[] = [];
    for (let n = this.#next - 1; n > this.#floor; n--) if (!this.#fates.has(n)) all.unshift(n);
    return all;
  }

  #settle(): void {
    for (const n of this.#ahead) if (n < this.#next) this.#ahead.delete(n);
    while (this.#ahead.delete(this.#next)) this.#next++;
    const dropped = this.missing().slice(0, -settings.missing);
    this.#floor = Math.max(this.#floor, ...dropped);
  }

  get state(): object {
    const skipped = [...this.#ahead].sort((a, b) => a - b);
    return { id: 's', next: this.#next, missing: this.missing(), floor: this.#floor, skipped, held: [] };
  }
}

describe("a source's numbers", () => {
  it('are kept as plain bookkeeping would keep them, over gaps, skips and late ones (2.2)', () => {
    const move = fc.record({
      ahead: fc.integer({ min: 0, max: 9 }),
      skipped: fc.array(fc.integer({ min: -4, max: 9 }), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 12 }), (moves) => {
        let source: Source = newSource('s', 1, false, settings);
        const plain = new PlainSource();
        for (const { ahead, skipped } of moves) {
          const sequence = source.next + ahead;
          const numbers = skipped.map((offset) => source.next + offset).filter((number) => number > 0);
          source = withSkipped(source, numbers, sequence, settings).source;
          plain.skip(numbers, sequence);
          expect(source).toEqual(plain.state);
          // A number that was skipped, or that the skipped ones brought `next` past, is a duplicate and moves nothing.
          if (sequence < source.next || source.skipped.includes(sequence)) continue;
          source = passTo(source, sequence, settings);
          plain.pass(sequence);
          expect(source).toEqual(plain.state);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('cost no more over a gap of millions', () => {
    const source = passTo(newSource('s', 1, false, settings), 2 ** 52, settings);
    expect(source.next).toBe(2 ** 52 + 1);
    expect(source.missing).toEqual([4, 3, 2, 1].map((n) => 2 ** 52 - n));
    expect(source.floor).toBe(2 ** 52 - 5);
  });

  it('keep no more numbers that are skipped ahead than the limit', () => {
    const { source, taken } = withSkipped(newSource('s', 1, false, settings), [2, 3, 4, 5], 9, settings);
    expect([source.skipped, taken]).toEqual([[2, 3, 4], 3]);
  });

  it('begin at the first one of a source that may still be at its beginning, at another with some missing before it', () => {
    expect(newSource('s', 3, false, settings)).toMatchObject({ next: 1, missing: [], floor: 0 });
    expect(newSource('s', 4, false, settings)).toMatchObject({ next: 4, missing: [1, 2, 3], floor: 0 });
    expect(newSource('s', 3, true, settings)).toMatchObject({ next: 3, missing: [1, 2], floor: 0 });
    expect(newSource('s', 9, false, settings)).toMatchObject({ next: 9, missing: [5, 6, 7, 8], floor: 4 });
  });
});
