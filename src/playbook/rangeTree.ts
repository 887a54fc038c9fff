/** Ends included. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Finds the ranges that hold a number among many: an interval tree. Each node has the ranges that hold its middle, once by where they begin and
 * once by where they end; what lies wholly below or above is in the tree to that side.
 */
export class RangeTree {
  readonly #middle: number;
  /** Those that begin first, first. */
  readonly #froms: Float64Array;
  readonly #byFrom: Uint32Array;
  /** Those that end last, first. */
  readonly #tos: Float64Array;
  readonly #byTo: Uint32Array;
  readonly #below: RangeTree | null;
  readonly #above: RangeTree | null;

  /** null: no range holds any number. `which`: those that the tree is of; all of them, if it is not told. */
  static of(all: readonly Range[], which: readonly number[] = [...all.keys()]): RangeTree | null {
    const filled = which.filter((i) => all[i]!.from <= all[i]!.to);
    return filled.length === 0 ? null : new RangeTree(all, filled);
  }

  private constructor(all: readonly Range[], which: readonly number[]) {
    const ends = which.flatMap((i) => [all[i]!.from, all[i]!.to]).filter(Number.isFinite);
    // An end of one of them: it stays at this node, so what is left is fewer, to each side at most half.
    const middle = ends.sort((a, b) => a - b)[ends.length >> 1] ?? 0;
    const here = which.filter((i) => all[i]!.from <= middle && middle <= all[i]!.to);
    this.#middle = middle;
    this.#byFrom = Uint32Array.from(here.toSorted((a, b) => all[a]!.from - all[b]!.from));
    this.#froms = Float64Array.from(this.#byFrom, (i) => all[i]!.from);
    this.#byTo = Uint32Array.from(here.toSorted((a, b) => all[b]!.to - all[a]!.to));
    this.#tos = Float64Array.from(this.#byTo, (i) => all[i]!.to);
    const below = which.filter((i) => all[i]!.to < middle);
    const above = which.filter((i) => all[i]!.from > middle);
    this.#below = RangeTree.of(all, below);
    this.#above = RangeTree.of(all, above);
  }

  /** Tells the places, among those it was made of, of all that hold the number, in any order. */
  find(value: number, found: (place: number) => void): void {
    if (value < this.#middle) {
      for (let i = 0; i < this.#froms.length && this.#froms[i]! <= value; i++) found(this.#byFrom[i]!);
      this.#below?.find(value, found);
    } else {
      for (let i = 0; i < this.#tos.length && this.#tos[i]! >= value; i++) found(this.#byTo[i]!);
      this.#above?.find(value, found);
    }
  }
}
