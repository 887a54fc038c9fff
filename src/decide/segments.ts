import { murmur2 } from '../model/shard.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Playbook, Scope, Segment, TimeChange } from '../playbook/playbook.ts';
import { nextLeaving, scoreReaches } from './aggregates.ts';
import { EventScope, segmentsView } from './scope.ts';

/** Instants at which a segment may change that are looked at in one step (semantics 3.9). */
const maxCandidates = 16;
/** A calendar instant comes to all visitors at once; they are spread over this. */
const spreadMs = 600_000;

export interface SegmentsStep {
  readonly visitor: Visitor;
  readonly entered: readonly string[];
  readonly left: readonly string[];
  /** Conditions that threw; their segment does not hold. */
  readonly errors: number;
}

/** When a segment will change though nothing happens. `segment`: "" is to look again then. */
export interface NextChange {
  readonly due: number;
  readonly segment: string;
}

type Members = { [segment: string]: boolean };

/** The visitor in the segments whose conditions hold now; `scope` sees them from here on. */
export function withSegments(visitor: Visitor, scope: EventScope, playbook: Playbook): SegmentsStep {
  const { segments } = playbook;
  const before = visitor.segments;
  const { members, errors } = tried(segments.values(), scope);
  const entered: string[] = [];
  const left: string[] = [];
  for (const id of segments.keys()) {
    const was = Object.hasOwn(before, id);
    if (members[id] && !was) entered.push(id);
    else if (!members[id] && was) left.push(id);
  }
  if (entered.length + left.length === 0 && isOfPlaybook(before, playbook)) return { visitor, ...nobody, errors };
  const next: { [segment: string]: number } = {};
  for (const id of [...segments.keys()].sort()) if (members[id]) next[id] = before[id] ?? scope.now;
  const moved = { ...visitor, segments: next };
  scope.moveTo(moved);
  return { visitor: moved, entered: entered.sort(), left: left.sort(), errors };
}

/**
 * The first instant after the step at which time alone changes a segment of this visitor; null: there is none.
 * @param step sees the visitor as after the step, segments included
 * @param isSet rules have set traits since the segments were tried, so any may differ
 */
export function nextChange(
  visitor: Visitor,
  bundles: ActiveBundles,
  step: EventScope,
  isSet: boolean,
): NextChange | null {
  const { playbook } = bundles;
  const { changes, byTime, hasCalendar } = timesOf(playbook);
  if (changes.length === 0) return null;
  const turns = changes.map((change) => turnsOf(change.change, step, visitor, playbook));
  let at = step.now;
  for (let looked = 0; looked < maxCandidates; looked++) {
    const next = nextTurn(turns, at);
    if (next === null) return null;
    at = next.at;
    // What time does not change then is as it was when it was tried; a calendar instant has come before its turn, which is spread.
    const timed = next.only === null || hasCalendar ? byTime : changes[next.only]!.affected;
    const asked = isSet ? [...playbook.segments.values()] : timed;
    const { members } = tried(asked, new EventScope(bundles, visitor, at, null, at), segmentsView(visitor, playbook));
    let first: string | null = null;
    for (const { id } of asked) {
      if (members[id] !== Object.hasOwn(visitor.segments, id) && (first === null || id < first)) first = id;
    }
    if (first !== null) return { due: at, segment: first };
  }
  return { due: at, segment: '' };
}

const nobody = { entered: [], left: [] } as const;

/** @param members what is known of others that these read */
function tried(
  segments: Iterable<Segment>,
  scope: EventScope,
  members: Members = {},
): { members: Members; errors: number } {
  let errors = 0;
  scope.setSegments(members);
  for (const { id, condition } of segments) {
    try {
      members[id] = condition.evaluate(scope);
    } catch {
      members[id] = false;
      errors++;
    }
  }
  return { members, errors };
}

/** Segments that the playbook no longer has are left without a word. */
function isOfPlaybook(segments: Visitor['segments'], playbook: Playbook): boolean {
  for (const id in segments) if (!playbook.segments.has(id)) return false;
  return true;
}

/** What time alone may change of a playbook's segments. */
interface Times {
  readonly changes: readonly {
    readonly change: TimeChange;
    /** The segment whose condition changes, and those that read it; each after those that it reads. */
    readonly affected: readonly Segment[];
  }[];
  /** All of these. */
  readonly byTime: readonly Segment[];
  readonly hasCalendar: boolean;
}
const times = new WeakMap<Playbook, Times>();

function timesOf(playbook: Playbook): Times {
  let known = times.get(playbook);
  if (known === undefined) {
    const segments = [...playbook.segments.values()];
    const changes = segments.flatMap((segment) => {
      const affected = withReaders(segment, segments);
      return segment.changes.map((change) => ({ change, affected }));
    });
    const timed = new Set(changes.flatMap(({ affected }) => affected));
    const hasCalendar = changes.some(({ change }) => change.kind === 'instant' && change.calendar);
    known = { changes, byTime: segments.filter((segment) => timed.has(segment)), hasCalendar };
    times.set(playbook, known);
  }
  return known;
}

function withReaders(segment: Segment, segments: readonly Segment[]): readonly Segment[] {
  const affected = [segment];
  for (const each of segments) {
    if (affected.some(({ id }) => each.condition.reads.includes(`segments.${id}`))) affected.push(each);
  }
  return affected;
}

/** The next instant after this one at which a change turns. They do not depend on when they are asked for. */
type Turns = (after: number) => number | null;

/** `only`: the place of the one change that turns then; null: several do. */
function nextTurn(
  turns: readonly Turns[],
  after: number,
): { readonly at: number; readonly only: number | null } | null {
  let least = Number.POSITIVE_INFINITY;
  let only: number | null = null;
  for (let place = 0; place < turns.length; place++) {
    const at = turns[place]!(after);
    if (at === null || at > least) continue;
    only = at === least ? null : place;
    least = at;
  }
  return least === Number.POSITIVE_INFINITY ? null : { at: least, only };
}

const never: Turns = () => null;

function turnsOf(change: TimeChange, scope: Scope, visitor: Visitor, playbook: Playbook): Turns {
  if (change.kind === 'instant') {
    const at = orNothing(() => change.at(scope));
    if (at === null) return never;
    const spread = change.calendar ? (murmur2(encoder.encode(visitor.id)) & 0x7fffffff) % spreadMs : 0;
    return firstOf(Math.ceil(at) + spread, 0, 1);
  }
  const trait = playbook.traits.get(change.trait);
  if (trait === undefined) return never;
  const states = trait.over === 'session' ? visitor.session?.traits : visitor.traits;
  const state = states?.get(trait.name);
  if (state === undefined) return never;
  if (change.kind === 'window') return (after) => nextLeaving(trait, state, after);
  const bound = orNothing(() => change.bound(scope));
  const at = bound === null ? null : scoreReaches(trait, state, change.group, bound);
  return at === null ? never : firstOf(at, -1, 2);
}

/** The ms from `from` to `to` around an instant. */
function firstOf(at: number, from: number, to: number): Turns {
  return (after) => (after >= at + to ? null : Math.max(at + from, Math.floor(after) + 1));
}

/** An instant of a fact that is not there never comes. */
function orNothing(compute: () => number | null): number | null {
  try {
    return compute();
  } catch {
    return null;
  }
}

const encoder = new TextEncoder();
