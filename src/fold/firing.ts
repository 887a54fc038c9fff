import { type Decision, decideFiring, noEffects } from '../decide/decide.ts';
import { EventScope } from '../decide/scope.ts';
import { formatPosition } from '../model/record.ts';
import { murmur2 } from '../model/shard.ts';
import type { Timer, Visitor } from '../model/visitor.ts';
import type { ActiveBundles } from '../playbook/playbook.ts';
import { type ArrivedEvent, type FoldContext, keepFailed, messageOf } from './context.ts';
import { appendEmitted, countStep, type EmitCause, withDecided, withheldSaid } from './effects.ts';
import { outlives, renewed } from './expiry.ts';
import { orderDelayed, orderSent } from './orders.ts';
import { emitDecision, segmentSigns } from './outputs.ts';
import { SlotsDraft } from './slots.ts';
import { nameOfTimer, type Timing, withoutTimer } from './timers.ts';

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
  const { skew, setAt, imported } = timer;
  const timing: Timing = {
    now,
    skew,
    setAt,
    historic: before.historic,
    ...(imported === undefined ? {} : { imported }),
  };
  const draft = new SlotsDraft(before, settings.candidates);
  if (bundles !== null) draft.takeOver(bundles, () => new EventScope(bundles, before, now, null, now));
  if (timer.what === 'slot') draft.withdraw(timer.key[0]!, timer.key[1]!);
  const started = timer.what === 'session' ? { ...before, session: null } : before;
  const decision = decided(started, now, timer, bundles);
  if (decision?.isDropped ?? (timer.what === 'rule' || timer.what === 'segment')) work.count('droppedTimers');
  const after = decision?.visitor ?? started;
  if (decision !== null && bundles !== null) {
    const { wait, scope } = decision;
    for (const shown of decision.effects.shown) {
      // An absence has the event since which it waited as its cause; a segment that time alone changed has none.
      const [, at, eventId, eventType] = wait !== null && shown.rule.id === timer.key[0] ? wait : ['', now, '', ''];
      draft.show(shown, { offset: setAt, eventId, eventType, at, says: shown.says ?? '' }, bundles, timing);
    }
    draft.tryWhiles(bundles, () => scope!);
  }
  const { slots, version, changed } = draft.finish(before.version);
  const told = decision ?? nothingDecided;
  work.count('timersFired');
  countStep(context, told, { errors: draft.errors, changed: changed.length });
  work.note({
    visitor: before.id,
    offset: setAt,
    what: 'timer',
    eventId: null,
    type: nameOfTimer(timer),
    at: timer.due!,
    appendTime,
    receivedAt: null,
    rules: told.effects.fired,
    slots: changed,
    segments: segmentSigns(told),
    detail: withheldSaid(told.effects),
    properties: null,
  });
  const cause = { kind: 'timer', name: nameOfTimer(timer), offset: setAt } as const;
  emitDecision(context, { ...after, version, slots }, changed, told, cause, timer.due!);
  const by: EmitCause = { visitor: before.id, historic: before.historic, offset: setAt, at: now, depth: 0 };
  appendEmitted(context, told.effects.emitted, by);
  const timers = decision === null ? draft.timers : withDecided(draft.timers, decision, timing);
  const visitor = { ...after, slots, version, timers };
  if (decision === null || bundles === null) return visitor;
  const scope = decision.scope!;
  const from = { offset: setAt, due: timer.due, at: now, imported: before.historic || imported === true };
  const ordered = orderSent(context, visitor, told.effects.sent, scope, from);
  return timer.what === 'send' ? orderDelayed(context, ordered, timer, bundles, scope) : ordered;
}

const nothingDecided = { effects: noEffects, entered: [], left: [] } as const;

/** null: there is no playbook to decide by. `isDropped`: the rule or segment that set the timer is gone or paused (6.1). */
function decided(
  visitor: Visitor,
  now: number,
  timer: Timer,
  bundles: ActiveBundles | null,
): (Decision & { readonly isDropped: boolean }) | null {
  if (bundles === null) return null;
  const { playbook } = bundles;
  const [id = ''] = timer.key;
  const rule = timer.what === 'rule' ? playbook.rules.get(id) : undefined;
  const runs = rule?.status === 'live' && rule.trigger.kind === 'absence';
  const isDropped =
    (timer.what === 'rule' && !runs) || (timer.what === 'segment' && id !== '' && !playbook.segments.has(id));
  return { ...decideFiring(visitor, now, bundles, timer, runs ? rule! : null), isDropped };
}
