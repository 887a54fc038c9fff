import { isWithin, localTimeOf } from './localTime.ts';

const minuteMs = 60_000;
const minutesOfDay = 24 * 60;
/** Clocks are never changed by more, but for islands that change their day. */
const mostChangeMs = 3 * 60 * minuteMs;

/** Times of the day; over midnight, if `to` is the smaller one. */
export interface DailyTimes {
  readonly from: number | null;
  readonly to: number | null;
}

/**
 * When the times end that an instant is in, by the visitor's clocks, else the shop's: the first whole minute after which they show a
 * time outside. null: it is in none of them.
 */
export function endOfTimes({ from, to }: DailyTimes, at: number, visitors: unknown, shops: string): number | null {
  const times = { from, to, days: null };
  const shown = (instant: number) => localTimeOf(instant, visitors, shops)!;
  const isIn = (instant: number) => isWithin(times, shown(instant));
  if (to === null || !isIn(at)) return null;
  const minute = Math.floor(at / minuteMs) * minuteMs;
  const left = (to - shown(at).minutes + minutesOfDay) % minutesOfDay || minutesOfDay;
  let end = minute + left * minuteMs;
  if (!isIn(end) && isIn(end - minuteMs)) return end;
  // The clocks are changed in between: the end is near, before or after.
  if (!isIn(end)) end = Math.max(minute, end - mostChangeMs);
  while (isIn(end)) end += minuteMs;
  return end;
}
