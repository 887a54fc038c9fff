import { isWithin, localTimeOf } from './localTime.ts';

const minuteMs = 60_000;
const minutesOfDay = 24 * 60;

/** Times of the day; over midnight, if `to` is the smaller one. */
export interface DailyTimes {
  readonly from: number | null;
  readonly to: number | null;
}

/**
 * When the times end that an instant is in, by the visitor's clocks, else the shop's; null: it is in none of them. Where the clocks skip
 * or repeat the end, it is the first instant after which they show a time that is not among them.
 */
export function endOfTimes({ from, to }: DailyTimes, at: number, visitors: unknown, shops: string): number | null {
  const times = { from, to, days: null };
  const shown = (instant: number) => localTimeOf(instant, visitors, shops)!;
  const local = shown(at);
  if (to === null || !isWithin(times, local)) return null;
  const left = (to - local.minutes + minutesOfDay) % minutesOfDay || minutesOfDay;
  const end = (Math.floor(at / minuteMs) + left) * minuteMs;
  // The clocks may have been changed in between.
  const ahead = ((((shown(end).minutes - to) % minutesOfDay) + minutesOfDay * 1.5) % minutesOfDay) - minutesOfDay / 2;
  const corrected = end - ahead * minuteMs;
  return corrected > at && !isWithin(times, shown(corrected)) ? corrected : end;
}
