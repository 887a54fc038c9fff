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
  const { members, errors } = tried(segments, scope);
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

/** The first instant after `now` at which time alone changes a segment of this visitor; null: there is none. */
export function nextChange(visitor: Visitor, bundles: ActiveBundles, now: number): NextChange | null {
  const { segments } = bundles.playbook;
  const changes = timeChangesOf(bundles.playbook);
  if (changes.length === 0) return null;
  let at = now;
  for (let looked = 0; looked < maxCandidates; looked++) {
    const scope = new EventScope(bundles, visitor, at, null, at);
    const next = nextCandidate(changes, scope, visitor, bundles.playbook, at);
    if (next === null) return null;
    at = next;
    const { members } = tried(segments, new EventScope(bundles, visitor, at, null, at));
    let first: string | null = null;
    for (const id of segments.keys()) {
      if (members[id] !== Object.hasOwn(visitor.segments, id) && (first === null || id < first)) first = id;
    }
    if (first !== null) return { due: at, segment: first };
  }
  return { due: at, segment: '' };
}

const nobody = { entered: [], left: [], errors: 0 } as const;

function tried(segments: Playbook['segments'], scope: EventScope): { members: Members; errors: number } {
  const members: Members = {};
  let errors = 0;
  scope.setSegments(members);
  for (const { id, condition } of segments.values()) {
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

const changesOfPlaybooks = new WeakMap<Playbook, readonly TimeChange[]>();
function timeChangesOf(playbook: Playbook): readonly TimeChange[] {
  let changes = changesOfPlaybooks.get(playbook);
  if (changes === undefined) {
    changes = [...playbook.segments.values()].flatMap((segment: Segment) => segment.changes);
    changesOfPlaybooks.set(playbook, changes);
  }
  return changes;
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
