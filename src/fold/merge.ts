import { EventScope } from '../decide/scope.ts';
import { nextChange, withSegments } from '../decide/segments.ts';
import { unite } from '../decide/unite.ts';
import type { EventRecord, ForwardedRecord, MergedProfile, MergedRecord } from '../model/record.ts';
import { formatPosition } from '../model/record.ts';
import { TraitStates } from '../model/traitStates.ts';
import type { Candidate, Visitor } from '../model/visitor.ts';
import { arrived } from './arrival.ts';
import { type FoldContext, keepFailed, messageOf } from './context.ts';
import { countStep, withDecided } from './effects.ts';
import { newVisitor } from './expiry.ts';
import { emitDecision, segmentSigns } from './outputs.ts';
import type { ReadRecord } from './record.ts';
import { SlotsDraft } from './slots.ts';
import { eventTime, foldEvent } from './step.ts';
import { withTaken } from './taken.ts';
import type { Timing } from './timers.ts';

/** A user takes in what an anonymous visitor was (semantics 8.2): one step, by which nothing is triggered. */
export function takeMerge(
  context: FoldContext,
  stored: Visitor | null,
  read: ReadRecord,
  record: MergedRecord,
): Visitor | null {
  const { settings, appendTime, work, offset } = context;
  const { lastAppend } = record.profile;
  // Of a visitor that is forgotten by now nothing is left, whoever remembers it: also when it comes again after its user has gone.
  if (appendTime > lastAppend + settings.visitorRetentionMs) return repeated(context, stored);
  const taken = withTaken(stored?.taken ?? [], record.from, record.origin);
  if (taken === null) return repeated(context, stored);
  const before = { ...arrived(context, stored, record.visitor, null), taken };
  try {
    return mergeStep(context, before, record);
  } catch (error) {
    keepFailed(context, {
      position: formatPosition(work.shard, offset),
      reason: 'FOLD_ERROR',
      detail: messageOf(error),
      visitor: before.id,
      type: record.kind,
      value: read.log.value,
      offset,
      eventId: record.id,
    });
    return { ...before, counts: { ...before.counts, failed: before.counts.failed + 1 } };
  }
}

/** An event that came to the anonymous visitor too late is folded as one of the user's. */
export function takeForwarded(context: FoldContext, stored: Visitor | null, record: ForwardedRecord): Visitor | null {
  const { settings, appendTime, offset } = context;
  const { imported, at = 0 } = record.event;
  if (imported !== true && appendTime > at + settings.visitorRetentionMs) return repeated(context, stored);
  const event = { record: asUsers(record), offset, appendTime, late: false };
  const taken = withTaken(stored?.taken ?? [], record.from, record.origin);
  if (taken === null) return repeated(context, stored);
  const found = arrived(context, stored, record.visitor, eventTime(event, settings.maxEventAgeMs));
  return foldEvent(context, { ...found, taken }, event);
}

function repeated({ work }: FoldContext, stored: Visitor | null): Visitor | null {
  work.count('repeatedMoves');
  return stored;
}

/** Its number, and the failed event that it corrects, are of the visitor to whom it came. */
function asUsers({ event, visitor }: ForwardedRecord): EventRecord {
  const { source: _source, sequence: _sequence, skipped: _skipped, retryOf: _retryOf, ...rest } = event;
  return { ...rest, visitor };
}

function mergeStep(context: FoldContext, before: Visitor, record: MergedRecord): Visitor {
  const { bundles, settings, work, appendTime, offset } = context;
  const other = visitorOf(record.from, record.profile, offset);
  const united = unite({ user: before, other }, bundles);
  const { now, historic } = united.visitor;
  const timing: Timing = { now, skew: Math.max(0, appendTime - now), setAt: offset, historic };
  const draft = new SlotsDraft(before, settings.candidates);
  draft.takeIn(other.slots, other.timers);
  draft.timers = [...draft.timers.filter(({ what }) => what === 'hold' || what === 'slot'), ...united.timers];
  if (!historic && (before.historic || other.historic)) draft.goLive();

  let visitor: Visitor = { ...united.visitor, segments: inEither(before.segments, other.segments) };
  let change: ReturnType<typeof nextChange> = null;
  let errors = 0;
  if (bundles !== null) {
    const scope = new EventScope(bundles, visitor, now, null, now);
    const segments = withSegments(visitor, scope, bundles.playbook);
    visitor = segments.visitor;
    errors = segments.errors;
    draft.takeOver(bundles, () => scope);
    draft.tryWhiles(bundles, () => scope);
    change = nextChange(visitor, bundles, scope, false);
  }
  const { slots, version, changed } = draft.finish(before.version);
  const moves = {
    entered: Object.keys(visitor.segments).filter((id) => !Object.hasOwn(before.segments, id)),
    left: Object.keys(before.segments).filter((id) => !Object.hasOwn(visitor.segments, id)),
  };
  const decision = { effects: { shown: [], emitted: [], sent: [], withheld: [], fired: [], errors }, ...moves };
  work.count('merged');
  countStep(context, decision, { errors: draft.errors, changed: changed.length });
  work.note({
    visitor: before.id,
    offset,
    what: 'merged',
    eventId: record.id,
    type: 'visitor_merged',
    at: now,
    appendTime,
    receivedAt: null,
    rules: [],
    slots: changed,
    segments: segmentSigns(moves),
    detail: `took in ${record.from}`,
    properties: null,
  });
  const cause = { kind: 'merged', id: record.id, from: record.from, offset } as const;
  emitDecision(context, { id: before.id, version, historic, slots }, changed, moves, cause, now);
  const timers = withDecided(draft.timers, { waits: [], nextChange: change }, timing);
  return { ...visitor, version, slots, timers };
}

/** Since when the user is in a segment that it was in; else since when the other was. */
function inEither(user: Visitor['segments'], other: Visitor['segments']): Visitor['segments'] {
  const all = { ...other, ...user };
  return Object.fromEntries(
    Object.keys(all)
      .sort()
      .map((id) => [id, all[id]!]),
  );
}

/** What names a place of another shard's log is said to be of the merge. */
function visitorOf(id: string, profile: MergedProfile, offset: number): Visitor {
  const { traits, session, rules, slots, timers, ...rest } = profile;
  const ofHere = (candidate: Candidate): Candidate => ({ ...candidate, cause: { ...candidate.cause, offset } });
  return {
    ...newVisitor(id, offset, 0),
    ...rest,
    traits: TraitStates.of(traits),
    session: session === null ? null : { ...session, traits: TraitStates.of(session.traits) },
    rules: TraitStates.of(rules),
    slots: Object.fromEntries(
      Object.entries(slots).map(([slot, candidates]) => [slot, { version: 0, candidates: candidates.map(ofHere) }]),
    ),
    timers: timers.map((timer) => ({ ...timer, setAt: offset })),
  };
}
