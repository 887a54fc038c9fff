import { compareUtf8 } from '../model/shard.ts';
import { type Timer, timerKinds } from '../model/visitor.ts';

/** The order of timer ids: kind, then key part by part (semantics 3.4). */
export function compareTimerIds(a: Timer, b: Timer): number {
  if (a.what !== b.what) return timerKinds.indexOf(a.what) - timerKinds.indexOf(b.what);
  const length = Math.min(a.key.length, b.key.length);
  for (let i = 0; i < length; i++) {
    const order = compareUtf8(a.key[i]!, b.key[i]!);
    if (order !== 0) return order;
  }
  return a.key.length - b.key.length;
}

/** The visitor's own timer with the smallest (due, id) among those due by then, holds excepted; null: none. */
export function nextDue(timers: readonly Timer[], by: number): Timer | null {
  let next: Timer | null = null;
  for (const timer of timers) {
    const { due } = timer;
    if (due === null || due > by) continue;
    if (next === null || due < next.due! || (due === next.due && compareTimerIds(timer, next) < 0)) next = timer;
  }
  return next;
}

/** The visitor's timer with the smallest (wallDue, id), which is the one the shard looks at it for. */
export function nextWall(timers: readonly Timer[]): Timer | null {
  let next: Timer | null = null;
  for (const timer of timers) {
    const { wallDue } = timer;
    if (wallDue === null) continue;
    if (next === null || wallDue < next.wallDue! || (wallDue === next.wallDue && compareTimerIds(timer, next) < 0)) {
      next = timer;
    }
  }
  return next;
}

/** When, and on whose behalf, something is shown or waits (semantics 3.4). */
export interface Timing {
  /** Visitor now, or a firing's max(visitor now, its due). */
  readonly now: number;
  readonly skew: number;
  readonly setAt: number;
  /** A historic visitor's timers have no wallDue. */
  readonly historic: boolean;
  /** Of a firing of a timer that imported records set. */
  readonly imported?: true;
}

/** @param wallDue of a calendar instant the instant itself */
export function timerOf(
  what: Timer['what'],
  key: readonly string[],
  due: number,
  { skew, setAt, historic, imported }: Timing,
  wallDue: number = due + skew,
): Timer {
  const timer: Timer = { what, key, due, wallDue: historic ? null : wallDue, skew, setAt };
  return imported === undefined ? timer : { ...timer, imported };
}

export function isSame(timer: Timer, what: Timer['what'], key: readonly string[]): boolean {
  return timer.what === what && timer.key.length === key.length && timer.key.every((part, i) => part === key[i]);
}

/** Setting again replaces. */
export function withTimer(timers: readonly Timer[], timer: Timer): readonly Timer[] {
  const index = timers.findIndex((each) => isSame(each, timer.what, timer.key));
  return index < 0 ? [...timers, timer] : timers.with(index, timer);
}

/** Cancelling one that is not there does nothing. */
export function withoutTimer(timers: readonly Timer[], what: Timer['what'], key: readonly string[]): readonly Timer[] {
  const index = timers.findIndex((each) => isSame(each, what, key));
  return index < 0 ? timers : timers.toSpliced(index, 1);
}

/** A calendar instant is due when it is, whenever its event came; its wall time is not moved by a skew. */
export function isCalendar(timer: Timer): boolean {
  return timer.what === 'send' || (timer.what === 'slot' && timer.key[2] === 'until');
}

/** `slot product_upsell upsell_over_100 for`: for people. */
export function nameOfTimer({ what, key }: Timer): string {
  return [what, ...key].join(' ');
}
