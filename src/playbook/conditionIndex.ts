import type { Condition, Scope } from './playbook.ts';

/** With fewer, asking each costs no more than finding out which to ask. */
const leastIndexed = 8;

/**
 * The rules, or traits, of one event type by the text that their condition wants at one path. A shop writes a rule for each category or
 * product, and an event concerns one of them: the others need not be asked, because their condition is false for certain.
 */
export class ConditionIndex<T> {
  readonly all: readonly T[];
  readonly #path: readonly string[] | null;
  /** Places in `all`, in order. */
  readonly #unindexed: readonly number[];
  readonly #byText = new Map<string, number[]>();

  /** @param conditionOf what must hold for it to be of any concern; null: nothing */
  constructor(all: readonly T[], conditionOf: (each: T) => Condition | null) {
    this.all = all;
    const conditions = all.map(conditionOf);
    this.#path = commonPath(conditions);
    this.#unindexed = [...all.keys()].filter((place) => {
      const texts = textsAt(conditions[place] ?? null, this.#path);
      for (const text of new Set(texts)) this.#byText.set(text, [...(this.#byText.get(text) ?? []), place]);
      return texts === null;
    });
  }

  /** All whose condition may hold, in their order. */
  candidates(scope: Scope): readonly T[] {
    if (this.#path === null) return this.all;
    const text = valueAt(scope, this.#path);
    // Where there is no text a condition may fail, and what fails is counted: each must be asked.
    return typeof text === 'string' ? this.#merged(this.#byText.get(text) ?? none) : this.all;
  }

  #merged(indexed: readonly number[]): readonly T[] {
    const { all } = this;
    const merged: T[] = [];
    let next = 0;
    for (const place of this.#unindexed) {
      while (next < indexed.length && indexed[next]! < place) merged.push(all[indexed[next++]!]!);
      merged.push(all[place]!);
    }
    while (next < indexed.length) merged.push(all[indexed[next++]!]!);
    return merged;
  }
}

const none: readonly number[] = [];

/** The path that most conditions compare; null: too few do. */
function commonPath(conditions: readonly (Condition | null)[]): readonly string[] | null {
  const counts = new Map<string, { readonly path: readonly string[]; count: number }>();
  for (const condition of conditions) {
    for (const { path } of condition?.equalities ?? []) {
      const counted = counts.get(path.join('.')) ?? { path, count: 0 };
      counted.count++;
      counts.set(path.join('.'), counted);
    }
  }
  const most = [...counts.values()].sort((a, b) => b.count - a.count)[0];
  return most === undefined || most.count < leastIndexed ? null : most.path;
}

/** null: it does not depend on the path alone. */
function textsAt(condition: Condition | null, path: readonly string[] | null): readonly string[] | null {
  const name = path?.join('.');
  return condition?.equalities.find((equality) => equality.path.join('.') === name)?.texts ?? null;
}

function valueAt(scope: Scope, path: readonly string[]): unknown {
  let value: unknown = scope[path[0] as keyof Scope];
  for (let i = 1; i < path.length; i++) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, path[i]!)) return undefined;
    value = (value as { readonly [name: string]: unknown })[path[i]!];
  }
  return value;
}
