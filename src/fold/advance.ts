import { compareUtf8 } from '../model/shard.ts';
import type { Timer, Visitor } from '../model/visitor.ts';
import { endHold } from './arrival.ts';
import type { FoldContext } from './context.ts';
import { fireTimer } from './firing.ts';
import { Heap } from './heap.ts';
import { compareTimerIds, nextDue, nextWall } from './timers.ts';

interface Due {
  readonly at: number;
  readonly visitor: string;
  readonly timer: Timer;
}

/**
 * Moves historic visitors forward (semantics 3.6): first the holds end, by (wallDue, visitor, id), then the timers due by `to`
 * fire, by (due, visitor, id). Each fired timer is gone, so an advance that is cut goes on where it was.
 * @returns how much of the budget is left; null: it ended before the timers did
 */
export function advanceHistoric(context: FoldContext, to: number, budget: number): number | null {
  const { work } = context;
  const holds = fireAll(context, budget, (visitor) => {
    const timer = nextWall(visitor.timers.filter(({ what }) => what === 'hold'));
    return timer === null ? null : { at: timer.wallDue!, visitor: visitor.id, timer };
  });
  if (holds === null) return null;
  return fireAll(context, holds, (visitor) => {
    const timer = nextDue(visitor.timers, to);
    // Others that are not loaded may come before what lies beyond the horizon.
    if (timer === null || !work.isKnownHistoric(timer.due!, visitor.id)) return null;
    return { at: timer.due!, visitor: visitor.id, timer };
  });
}

function fireAll(context: FoldContext, budget: number, dueOf: (visitor: Visitor) => Due | null): number | null {
  const { work } = context;
  const heap = new Heap<Due>(
    (a, b) => a.at - b.at || compareUtf8(a.visitor, b.visitor) || compareTimerIds(a.timer, b.timer),
  );
  for (const visitor of work.historicVisitors()) {
    const due = dueOf(visitor);
    if (due !== null) heap.push(due);
  }
  let left = budget;
  for (let due = heap.pop(); due !== undefined; due = heap.pop()) {
    if (left <= 0) return null;
    left--;
    const visitor = work.visitor(due.visitor)!;
    const { timer } = due;
    const after = timer.what === 'hold' ? endHold(context, visitor, timer) : fireTimer(context, visitor, timer, null);
    work.put(due.visitor, after);
    const next = after?.historic ? dueOf(after) : null;
    if (next !== null) heap.push(next);
  }
  return left;
}
