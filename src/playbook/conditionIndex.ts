import type { Condition, Scope } from './playbook.ts';
import { type PlacedRange, RangeTree } from './rangeTree.ts';

/** With fewer at one path, asking each costs no more than finding out which to ask. */
const leastIndexed = 8;

/**
 * The rules, or traits, of one event type by what their conditions demand. A shop writes a rule for each category, product or step of
 * a price, and an event concerns few of them: the others need not be asked, because their condition is false for certain.
 *
 * Each stands under one text that its condition wants, the one that the fewest others want; those of one text, and those that want none, under a range
 * of numbers. Where the path holds no text, or no number, a condition may fail, and what fails is counted: then all of that path are asked.
 */
export class ConditionIndex<T> {
  readonly all: readonly T[];
  readonly #byText: readonly TextsAtPath[];
  readonly #others: Group;
  /** One bit a place, set for those to be asked: so they come out in their order, wherever they were found. */
  readonly #found: Uint32Array;

  /** @param conditionOf what must hold for it to be of any concern; null: nothing */
  constructor(all: readonly T[], conditionOf: (each: T) => Pick<Condition, 'demands'> | null) {
    this.all = all;
    this.#found = new Uint32Array(Math.ceil(all.length / 32));
    const placed = all.map((each, place) => ({ demands: conditionOf(each)?.demands ?? nothing, place }));
    const { byPath, others } = byRarestText(placed);
    this.#byText = [...byPath.values()].map((wanted) => new TextsAtPath(wanted));
    this.#others = new Group(others);
  }

  /** All whose condition may hold, or fail, in their order. */
  candidates(scope: Scope): readonly T[] {
    if (this.#byText.length === 0 && !this.#others.isIndexed) return this.all;
    this.#found.fill(0);
    for (const texts of this.#byText) texts.find(scope, this.#found);
    this.#others.find(scope, this.#found);
    return this.#inOrder();
  }

  #inOrder(): readonly T[] {
    const asked: T[] = [];
    for (let word = 0; word < this.#found.length; word++) {
      for (let bits = this.#found[word]!; bits !== 0; bits &= bits - 1) {
        asked.push(this.all[word * 32 + 31 - Math.clz32(bits & -bits)]!);
      }
    }
    return asked;
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
const nothing: Demands = { equalities: [], ranges: [] };

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
    for (const [text, placed] of byText) this.#groups.set(text, new Group(placed));
  }

  find(scope: Scope, found: Uint32Array): void {
    const text = valueAt(scope, this.#path);
    if (typeof text === 'string') this.#groups.get(text)?.find(scope, found);
    else for (const place of this.#places) note(found, place);
  }
}

/** Those that want the same text, or none: where many compare one path with numbers, by these. */
class Group {
  readonly #asked: readonly number[];
  readonly #byNumber: readonly NumbersAtPath[];

  constructor(all: readonly Placed[]) {
    // At the path where the most differ: there a number leaves the fewest.
    const different = new Map<string, Set<string>>();
    for (const { demands } of all) {
      for (const { path, from, to } of demands.ranges) {
        const key = path.join('.');
        different.set(key, (different.get(key) ?? new Set()).add(`${from} ${to}`));
      }
    }
    const byPath = new Map<string, NumberWanted[]>();
    for (const { demands, place } of all) {
      const best = least(demands.ranges, ({ path }) => -different.get(path.join('.'))!.size);
      if (best !== null) into(byPath, best.path.join('.'), { ...best, place });
    }
    const worth = [...byPath.values()].filter((ranges) => ranges.length >= leastIndexed);
    const indexed = new Set(worth.flat().map(({ place }) => place));
    this.#asked = all.map(({ place }) => place).filter((place) => !indexed.has(place));
    this.#byNumber = worth.map((ranges) => new NumbersAtPath(ranges));
  }

  get isIndexed(): boolean {
    return this.#byNumber.length > 0;
  }

  find(scope: Scope, found: Uint32Array): void {
    for (const place of this.#asked) note(found, place);
    for (const numbers of this.#byNumber) numbers.find(scope, found);
  }
}

interface NumberWanted extends PlacedRange {
  readonly path: Path;
}

class NumbersAtPath {
  readonly #path: Path;
  readonly #places: readonly number[];
  readonly #ranges: RangeTree | null;

  constructor(all: readonly NumberWanted[]) {
    this.#path = all[0]!.path;
    this.#places = all.map(({ place }) => place);
    this.#ranges = RangeTree.of(all);
  }

  find(scope: Scope, found: Uint32Array): void {
    const value = valueAt(scope, this.#path);
    if (typeof value === 'number') this.#ranges?.find(value, (place) => note(found, place));
    else for (const place of this.#places) note(found, place);
  }
}

function note(found: Uint32Array, place: number): void {
  found[place >> 5]! |= 1 << (place & 31);
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

/** A path's names hold no space. */
function keyOf(path: Path, text: string): string {
  return `${path.join('.')} ${text}`;
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
