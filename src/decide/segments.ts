import { murmur2 } from '../model/shard.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Playbook, Scope, Segment, TimeChange } from '../playbook/playbook.ts';
import { nextLeaving, scoreReaches } from './aggregates.ts';
import { EventScope } from './scope.ts';

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
  if (segments.size === 0) return { visitor: leftBehind(visitor, scope, playbook), ...nobody };
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
  const { changes, byTime } = timesOf(playbook);
  if (changes.length === 0) return null;
  let scope = step;
  let at = step.now;
  for (let looked = 0; looked < maxCandidates; looked++) {
    const next = nextCandidate(changes, scope, visitor, playbook, at);
    if (next === null) return null;
    at = next;
    scope = new EventScope(bundles, visitor, at, null, at);
    // What time does not change is as it was when it was tried.
    const asked = isSet ? [...playbook.segments.values()] : byTime;
    const { members } = tried(asked, scope, membersOf(visitor, playbook));
    let first: string | null = null;
    for (const { id } of asked) {
      if (members[id] !== Object.hasOwn(visitor.segments, id) && (first === null || id < first)) first = id;
    }
    if (first !== null) return { due: at, segment: first };
  }
  return { due: at, segment: '' };
}

const nobody = { entered: [], left: [], errors: 0 } as const;

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
function leftBehind(visitor: Visitor, scope: EventScope, playbook: Playbook): Visitor {
  if (isOfPlaybook(visitor.segments, playbook)) return visitor;
  const without = { ...visitor, segments: {} };
  scope.moveTo(without);
  return without;
}

function isOfPlaybook(segments: Visitor['segments'], playbook: Playbook): boolean {
  for (const id in segments) if (!playbook.segments.has(id)) return false;
  return true;
}

function membersOf({ segments }: Visitor, playbook: Playbook): Members {
  const members: Members = {};
  for (const id of playbook.segments.keys()) members[id] = Object.hasOwn(segments, id);
  return members;
}

/** What time alone may change of a playbook's segments. */
interface Times {
  readonly changes: readonly TimeChange[];
  /** The segments whose condition changes so, or reads one that does; each after those that it reads. */
  readonly byTime: readonly Segment[];
}
const times = new WeakMap<Playbook, Times>();

function timesOf(playbook: Playbook): Times {
  let known = times.get(playbook);
  if (known === undefined) {
    const byTime: Segment[] = [];
    for (const segment of playbook.segments.values()) {
      const readsOne = byTime.some(({ id }) => segment.condition.reads.includes(`segments.${id}`));
      if (segment.changes.length > 0 || readsOne) byTime.push(segment);
    }
    const changes = byTime.flatMap((segment) => segment.changes);
    known = { changes, byTime };
    times.set(playbook, known);
  }
  return known;
}

function nextCandidate(
  changes: readonly TimeChange[],
  scope: Scope,
  visitor: Visitor,
  playbook: Playbook,
  after: number,
): number | null {
  let next: number | null = null;
  for (const change of changes) {
    for (const at of candidatesOf(change, scope, visitor, playbook, after)) {
      if (at > after && (next === null || at < next)) next = at;
    }
  }
  return next;
}

function candidatesOf(
  change: TimeChange,
  scope: Scope,
  visitor: Visitor,
  playbook: Playbook,
  now: number,
): readonly number[] {
  if (change.kind === 'instant') {
    const at = orNothing(() => change.at(scope));
    if (at === null) return [];
    const turns = Math.ceil(at) + (change.calendar ? (murmur2(encoder.encode(visitor.id)) & 0x7fffffff) % spreadMs : 0);
    return [turns, turns + 1];
  }
  const trait = playbook.traits.get(change.trait);
  if (trait === undefined) return [];
  const states = trait.over === 'session' ? visitor.session?.traits : visitor.traits;
  const state = states?.get(trait.name);
  if (change.kind === 'window') {
    const at = nextLeaving(trait, state, now);
    return at === null ? [] : [at];
  }
  const bound = orNothing(() => change.bound(scope));
  const at = bound === null ? null : scoreReaches(trait, state, change.group, bound);
  return at === null ? [] : [at - 1, at, at + 1, at + 2];
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
