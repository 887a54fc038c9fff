/** A place with the numbers, ends included, at which it is to be found. */
export interface PlacedRange {
  readonly from: number;
  readonly to: number;
  readonly place: number;
}

/**
 * Finds the ranges that hold a number among many: an interval tree. Each node has the ranges that hold its middle, once by where they begin and
 * once by where they end; what lies wholly below or above is in the tree to that side.
 */
export class RangeTree {
  readonly #middle: number;
  /** Those that begin first, first. */
  readonly #byFrom: readonly PlacedRange[];
  /** Those that end last, first. */
  readonly #byTo: readonly PlacedRange[];
  readonly #below: RangeTree | null;
  readonly #above: RangeTree | null;

  /** null: no range holds any number. */
  static of(all: readonly PlacedRange[]): RangeTree | null {
    const ranges = all.filter(({ from, to }) => from <= to);
    return ranges.length === 0 ? null : new RangeTree(ranges);
  }

  private constructor(ranges: readonly PlacedRange[]) {
    const ends = ranges.flatMap(({ from, to }) => [from, to]).filter(Number.isFinite);
    // An end of one of them: it stays at this node, so what is left is fewer, to each side at most half.
    const middle = ends.sort((a, b) => a - b)[ends.length >> 1] ?? 0;
    const here = ranges.filter(({ from, to }) => from <= middle && middle <= to);
    this.#middle = middle;
    this.#byFrom = here.toSorted((a, b) => a.from - b.from);
    this.#byTo = here.toSorted((a, b) => b.to - a.to);
    this.#below = RangeTree.of(ranges.filter(({ to }) => to < middle));
    this.#above = RangeTree.of(ranges.filter(({ from }) => from > middle));
  }

  /** The places of all that hold the number, in any order. */
  find(value: number, found: (place: number) => void): void {
    for (let node: RangeTree | null = this; node !== null; ) {
      if (value < node.#middle) {
        for (const { from, place } of node.#byFrom) {
          if (from > value) break;
          found(place);
        }
        node = node.#below;
      } else {
        for (const { to, place } of node.#byTo) {
          if (to < value) break;
          found(place);
        }
        node = node.#above;
      }
    }
  }
}
