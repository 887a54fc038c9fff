import { murmur2 } from '../model/shard.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Playbook, Scope, TimeChange } from '../playbook/playbook.ts';
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
  const { playbook } = bundles;
  const { changes, traits } = timesOf(playbook);
  if (changes.length === 0) return null;
  let scope = new EventScope(bundles, visitor, now, null, now, traits);
  for (let looked = 0; looked < maxCandidates; looked++) {
    const next = nextCandidate(changes, scope, visitor, playbook);
    if (next === null) return null;
    scope = new EventScope(bundles, visitor, next.at, null, next.at, traits);
    // A rule may just have set what a segment reads, so at first each is tried; from then on only what time may have changed.
    const segment = firstTurned(playbook.segments, visitor, scope, looked === 0 ? null : next.segments);
    if (segment !== null) return { due: next.at, segment };
  }
  return { due: scope.now, segment: '' };
}

/** The smallest id of those that hold no longer, or now. `asked`: all others stay as they are, but for what these take with them. */
function firstTurned(
  segments: Playbook['segments'],
  visitor: Visitor,
  scope: EventScope,
  asked: readonly string[] | null,
): string | null {
  const members: Members = {};
  let first: string | null = null;
  scope.setSegments(members);
  for (const { id, condition } of segments.values()) {
    const was = Object.hasOwn(visitor.segments, id);
    const isAsked = asked === null || first !== null || asked.includes(id);
    members[id] = isAsked ? (orNothing(() => condition.evaluate(scope)) ?? false) : was;
    if (members[id] !== was && (first === null || id < first)) first = id;
  }
  return first;
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

/** What time may change of a playbook's segments. */
interface Times {
  readonly changes: readonly { readonly segment: string; readonly change: TimeChange }[];
  /** All that the conditions read. */
  readonly traits: ReadonlySet<string>;
}
const timesOfPlaybooks = new WeakMap<Playbook, Times>();

function timesOf(playbook: Playbook): Times {
  let times = timesOfPlaybooks.get(playbook);
  if (times === undefined) {
    const segments = [...playbook.segments.values()];
    const reads = segments.flatMap(({ condition }) => condition.reads).map((read) => `${read}.`);
    const isRead = (path: string) => reads.some((read) => read.startsWith(path) || path.startsWith(read));
    const traits = [...playbook.traits.values()].filter(({ path }) => isRead(`${path.join('.')}.`));
    times = {
      changes: segments.flatMap(({ id, changes }) => changes.map((change) => ({ segment: id, change }))),
      traits: new Set(traits.map(({ name }) => name)),
    };
    timesOfPlaybooks.set(playbook, times);
  }
  return times;
}

/** The first instant after the scope's that a change names, and the segments that may change then. */
function nextCandidate(
  changes: Times['changes'],
  scope: Scope,
  visitor: Visitor,
  playbook: Playbook,
): { readonly at: number; readonly segments: readonly string[] } | null {
  let next = Number.POSITIVE_INFINITY;
  let segments: string[] = [];
  for (const { segment, change } of changes) {
    for (const at of candidatesOf(change, scope, visitor, playbook, scope.now)) {
      if (at <= scope.now || at > next) continue;
      if (at < next) segments = [];
      next = at;
      segments.push(segment);
    }
  }
  return segments.length === 0 ? null : { at: next, segments };
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
function orNothing<T>(compute: () => T | null): T | null {
  try {
    return compute();
  } catch {
    return null;
  }
}

const encoder = new TextEncoder();
