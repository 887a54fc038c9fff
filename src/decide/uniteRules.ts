import type { Json } from '../model/json.ts';
import type { TraitStates } from '../model/traitStates.ts';
import type { Timer } from '../model/visitor.ts';
import type { AbsenceTrigger, Expression, Playbook } from '../playbook/playbook.ts';
import { maxKeys, maxPageViews } from './limits.ts';
import type { EventScope } from './scope.ts';
import { type Partial, unitedPartials } from './sequences.ts';
import { earlierOf, keyOfValue, laterOf, type Pair, type Uniting, unitedList } from './uniteLists.ts';
import { maxWaits, textOf, type Wait } from './waits.ts';

export interface UnitingRules extends Uniting {
  readonly playbook: Playbook | null;
  /** What conditions read of the two as they were, and of the one that they become. Null without a playbook. */
  readonly scopes: (Pair<EventScope> & { readonly united: EventScope }) | null;
  /** Numbers of their open sessions; 0: none. */
  readonly sessions: Pair<number> & { readonly united: number };
  /** Event time of the latest order of either. */
  readonly orderedAt: number | null;
}

/** Where rules stand with two visitors that become one (semantics 8.2), and the timers of what they wait for. */
export function unitedRules(
  states: Pair<TraitStates>,
  timers: Pair<readonly Timer[]>,
  uniting: UnitingRules,
): { readonly rules: TraitStates; readonly timers: readonly Timer[] } {
  const { user, other } = states;
  const changes: [string, Json | undefined][] = [];
  const names = new Set([...user.entries(), ...other.entries()].map(([name]) => name));
  const united = new UnitedTimers(timers);
  for (const name of names) {
    const pair = { user: user.get(name), other: other.get(name) };
    const [kind = '', per = ''] = name.split('.', 2);
    let state: Json | undefined;
    if (kind === 'wait') state = unitedWaits(name.slice('wait.'.length), pair as Pair<never>, uniting, united);
    else if (kind === 'limit' || kind === 'group') {
      state = unitedCounts(per, pair, uniting, per === 'key' ? keyOfLimit(name, kind, uniting) : null);
    } else if (pair.user === undefined || pair.other === undefined) state = pair.user ?? pair.other;
    else state = unitedState(kind, { user: pair.user, other: pair.other }, uniting);
    if (state !== pair.user) changes.push([name, state]);
  }
  return { rules: changes.length === 0 ? user : user.with(changes), timers: united.all() };
}

function unitedState(kind: string, states: Pair<Json>, uniting: Uniting): Json {
  switch (kind) {
    case 'cool':
      return Math.max(states.user as number, states.other as number);
    case 'spent':
      return unitedList(states as Pair<readonly Json[]>, uniting, keyOfValue).slice(-maxPageViews);
    case 'seq': {
      const partials = states as unknown as Pair<readonly Partial[]>;
      return unitedPartials(earlierOf(partials, uniting), laterOf(partials, uniting)) as unknown as Json;
    }
    default:
      return states.user;
  }
}

type Count = readonly [by: Json, times: number];

/** How often rules have run, by what they are counted by. */
function unitedCounts(
  per: string,
  { user, other }: Pair<Json | undefined>,
  uniting: UnitingRules,
  key: Expression | null,
): Json | undefined {
  if (per === 'key') {
    const lists = {
      user: renamed((user ?? []) as unknown as readonly Count[], key, 'user', uniting),
      other: renamed((other ?? []) as unknown as readonly Count[], key, 'other', uniting),
    };
    const keys = unitedList(
      lists,
      uniting,
      ([by]) => by,
      ({ user: [by, a], other: [, b] }) => [by, a + b] as const,
    );
    return keys.length === 0 ? undefined : (keys.slice(-maxKeys) as unknown as Json);
  }
  const a = currentCount(per, user, 'user', uniting);
  const b = currentCount(per, other, 'other', uniting);
  if (a === undefined || b === undefined) return (a ?? b) as Json | undefined;
  // Of days the last one is counted.
  if (a[0] !== b[0]) return (a[0]! > b[0]! ? a : b) as Json;
  return [a[0], a[1] + b[1]];
}

/** A count by session goes on with the united session if it is of the one that was open. */
function currentCount(
  per: string,
  state: Json | undefined,
  side: keyof Pair<unknown>,
  { sessions }: UnitingRules,
): Count | undefined {
  if (state === undefined || per !== 'session') return state as Count | undefined;
  const [by, times] = state as unknown as Count;
  const isOpen = by === sessions[side] && (by !== 0 || sessions.united === 0);
  return isOpen ? [sessions.united, times] : undefined;
}

/** A group may count by several keys; that of its rule with the smallest id stands for all. */
function keyOfLimit(name: string, kind: string, { playbook }: UnitingRules): Expression | null {
  const of = name.slice(`${kind}.key.`.length);
  if (kind === 'limit') return playbook?.rules.get(of)?.limit?.key ?? null;
  const rules = [...(playbook?.rules.values() ?? [])].filter(({ limit }) => limit?.per === 'key' && limit.group === of);
  return rules.sort((a, b) => (a.id < b.id ? -1 : 1))[0]?.limit?.key ?? null;
}

/** The key of the visitor's cart, which the one cart of both has another text for from now on; null: the key is of something else. */
function cartKeys(
  key: Expression | null,
  side: keyof Pair<unknown>,
  { scopes }: UnitingRules,
): { readonly from: string; readonly to: string } | null {
  if (key === null || scopes === null || key.reads.join() !== 'cart.id') return null;
  try {
    const [from, to] = [textOf(key.evaluate(scopes[side])), textOf(key.evaluate(scopes.united))];
    return from === null || to === null ? null : { from, to };
  } catch {
    return null;
  }
}

function renamed<T extends readonly [key: Json, ...rest: unknown[]]>(
  list: readonly T[],
  key: Expression | null,
  side: keyof Pair<unknown>,
  uniting: UnitingRules,
): readonly T[] {
  const keys = cartKeys(key, side, uniting);
  if (keys === null) return list;
  return list.map((each) => (each[0] === keys.from ? ([keys.to, ...each.slice(1)] as unknown as T) : each));
}

/** The waits of an absence: by key the one that was set by the later event, the user's of two as late. */
function unitedWaits(
  id: string,
  pair: Pair<readonly Wait[] | undefined>,
  uniting: UnitingRules,
  timers: UnitedTimers,
): Json | undefined {
  const trigger = uniting.playbook?.rules.get(id)?.trigger;
  const absence = trigger?.kind === 'absence' ? trigger : null;
  const sides = { user: timers.takeWaits(id, 'user'), other: timers.takeWaits(id, 'other') };
  const withTimers = (side: keyof Pair<unknown>) => {
    const waits = (pair[side] ?? []).map((wait): TimedWait => [wait[0], wait, sides[side].get(wait[0]) ?? null]);
    const left = waits.filter(([, wait]) => !isOverByOrder(wait, absence, side, uniting));
    return renamed(left, absence?.key ?? null, side, uniting);
  };
  const all = unitedList(
    { user: withTimers('user'), other: withTimers('other') },
    uniting,
    ([text]) => text,
    ({ user, other }) => (other[1][1] > user[1][1] ? other : user),
  );
  const kept = all.slice(-maxWaits);
  for (const [text, , timer] of kept) if (timer !== null) timers.keep({ ...timer, key: [id, text] });
  const waits = kept.map(([text, [, ...rest]]) => [text, ...rest]);
  return waits.length === 0 ? undefined : (waits as unknown as Json);
}

/** An order of either ends what the other's cart, and no cart, waits for since an earlier event, as it would have done in one visitor. */
function isOverByOrder(
  [text, at]: Wait,
  absence: AbsenceTrigger | null,
  side: keyof Pair<unknown>,
  uniting: UnitingRules,
): boolean {
  const { playbook, orderedAt } = uniting;
  if (absence === null || orderedAt === null || at > orderedAt) return false;
  const isOrder = (type: string) => [...playbook!.traits.values()].some(({ cart }) => cart?.order === type);
  if (!absence.absent.some(isOrder)) return false;
  return absence.key === null || cartKeys(absence.key, side, uniting)?.from === text;
}

type TimedWait = readonly [key: string, wait: Wait, timer: Timer | null];

/** The rules' timers: those of waits as these are united, of any others the one that is due later. */
class UnitedTimers {
  readonly #left: Pair<Timer[]>;
  readonly #kept: Timer[] = [];

  constructor({ user, other }: Pair<readonly Timer[]>) {
    const isOfRule = ({ what }: Timer) => what === 'rule';
    this.#left = { user: user.filter(isOfRule), other: other.filter(isOfRule) };
  }

  /** The timers that a rule has on one side, by their keys; they are kept only if it is said of them. */
  takeWaits(rule: string, side: keyof Pair<unknown>): ReadonlyMap<string, Timer> {
    const list = this.#left[side];
    const taken = list.filter(({ key }) => key[0] === rule);
    list.splice(0, list.length, ...list.filter(({ key }) => key[0] !== rule));
    return new Map(taken.map((timer) => [timer.key[1]!, timer]));
  }

  keep(timer: Timer): void {
    this.#kept.push(timer);
  }

  all(): readonly Timer[] {
    const rest = new Map<string, Timer>();
    for (const timer of [...this.#left.user, ...this.#left.other]) {
      const name = JSON.stringify(timer.key);
      const known = rest.get(name);
      if (known === undefined || timer.due! > known.due!) rest.set(name, timer);
    }
    return [...this.#kept, ...rest.values()];
  }
}
