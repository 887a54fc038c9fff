import type { Json } from '../model/json.ts';
import type { Trait, Window } from '../playbook/playbook.ts';

/**
 * What traits over windows and by groups keep, and how it is read (semantics 3.8). A value: each update makes the next one.
 *
 * A *cell* is the aggregate of some events: of a count their number, of an average their number and sum, of others the value
 * itself. A window keeps a cell for each step that has one, a grouped trait the same for each group.
 */
export type Cell = Json;
export type Steps = readonly (readonly [step: number, cell: Cell])[];
export type Groups = readonly (readonly [group: string, body: Json])[];
/** `[value, step]` of a window, else the value alone; the least recently seen first. */
export type Distinct = readonly (readonly [value: Json, step: number])[] | readonly Json[];
export type Score = readonly [value: number, at: number];

/** What one event brings. */
export interface Contribution {
  /** In minor units if it is money. For a count anything. */
  readonly value: Json;
  readonly group: string | null;
  /** Event time, and visitor now, this event included. */
  readonly at: number;
  readonly now: number;
}

/** Below this a score is nothing. */
const leastScore = 1e-6;

/** Whether the trait's state is more than its value, and so carries the signature of its declaration. */
export function isStructured(trait: Trait): boolean {
  if (trait.by !== null || trait.window !== null) return true;
  return trait.kind === 'average' || trait.kind === 'distinct' || trait.kind === 'rate' || trait.kind === 'score';
}

/** The state after an event. The same one: nothing changed. */
export function withContribution(trait: Trait, before: Json | undefined, event: Contribution): Json | undefined {
  const kept = bodyOf(trait, before);
  const body = trait.by === null ? nextBody(trait, kept, event) : nextGroups(trait, kept as Groups | undefined, event);
  return body === undefined || body === kept ? before : [trait.signature, body];
}

/** The value as conditions read it at `now`, money in minor units; the trait's initial value where there is none. */
export function readAggregate(trait: Trait, state: Json | undefined, now: number): Json {
  const body = bodyOf(trait, state);
  if (body === undefined) return trait.initial;
  if (trait.by === null) return readBody(trait, body, now) ?? trait.initial;
  const values: { [group: string]: Json } = {};
  for (const [group, each] of body as unknown as Groups) {
    const value = readBody(trait, each, now);
    if (value !== undefined) values[group] = value;
  }
  return values;
}

/** When, after `now`, the next step leaves the window; null: nothing is in it. */
export function nextLeaving(trait: Trait, state: Json | undefined, now: number): number | null {
  const body = bodyOf(trait, state);
  const { window } = trait;
  if (body === undefined || window === null) return null;
  let next: number | null = null;
  const bodies = trait.by === null ? [body] : (body as unknown as Groups).map(([, each]) => each);
  for (const each of bodies) {
    for (const step of stepsOf(trait, each)) {
      const leaves = (step + window.steps) * window.stepMs;
      if (leaves > now && (next === null || leaves < next)) next = leaves;
    }
  }
  return next;
}

/**
 * When a score has decayed to `bound`, as far as arithmetic tells: the same instant whenever it is asked, also when it is over.
 * null: it never was above.
 */
export function scoreReaches(
  trait: Trait,
  state: Json | undefined,
  group: string | null,
  bound: number,
): number | null {
  const body = bodyOf(trait, state);
  if (body === undefined) return null;
  const score = group === null ? body : (body as unknown as Groups).find(([each]) => each === group)?.[1];
  if (score === undefined) return null;
  const [value, at] = score as unknown as Score;
  const sign = Math.sign(value);
  const ratio = (value * sign) / Math.max(bound * sign, leastScore);
  return sign === 0 || ratio <= 1 ? null : Math.ceil(at + trait.halfLifeMs * Math.log2(ratio));
}

/** What was kept under another declaration counts as none. */
export function bodyOf(trait: Trait, state: Json | undefined): Json | undefined {
  return Array.isArray(state) && state.length === 2 && state[0] === trait.signature ? (state[1] as Json) : undefined;
}

/** Whether it is the state of a structured trait, whichever: a text and a list. */
export function isSigned(state: readonly Json[]): boolean {
  return state.length === 2 && typeof state[0] === 'string' && Array.isArray(state[1]);
}

function nextGroups(trait: Trait, before: Groups | undefined, event: Contribution): Json | undefined {
  const groups = before ?? [];
  const { group } = event;
  if (group === null) return before as Json | undefined;
  const kept = groups.find(([each]) => each === group)?.[1];
  const next = nextBody(trait, kept, event);
  // What is not in the window was not seen. A group that keeps its value was: it is the last to leave.
  const isUnseen = next === undefined || (next === kept && trait.window !== null);
  if (isUnseen || (next === kept && groups.at(-1)?.[0] === group)) return before as Json | undefined;
  const others = groups.filter(([each]) => each !== group);
  const room = others.slice(Math.max(0, others.length - trait.groups + 1));
  return [...room, [group, next]] as unknown as Json;
}

function nextBody(trait: Trait, before: Json | undefined, event: Contribution): Json | undefined {
  const { kind, window } = trait;
  if (kind === 'distinct') return nextDistinct(trait, before as Distinct | undefined, event);
  if (kind === 'score') return nextScore(trait, before as Score | undefined, event);
  return window === null
    ? withValue(kind, before, event.value)
    : nextSteps(trait, window, before as Steps | undefined, event);
}

function nextSteps(trait: Trait, window: Window, before: Steps | undefined, event: Contribution): Json | undefined {
  const oldest = oldestStep(window, event.now);
  const step = Math.floor(event.at / window.stepMs);
  if (step < oldest) return before as Json | undefined;
  const kept = (before ?? []).filter(([each]) => each >= oldest);
  let place = kept.length;
  while (place > 0 && kept[place - 1]![0] > step) place--;
  const isThere = place > 0 && kept[place - 1]![0] === step;
  const cell = withValue(trait.kind, isThere ? kept[place - 1]![1] : undefined, event.value);
  if (isThere) kept[place - 1] = [step, cell];
  else kept.splice(place, 0, [step, cell]);
  return kept as unknown as Json;
}

function nextDistinct(trait: Trait, before: Distinct | undefined, event: Contribution): Json | undefined {
  const { window, limit } = trait;
  const { value, at, now } = event;
  if (window === null) {
    const values = (before ?? []) as readonly Json[];
    if (values.at(-1) === value) return before as Json | undefined;
    return [...values.filter((each) => each !== value), value].slice(-limit);
  }
  const oldest = oldestStep(window, now);
  const step = Math.floor(at / window.stepMs);
  if (step < oldest) return before as Json | undefined;
  const seen = (before ?? []) as readonly (readonly [Json, number])[];
  const known = seen.find(([each]) => each === value);
  const others = seen.filter(([each, last]) => each !== value && last >= oldest);
  return [...others, [value, Math.max(step, known?.[1] ?? step)]].slice(-limit) as unknown as Json;
}

function nextScore(trait: Trait, before: Score | undefined, { value, at, now }: Contribution): Json {
  const grown = (value as number) * 2 ** (-(now - at) / trait.halfLifeMs);
  const left = before === undefined ? 0 : decayed(before, now, trait.halfLifeMs);
  return [Number.isFinite(left + grown) ? left + grown : left, now];
}

function withValue(kind: Trait['kind'], cell: Cell | undefined, value: Json): Cell {
  switch (kind) {
    case 'count':
    case 'rate':
      return ((cell as number | undefined) ?? 0) + 1;
    case 'average':
      return cell === undefined ? [1, value] : joined(kind, cell, [1, value]);
    default:
      return cell === undefined ? value : joined(kind, cell, value);
  }
}

/** Of two cells the earlier first. */
export function joined(kind: Trait['kind'], a: Cell, b: Cell): Cell {
  switch (kind) {
    case 'count':
    case 'rate':
      return (a as number) + (b as number);
    case 'sum': {
      const sum = (a as number) + (b as number);
      return Number.isFinite(sum) ? sum : a;
    }
    case 'min':
      return Math.min(a as number, b as number);
    case 'max':
      return Math.max(a as number, b as number);
    case 'average': {
      const [count, sum] = a as unknown as readonly [number, number];
      const [more, of] = b as unknown as readonly [number, number];
      // JSON has no infinite numbers; what would make one is left out.
      return Number.isFinite(sum + of) ? [count + more, sum + of] : a;
    }
    case 'first':
      return a;
    default:
      return b;
  }
}

function readBody(trait: Trait, body: Json, now: number): Json | undefined {
  const { kind, window } = trait;
  if (kind === 'score') {
    const value = decayed(body as unknown as Score, now, trait.halfLifeMs);
    return value === 0 ? undefined : value;
  }
  if (kind === 'distinct') {
    const count = window === null ? (body as readonly Json[]).length : stepsOf(trait, body, now).length;
    return count === 0 ? undefined : count;
  }
  const cell = window === null ? body : joinedSteps(kind, window, body as unknown as Steps, now);
  return cell === undefined ? undefined : finished(trait, cell);
}

function joinedSteps(kind: Trait['kind'], window: Window, steps: Steps, now: number): Cell | undefined {
  const oldest = oldestStep(window, now);
  let cell: Cell | undefined;
  for (const [step, each] of steps) if (step >= oldest) cell = cell === undefined ? each : joined(kind, cell, each);
  return cell;
}

function finished(trait: Trait, cell: Cell): Json {
  if (trait.kind === 'average') {
    const [count, sum] = cell as unknown as readonly [number, number];
    // Money stays whole minor units.
    return trait.money ? Math.round(sum / count) : sum / count;
  }
  return trait.kind === 'rate' ? ((cell as number) * trait.perMs) / trait.window!.widthMs : cell;
}

/** The steps that something stands in, those before the window that ends at `now` left out. */
function stepsOf(trait: Trait, body: Json, now?: number): readonly number[] {
  const steps =
    trait.kind === 'distinct'
      ? (body as unknown as readonly (readonly [Json, number])[]).map(([, step]) => step)
      : (body as unknown as Steps).map(([step]) => step);
  return now === undefined ? steps : steps.filter((step) => step >= oldestStep(trait.window!, now));
}

export function oldestStep({ stepMs, steps }: Window, now: number): number {
  return Math.floor(now / stepMs) - steps + 1;
}

export function decayed([value, at]: Score, now: number, halfLifeMs: number): number {
  const left = value * 2 ** (-(now - at) / halfLifeMs);
  return Math.abs(left) < leastScore ? 0 : left;
}
