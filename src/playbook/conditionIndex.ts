import type { Range } from '../cel/demands.ts';
import type { Candidate, Condition, Scope } from './playbook.ts';
import { RangeTree } from './rangeTree.ts';

/** With fewer at one path, asking each costs no more than finding out which to ask. */
const leastIndexed = 8;
/** Paths whose numbers are compared for all that want one text. */
const maxColumns = 4;

/**
 * The rules, or traits, of one event type by what their conditions demand. A shop writes a rule for each category, product or step of
 * a price, and an event concerns few of them: the others need not be asked, because their condition is false for certain. And where a condition
 * demands nothing but what was compared here, it is true for certain: ten thousand conditions stand all over the memory, these numbers in a row.
 *
 * Each stands under one text that its condition wants, the one that the fewest others want; those of one text, and those that want none, under a range
 * of numbers. Where the path holds no text, or no number, a condition may fail, and what fails is counted: then all of that path are asked.
 */
export class ConditionIndex<T> {
  readonly all: readonly T[];
  readonly #byText: readonly TextsAtPath[];
  readonly #others: Group;
  readonly #found: Found;
  /** Where nothing is to be found by a comparison: all. */
  readonly #unindexed: readonly Candidate<T>[] | null;

  /** @param conditionOf what must hold for it to be of any concern; null: nothing */
  constructor(all: readonly T[], conditionOf: (each: T) => Pick<Condition, 'demands'> | null) {
    this.all = all;
    this.#found = new Found(all.length);
    const placed = all.map((each, place) => ({ demands: conditionOf(each)?.demands ?? nothing, place }));
    const { byPath, others } = byRarestText(placed);
    this.#byText = [...byPath.values()].map((wanted) => new TextsAtPath(wanted));
    this.#others = new Group(others, 0);
    const isIndexed = this.#byText.length > 0 || this.#others.isIndexed;
    this.#unindexed = isIndexed ? null : all.map((of) => ({ of, holds: false }));
  }

  /** All whose condition holds, may hold, or may fail, in their order. */
  candidates(scope: Scope): readonly Candidate<T>[] {
    if (this.#unindexed !== null) return this.#unindexed;
    const found = this.#found;
    found.clear();
    for (const texts of this.#byText) texts.find(scope, found);
    this.#others.find(scope, found);
    return found.of(this.all);
  }
}

/** Two bits a place, so that all come out in their order, wherever they were found. */
class Found {
  readonly #found: Uint32Array;
  readonly #holds: Uint32Array;
  /** One bit for each 32 places of which some are found: of ten thousand few are. */
  readonly #words: Uint32Array;

  constructor(places: number) {
    this.#found = new Uint32Array(Math.ceil(places / 32));
    this.#holds = new Uint32Array(this.#found.length);
    this.#words = new Uint32Array(Math.ceil(this.#found.length / 32));
  }

  note(place: number, holds: boolean): void {
    const word = place >> 5;
    const bit = 1 << (place & 31);
    this.#found[word]! |= bit;
    if (holds) this.#holds[word]! |= bit;
    this.#words[word >> 5]! |= 1 << (word & 31);
  }

  clear(): void {
    eachBit(this.#words, (word) => {
      this.#found[word] = 0;
      this.#holds[word] = 0;
    });
    this.#words.fill(0);
  }

  of<T>(all: readonly T[]): readonly Candidate<T>[] {
    const candidates: Candidate<T>[] = [];
    eachBit(this.#words, (word) => {
      const holds = this.#holds[word]!;
      for (let bits = this.#found[word]!; bits !== 0; bits &= bits - 1) {
        const bit = bits & -bits;
        candidates.push({ of: all[word * 32 + 31 - Math.clz32(bit)]!, holds: (holds & bit) !== 0 });
      }
    });
    return candidates;
  }
}

function eachBit(words: Uint32Array, found: (place: number) => void): void {
  for (let i = 0; i < words.length; i++) {
    for (let bits = words[i]!; bits !== 0; bits &= bits - 1) found(i * 32 + 31 - Math.clz32(bits & -bits));
  }
}

type Path = readonly string[];
type Demands = Condition['demands'];
interface Placed {
  readonly demands: Demands;
  readonly place: number;
}
/** One of a condition's texts at one path. */
interface Wanted extends Placed {
  readonly path: Path;
  readonly texts: readonly string[];
}
const nothing: Demands = { equalities: [], ranges: [], whole: false };

/** Each under the equality whose texts the fewest want, at paths that are worth looking at. */
function byRarestText(all: readonly Placed[]): { byPath: Map<string, Wanted[]>; others: readonly Placed[] } {
  const wanting = new Map<string, number>();
  const count = (key: string) => wanting.set(key, (wanting.get(key) ?? 0) + 1);
  for (const { demands } of all) {
    for (const { path, texts } of demands.equalities) {
      count(path.join('.'));
      for (const text of texts) count(keyOf(path, text));
    }
  }
  const othersWanting = ({ path, texts }: Demands['equalities'][number]) =>
    texts.reduce((sum, text) => sum + wanting.get(keyOf(path, text))!, 0);
  const byPath = new Map<string, Wanted[]>();
  const others = all.filter((placed) => {
    const worth = placed.demands.equalities.filter(({ path }) => wanting.get(path.join('.'))! >= leastIndexed);
    const rarest = least(worth, othersWanting);
    if (rarest !== null) into(byPath, rarest.path.join('.'), { ...placed, ...rarest });
    return rarest === null;
  });
  return { byPath, others };
}

/** Those that want some text at one path. */
class TextsAtPath {
  readonly #path: Path;
  readonly #places: readonly number[];
  readonly #groups = new Map<string, Group>();

  constructor(all: readonly Wanted[]) {
    this.#path = all[0]!.path;
    this.#places = all.map(({ place }) => place);
    const byText = new Map<string, Placed[]>();
    for (const wanted of all) for (const text of wanted.texts) into(byText, text, wanted);
    for (const [text, placed] of byText) this.#groups.set(text, new Group(placed, 1));
  }

  find(scope: Scope, found: Found): void {
    const text = valueAt(scope, this.#path);
    if (typeof text === 'string') this.#groups.get(text)?.find(scope, found);
    else for (const place of this.#places) found.note(place, false);
  }
}

/** Those that want the same text, or none; what numbers they want, path by path in columns. */
class Group {
  readonly #places: Uint32Array;
  /** 1: nothing is demanded but the text and what stands in the columns. */
  readonly #whole: Uint8Array;
  readonly #columns: readonly Column[];
  /** Where many differ by their numbers at one path. */
  readonly #trees: readonly Tree[];
  /** Those that are in no tree. */
  readonly #others: Uint32Array;
  readonly #values: unknown[] = [];

  /** @param texts how many equalities of each are known to hold when the group is asked */
  constructor(all: readonly Placed[], texts: number) {
    const paths = mostDifferent(all).slice(0, maxColumns);
    this.#columns = paths.map((path) => columnOf(path, all));
    this.#places = Uint32Array.from(all, ({ place }) => place);
    this.#whole = Uint8Array.from(all, ({ demands: { whole, equalities, ranges } }) => {
      return Number(
        whole && equalities.length === texts && ranges.every((range) => paths.includes(nameOf(range.path))),
      );
    });
    const byPath = new Map<string, number[]>();
    for (const [i, { demands }] of all.entries()) {
      const best = paths.find((name) => demands.ranges.some(({ path }) => nameOf(path) === name));
      if (best !== undefined) into(byPath, best, i);
    }
    this.#trees = paths.flatMap((name, column) => {
      const of = byPath.get(name) ?? [];
      return of.length < leastIndexed ? [] : [{ column, of, ranges: RangeTree.of(this.#columns[column]!.ranges, of) }];
    });
    const inTrees = new Set(this.#trees.flatMap(({ of }) => of));
    this.#others = Uint32Array.from([...all.keys()].filter((i) => !inTrees.has(i)));
  }

  get isIndexed(): boolean {
    return this.#trees.length > 0;
  }

  find(scope: Scope, found: Found): void {
    for (let i = 0; i < this.#columns.length; i++) this.#values[i] = valueAt(scope, this.#columns[i]!.path);
    for (const i of this.#others) this.#compare(i, found);
    for (const { column, of, ranges } of this.#trees) {
      const value = this.#values[column];
      if (typeof value === 'number') ranges?.find(value, (i) => this.#compare(i, found));
      else for (const i of of) this.#compare(i, found);
    }
  }

  #compare(i: number, found: Found): void {
    let holds = this.#whole[i] === 1;
    for (let c = 0; c < this.#columns.length; c++) {
      const value = this.#values[c];
      const { froms, tos } = this.#columns[c]!;
      const [from, to] = [froms[i]!, tos[i]!];
      if (typeof value !== 'number') holds &&= from === Number.NEGATIVE_INFINITY && to === Number.POSITIVE_INFINITY;
      else if (!(from <= value && value <= to)) return;
    }
    found.note(this.#places[i]!, holds);
  }
}

/** What all of a group want at one path; without end where one wants nothing. */
interface Column {
  readonly path: Path;
  readonly ranges: readonly Pick<Range, 'from' | 'to'>[];
  readonly froms: Float64Array;
  readonly tos: Float64Array;
}
interface Tree {
  /** Which column it is of. */
  readonly column: number;
  readonly of: readonly number[];
  readonly ranges: RangeTree | null;
}
const anything = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };

function columnOf(name: string, all: readonly Placed[]): Column {
  const found = all.map(({ demands }) => demands.ranges.find(({ path }) => nameOf(path) === name));
  const ranges = found.map((range) => range ?? anything);
  const { path } = found.find((range) => range !== undefined)!;
  const [froms, tos] = [ranges.map(({ from }) => from), ranges.map(({ to }) => to)];
  return { path, ranges, froms: Float64Array.from(froms), tos: Float64Array.from(tos) };
}

/** The paths at which numbers are wanted, that first where the most differ: there a number leaves the fewest. */
function mostDifferent(all: readonly Placed[]): readonly string[] {
  const different = new Map<string, Set<string>>();
  for (const { demands } of all) {
    for (const { path, from, to } of demands.ranges) {
      const name = nameOf(path);
      different.set(name, (different.get(name) ?? new Set()).add(`${from} ${to}`));
    }
  }
  return [...different].sort(([, a], [, b]) => b.size - a.size).map(([name]) => name);
}

function valueAt(scope: Scope, path: Path): unknown {
  let value: unknown = scope[path[0] as keyof Scope];
  for (let i = 1; i < path.length; i++) {
    const name = path[i]!;
    // Roots have getters, so what an object owns is not asked.
    if (value === null || typeof value !== 'object' || Array.isArray(value) || name in Object.prototype)
      return undefined;
    value = (value as { readonly [name: string]: unknown })[name];
  }
  return value;
}

const nameOf = (path: Path): string => path.join('.');

/** A path's names hold no space. */
function keyOf(path: Path, text: string): string {
  return `${nameOf(path)} ${text}`;
}

function into<V>(map: Map<string, V[]>, key: string, value: V): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [value]);
  else known.push(value);
}

/** The first of those with the smallest measure; null: there is none. */
function least<V>(values: readonly V[], measure: (value: V) => number): V | null {
  let best: V | null = null;
  for (const value of values) if (best === null || measure(value) < measure(best)) best = value;
  return best;
}
