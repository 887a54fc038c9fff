import type { ActionOrder } from '../model/action.ts';
import type { DeadReason, StoredAction } from '../model/storedAction.ts';
import type { DeliveryOutcome } from './destination.ts';

/**
 * How an action goes from one state to the next (semantics 9.3). Pure: the clock and chance are handed in.
 *
 *     accepted → waiting ⇄ (attempting) → done
 *                   └──────────┴────────→ dead → driven again: waiting
 */

/** What a destination's owner may set of its retries. */
export interface RetryPolicy {
  /** After so long from when it was accepted a message is given up, ms. */
  readonly retryForMs: number;
}

/** The waits between attempts: doubled from the first up to the most, then anything between nothing and that (full jitter), ms. */
export const retryMs = { first: 2_000, most: 1_800_000 };

export function accepted(order: ActionOrder, now: number): StoredAction {
  const at = Math.floor(now);
  return {
    order,
    state: 'waiting',
    attempts: 0,
    acceptedAt: at,
    nextAt: at,
    changedAt: at,
    reason: null,
    detail: '',
    told: false,
  };
}

export function dead(action: StoredAction, reason: DeadReason, detail: string, now: number): StoredAction {
  return { ...action, state: 'dead', reason, detail: cut(detail), changedAt: Math.floor(now), told: false };
}

/** Its reason is gone. Nobody needs to be told: what decided so is in the visitor's log. */
export function unwanted(action: StoredAction, reason: string, now: number): StoredAction {
  return { ...action, state: 'done', detail: cut(reason), changedAt: Math.floor(now), told: true };
}

/** Committed before what cannot be repeated leaves. */
export function attempting(action: StoredAction, now: number): StoredAction {
  return { ...action, state: 'attempting', attempts: action.attempts + 1, changedAt: Math.floor(now) };
}

/** What stands after an attempt that began with `action`. */
export function afterAttempt(
  action: StoredAction,
  outcome: DeliveryOutcome,
  isRepeatable: boolean,
  policy: RetryPolicy,
  now: number,
  random: number,
): StoredAction {
  const tried = { ...action, attempts: action.attempts + 1 };
  const { detail } = outcome;
  if (outcome.kind === 'delivered')
    return { ...tried, state: 'done', detail: cut(detail), changedAt: Math.floor(now), told: false };
  if (outcome.kind === 'refused') return dead(tried, 'REFUSED', detail, now);
  // What may be delivered twice is tried again also when it may have been delivered.
  if (outcome.kind === 'unknown' && !isRepeatable) return dead(tried, 'OUTCOME_UNKNOWN', detail, now);
  const deadline = action.acceptedAt + policy.retryForMs;
  const notBefore = now + ((outcome.kind === 'retry' ? outcome.afterMs : undefined) ?? 0);
  if (now >= deadline || notBefore > deadline) return exhausted(tried, detail, policy, now);
  const most = Math.min(retryMs.most, retryMs.first * 2 ** Math.min(action.attempts, 30));
  // The last attempt is made when time is up, not long before.
  const nextAt = Math.ceil(Math.min(deadline, Math.max(notBefore, now + most * random)));
  return { ...tried, state: 'waiting', detail: cut(detail), nextAt, changedAt: Math.floor(now) };
}

/** What stands of one whose time is up, tried or not: so late it leaves only if somebody says so. Null: it has time. */
export function expired(action: StoredAction, policy: RetryPolicy, now: number): StoredAction | null {
  if (now <= action.acceptedAt + policy.retryForMs) return null;
  return exhausted(action, action.detail, policy, now);
}

function exhausted(action: StoredAction, detail: string, policy: RetryPolicy, now: number): StoredAction {
  const hours = Math.round(policy.retryForMs / 360_000) / 10;
  const last = detail === '' ? '' : `; the last: ${detail}`;
  return dead(action, 'RETRIES_EXHAUSTED', `${action.attempts} attempts in ${hours} h${last}`, now);
}

/**
 * What the next owner makes of an action as the last one left it: one that was on its way may have arrived, and is not sent again by itself.
 */
export function takenOver(action: StoredAction, now: number): StoredAction {
  if (action.state !== 'attempting') return action;
  return dead(action, 'OUTCOME_UNKNOWN', 'its process ended, or lost the shard, while it was being handed over', now);
}

/**
 * An order of a record that had been folded before, by a state that is lost. What became of it then is unknown: what may be delivered
 * twice is delivered again, by its id; of the rest nothing is. One that is too old is of no use either way.
 */
export function acceptedAgain(
  order: ActionOrder,
  isRepeatable: boolean,
  policy: RetryPolicy,
  now: number,
): StoredAction {
  const action = accepted(order, now);
  if (now - order.orderedAt > policy.retryForMs)
    return unwanted(action, 'ordered too long ago, before the state was made anew', now);
  if (isRepeatable) return action;
  return dead(action, 'OUTCOME_UNKNOWN', 'the state was made anew, and does not know whether it was sent before', now);
}

/** What destinations say may be a whole page. */
function cut(detail: string): string {
  return detail.length <= 500 ? detail : `${detail.slice(0, 499)}…`;
}
