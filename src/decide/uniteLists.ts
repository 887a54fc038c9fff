import type { Json } from '../model/json.ts';

/** Two visitors become one (semantics 8.2): which of their states is the user's, and which the later, by visitor now. */
export interface Pair<T> {
  readonly user: T;
  readonly other: T;
}
export interface Uniting {
  /** Whose visitor now is larger; as large: the user. */
  readonly userIsLater: boolean;
  /** Visitor now of the one that they become. */
  readonly now: number;
}

export function laterOf<T>({ user, other }: Pair<T>, { userIsLater }: Uniting): T {
  return userIsLater ? user : other;
}
export function earlierOf<T>({ user, other }: Pair<T>, { userIsLater }: Uniting): T {
  return userIsLater ? other : user;
}

/** Two lists in which what was seen last stands at the end: the earlier visitor's first, each once, where the later visitor has it. */
export function unitedList<T>(
  lists: Pair<readonly T[]>,
  uniting: Uniting,
  keyOf: (value: T) => unknown,
  unite: (pair: Pair<T>) => T = (pair) => laterOf(pair, uniting),
): readonly T[] {
  const earlier = new Map(earlierOf(lists, uniting).map((each) => [keyOf(each), each]));
  const later = new Map(laterOf(lists, uniting).map((each) => [keyOf(each), each]));
  const united: T[] = [];
  for (const [key, each] of earlier) if (!later.has(key)) united.push(each);
  for (const [key, each] of later) {
    const known = earlier.get(key);
    const pair = uniting.userIsLater ? { user: each, other: known } : { user: known, other: each };
    united.push(known === undefined ? each : unite(pair as Pair<T>));
  }
  return united;
}

/** What makes two values the same in a list that has each once. */
export function keyOfValue(value: Json): unknown {
  return value !== null && typeof value === 'object' ? JSON.stringify(value) : value;
}
