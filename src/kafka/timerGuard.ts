import { type RequestQueue, requestQueue } from './internals.ts';

let guarded = false;

/**
 * kafkajs sets a timer "until the throttle ends" after each response, throttled or not: from Node 24 on a negative delay, which warns
 * (`TimeoutNegativeWarning`) and wakes the process a millisecond later for nothing (tulios/kafkajs#1751). Only a queue that has requests
 * waiting, or is throttled, needs that timer. Other warnings stay as they are.
 */
export function guardTimers(): void {
  if (guarded) return;
  guarded = true;
  const { prototype } = requestQueue;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    const now = Date.now();
    if (this.pending.length === 0 && this.throttledUntil <= now) return;
    if (this.throttledUntil < now) this.throttledUntil = now;
    schedule.call(this);
  };
}
