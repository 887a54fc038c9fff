import { EventScope } from '../decide/scope.ts';
import { formatPosition } from '../model/record.ts';
import { murmur2 } from '../model/shard.ts';
import type { Timer, Visitor } from '../model/visitor.ts';
import { type ArrivedEvent, type FoldContext, keepFailed, messageOf } from './context.ts';
import { outlives, renewed } from './expiry.ts';
import { emitDecision } from './outputs.ts';
import { SlotsDraft } from './slots.ts';
import { nameOfTimer, withoutTimer } from './timers.ts';

const encoder = new TextEncoder();

/**
 * Fires one timer that is not a hold. A timer that outlives its visitor is dropped together with it; the answer is null then,
 * unless the visitor is in the midst of an event, or holds some: it is new, and keeps what it knows of numbers and ids.
 */
export function fireTimer(
  context: FoldContext,
  visitor: Visitor,
  timer: Timer,
  during: ArrivedEvent | null,
): Visitor | null {
  const { work, settings, appendTime, offset } = context;
  if (outlives(timer, visitor, settings.visitorRetentionMs)) {
    work.count('droppedTimers');
    work.count('expiredVisitors');
    if (during === null && visitor.sources.every((source) => source.held.length === 0)) return null;
    work.count('visitors');
    return renewed(visitor, during?.offset ?? offset, during?.appendTime ?? appendTime);
  }
  const fired = { ...visitor, timers: withoutTimer(visitor.timers, timer.what, timer.key) };
  try {
    return firingStep(context, fired, timer);
  } catch (error) {
    keepFailed(context, {
      // One record may have set several timers that fail; a number made of the timer's name keeps their positions apart.
      position: `${formatPosition(work.shard, timer.setAt)}#${murmur2(encoder.encode(nameOfTimer(timer))) >>> 0}`,
      reason: 'FIRING_ERROR',
      detail: `timer ${nameOfTimer(timer)}: ${messageOf(error)}`,
      visitor: visitor.id,
      type: nameOfTimer(timer),
      value: JSON.stringify(timer),
      offset: timer.setAt,
      eventId: null,
    });
    return { ...fired, counts: { ...fired.counts, failed: fired.counts.failed + 1 } };
  }
}

function firingStep(context: FoldContext, before: Visitor, timer: Timer): Visitor {
  const { bundles, settings, work, appendTime } = context;
  const now = Math.max(before.now, timer.due!);
  const draft = new SlotsDraft(before, settings.candidates);
  if (bundles !== null) draft.takeOver(bundles, () => new EventScope(bundles, before, now, null, now));
  let after = before;
  if (timer.what === 'session') after = { ...before, session: null };
  else if (timer.what === 'slot') draft.withdraw(timer.key[0]!, timer.key[1]!);
  // This fold version sets no timers for rules and segments: whatever rule one belongs to is gone (6.1).
  else work.count('droppedTimers');
  if (bundles !== null) {
    const scope = new EventScope(bundles, after, now, null, now);
    draft.tryWhiles(bundles, () => scope);
  }
  const { slots, version, changed } = draft.finish(before.version);
  work.count('timersFired');
  work.count('ruleErrors', draft.errors);
  work.count('slotChanges', changed.length);
  work.note({
    visitor: before.id,
    offset: timer.setAt,
    what: 'timer',
    eventId: null,
    type: nameOfTimer(timer),
    at: timer.due!,
    appendTime,
    receivedAt: null,
    rules: [],
    slots: changed,
    detail: null,
    properties: null,
  });
  const cause = { kind: 'timer', name: nameOfTimer(timer), offset: timer.setAt } as const;
  emitDecision(context, { ...after, version, slots }, changed, cause, timer.due!);
  return { ...after, slots, version, timers: draft.timers };
}
