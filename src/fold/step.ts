import { decide, phraseOf } from '../decide/decide.ts';
import { FoldFailure } from '../decide/failure.ts';
import { EventScope } from '../decide/scope.ts';
import { defaultSessionIdleMs } from '../decide/session.ts';
import type { Cause, Visitor } from '../model/visitor.ts';
import { type ArrivedEvent, type FoldContext, failEvent } from './context.ts';
import { appendEmitted, countStep, withDecided, withheldSaid } from './effects.ts';
import { fireTimer } from './firing.ts';
import { orderSent } from './orders.ts';
import { emitDecision, segmentSigns } from './outputs.ts';
import { SlotsDraft } from './slots.ts';
import { nextDue, type Timing, timerOf, withTimer } from './timers.ts';

const sessionKey: readonly string[] = [];

/** te (semantics 3.2). */
export function eventTime(event: Pick<ArrivedEvent, 'record' | 'appendTime'>, maxEventAgeMs: number): number {
  const { record, appendTime } = event;
  if (record.at === undefined) return appendTime;
  const latest = Math.min(record.at, appendTime);
  return record.imported === true ? latest : Math.max(latest, appendTime - maxEventAgeMs);
}

/** Step (3) of semantics 3.5 for one event: first its visitor's own timers that are due by its time, then the event. */
export function foldEvent(context: FoldContext, before: Visitor, event: ArrivedEvent): Visitor {
  const at = eventTime(event, context.settings.maxEventAgeMs);
  let visitor = before;
  for (let timer = nextDue(visitor.timers, at); timer !== null; timer = nextDue(visitor.timers, at)) {
    visitor = fireTimer(context, visitor, timer, event)!;
  }
  try {
    return eventStep(context, visitor, event, at);
  } catch (error) {
    return failEvent(context, visitor, event, error);
  }
}

function eventStep(context: FoldContext, before: Visitor, event: ArrivedEvent, at: number): Visitor {
  const { work, settings, bundles } = context;
  const { record, offset, appendTime, late } = event;
  const imported = record.imported === true;
  if (imported && !before.historic) {
    throw new FoldFailure(
      'IMPORT_INTO_LIVE',
      'an imported event must come before the first event of its visitor that is not',
    );
  }
  const now = before.counts.folded === 0 ? at : Math.max(before.now, at);
  const historic = before.historic && imported;
  const skew = Math.max(0, appendTime - now);
  const draft = new SlotsDraft(before, settings.candidates);
  if (before.historic && !historic) draft.goLive();
  if (bundles !== null) draft.takeOver(bundles, () => new EventScope(bundles, before, before.now, null, before.now));

  const placed: Visitor = { ...before, now, historic, lastAppend: Math.max(before.lastAppend, appendTime) };
  const timing: Timing = { now, skew, setAt: offset, historic };
  const decision = decide(placed, { record, at }, bundles);
  const { visitor: decided, effects, scope } = decision;
  if (bundles !== null && scope !== null) {
    if (effects.shown.length > 0) {
      const phrase = phraseOf(record, bundles, scope);
      for (const shown of effects.shown) {
        const says = shown.says ?? phrase;
        const cause: Cause = { offset, eventId: record.id, eventType: record.type, at, says };
        draft.show(shown, cause, bundles, timing);
      }
    }
    draft.tryWhiles(bundles, () => scope);
  }
  const { slots, version, changed } = draft.finish(before.version);

  const due = now + (bundles?.playbook.sessionIdleMs ?? defaultSessionIdleMs);
  const sessionEnd = timerOf('session', sessionKey, due, timing);
  const { counts } = decided;
  // Nothing below can fail: what is counted stays counted.
  work.count('folded');
  if (late) work.count('late');
  countStep(context, decision, { errors: draft.errors, changed: changed.length });
  work.note({
    visitor: before.id,
    offset,
    what: 'folded',
    eventId: record.id,
    type: record.type,
    at,
    appendTime,
    receivedAt: record.receivedAt ?? null,
    rules: effects.fired,
    slots: changed,
    segments: segmentSigns(decision),
    detail: withheldSaid(effects),
    properties: record.properties,
  });
  emitDecision(
    context,
    { id: before.id, version, historic, slots },
    changed,
    decision,
    { kind: 'event', id: record.id, type: record.type, offset },
    at,
  );
  const depth = record.depth ?? 0;
  appendEmitted(context, effects.emitted, { visitor: before.id, historic, offset, at: now, depth });
  const after: Visitor = {
    ...decided,
    version,
    slots,
    counts: { ...counts, folded: counts.folded + 1, late: counts.late + (late ? 1 : 0) },
    timers: withTimer(withDecided(draft.timers, decision, timing), sessionEnd),
  };
  if (scope === null || effects.sent.length === 0) return after;
  return orderSent(context, after, effects.sent, scope, { offset, due: null, at: now, imported: historic });
}

/** A gateway read a slot decided under another playbook: it is decided anew, without an event (semantics 5.2). */
export function touch(context: FoldContext, visitor: Visitor, id: string): Visitor {
  const { bundles, settings, work, appendTime, offset } = context;
  if (bundles === null) return visitor;
  const draft = new SlotsDraft(visitor, settings.candidates);
  const scope = new EventScope(bundles, visitor, visitor.now, null, visitor.now);
  draft.takeOver(bundles, () => scope);
  draft.tryWhiles(bundles, () => scope);
  const { slots, version, changed } = draft.finish(visitor.version);
  work.count('ruleErrors', draft.errors);
  work.count('slotChanges', changed.length);
  work.note({
    visitor: visitor.id,
    offset,
    what: 'touched',
    eventId: id,
    type: 'touched',
    at: visitor.now,
    appendTime,
    receivedAt: null,
    rules: [],
    slots: changed,
    segments: [],
    detail: null,
    properties: null,
  });
  const unmoved = { entered: [], left: [] };
  const after = { ...visitor, version, slots };
  emitDecision(context, after, changed, unmoved, { kind: 'touched', id, offset }, visitor.now);
  if (slots === visitor.slots && draft.timers === visitor.timers) return visitor;
  return { ...visitor, slots, version, timers: draft.timers };
}
