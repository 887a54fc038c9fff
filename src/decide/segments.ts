import type { Json } from '../model/json.ts';
import { murmur2 } from '../model/shard.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Condition, Playbook, Scope, Segment, TimeChange, Trait } from '../playbook/playbook.ts';
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
  const { byTime, hasCalendar } = timesOf(playbook);
  const turning = turningOf(visitor, step, playbook, isSet);
  let members: Members | null = null;
  let at = step.now;
  for (let looked = 0; looked < maxCandidates; looked++) {
    const next = nextTurn(turning, at);
    if (next === null) return null;
    at = next.at;
    // What time does not change then is as it was when it was tried; a calendar instant has come before its turn, which is spread.
    const timed = next.only === null || hasCalendar ? byTime : next.only.affected;
    const asked = isSet ? [...playbook.segments.values()] : stirred(timed, visitor, step);
    if (asked.length === 0) continue;
    // Those asked before are in it as they were: one that differed would have been the answer.
    members ??= segmentsView(visitor, playbook);
    tried(asked, new EventScope(bundles, visitor, at, null, at), members);
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
  readonly changes: readonly Change[];
  /** All segments that these affect, each after those that it reads. */
  readonly byTime: readonly Timed[];
  readonly hasCalendar: boolean;
  /** At how many instants all but windows turn, at most. */
  readonly instants: number;
}
interface Change {
  readonly change: TimeChange;
  /** The trait whose state tells when; null: none does. */
  readonly trait: Trait | null;
  /** The segment whose condition changes, and those that read it; each after those that it reads. */
  readonly affected: readonly Timed[];
}
interface Timed {
  readonly segment: Segment;
  /** Parts of its condition, all of which must hold, that time alone does not change. */
  readonly steady: readonly Condition[];
}
const times = new WeakMap<Playbook, Times>();

function timesOf(playbook: Playbook): Times {
  let known = times.get(playbook);
  if (known === undefined) {
    known = makeTimes(playbook);
    times.set(playbook, known);
  }
  return known;
}

function makeTimes(playbook: Playbook): Times {
  const segments = [...playbook.segments.values()];
  const readers = new Map(segments.map((segment) => [segment, withReaders(segment, segments)]));
  const timed = new Set(segments.filter(({ changes }) => changes.length > 0).flatMap((each) => readers.get(each)!));
  const steadyPart = ({ reads }: Condition) => reads.every((name) => isSteady(name, playbook, timed));
  const byTime = segments
    .filter((segment) => timed.has(segment))
    .map((segment) => ({ segment, steady: segment.condition.parts.filter(steadyPart) }));
  const changes = segments.flatMap((segment) => {
    const affected = byTime.filter((each) => readers.get(segment)!.includes(each.segment));
    return segment.changes.map((change): Change => {
      const trait = change.kind === 'instant' ? null : (playbook.traits.get(change.trait) ?? null);
      return { change, trait, affected };
    });
  });
  const hasCalendar = changes.some(({ change }) => change.kind === 'instant' && change.calendar);
  const instants = changes.reduce((sum, { change }) => sum + instantsOf[change.kind], 0);
  return { changes, byTime, hasCalendar, instants };
}

function withReaders(segment: Segment, segments: readonly Segment[]): readonly Segment[] {
  const affected = [segment];
  for (const each of segments) {
    if (affected.some(({ id }) => each.condition.reads.includes(`segments.${id}`))) affected.push(each);
  }
  return affected;
}

/** Whether a name in a condition stands for the same as long as nothing happens. One that is not written out to the fact is taken not to. */
function isSteady(name: string, playbook: Playbook, timed: ReadonlySet<Segment>): boolean {
  const [root, fact] = name.split('.');
  if (root === 'cart') return true;
  if (fact === undefined || root === undefined || name === 'visitor.idle') return false;
  if (root === 'segments') return playbook.segments.has(fact) && !timed.has(playbook.segments.get(fact)!);
  const trait = [...playbook.traits.values()].find(({ path }) => path[0] === root && path[1] === fact);
  return ['visitor', 'session', 'traits'].includes(root) && trait?.kind !== 'score' && (trait?.window ?? null) === null;
}

/** Whether time alone cannot let the visitor in: it is out, by a part of the condition that time does not change. */
function staysOut({ segment, steady }: Timed, visitor: Visitor, step: EventScope): boolean {
  if (Object.hasOwn(visitor.segments, segment.id)) return false;
  for (const part of steady) {
    try {
      if (!part.evaluate(step)) return true;
    } catch {
      // What fails decides nothing: another part may fail, or not hold, as well.
    }
  }
  return false;
}

/** Those that time may change, each after those that it reads. */
function stirred(timed: readonly Timed[], visitor: Visitor, step: EventScope): readonly Segment[] {
  const all: Segment[] = [];
  for (const each of timed) if (!staysOut(each, visitor, step)) all.push(each.segment);
  return all;
}

/** The next instant after this one at which a change turns. They do not depend on when they are asked for. */
type Turns = (after: number) => number | null;
interface Turning {
  readonly turns: Turns;
  readonly affected: readonly Timed[];
}
/** At how many instants a change turns, at most; a window as often as it has steps. */
const instantsOf = { instant: 2, score: 4, window: 0 } as const;

/** The changes that turn at some time, as far as they must be looked at. */
function turningOf(visitor: Visitor, step: EventScope, playbook: Playbook, isSet: boolean): readonly Turning[] {
  const { changes, hasCalendar, instants } = timesOf(playbook);
  // Of more instants than are looked at each counts, also one at which nothing can change.
  let eachCounts = isSet || hasCalendar || instants >= maxCandidates;
  for (const { change, trait } of changes) {
    if (change.kind === 'window' && stateOf(trait, visitor) !== undefined) eachCounts = true;
  }
  const turning: Turning[] = [];
  for (const change of changes) {
    if (!eachCounts && stirred(change.affected, visitor, step).length === 0) continue;
    const turns = turnsOf(change, step, visitor);
    if (turns !== null) turning.push({ turns, affected: change.affected });
  }
  return turning;
}

/** `only`: the one that turns then; null: several do. */
function nextTurn(
  turning: readonly Turning[],
  after: number,
): { readonly at: number; readonly only: Turning | null } | null {
  let least = Number.POSITIVE_INFINITY;
  let only: Turning | null = null;
  for (const each of turning) {
    const at = each.turns(after);
    if (at === null || at > least) continue;
    only = at === least ? null : each;
    least = at;
  }
  return least === Number.POSITIVE_INFINITY ? null : { at: least, only };
}

function stateOf(trait: Trait | null, visitor: Visitor): Json | undefined {
  if (trait === null) return undefined;
  return (trait.over === 'session' ? visitor.session?.traits : visitor.traits)?.get(trait.name);
}

/** null: it does not turn any more. */
function turnsOf({ change, trait }: Change, scope: Scope, visitor: Visitor): Turns | null {
  if (change.kind === 'instant') {
    const at = orNothing(() => change.at(scope));
    if (at === null) return null;
    const spread = change.calendar ? (murmur2(encoder.encode(visitor.id)) & 0x7fffffff) % spreadMs : 0;
    return firstOf(Math.ceil(at) + spread, 0, 1);
  }
  const state = stateOf(trait, visitor);
  if (trait === null || state === undefined) return null;
  if (change.kind === 'window') return (after) => nextLeaving(trait, state, after);
  const bound = orNothing(() => change.bound(scope));
  const at = bound === null ? null : scoreReaches(trait, state, change.group, bound);
  return at === null ? null : firstOf(at, -1, 2);
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
