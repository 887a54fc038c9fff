import { zoneOffset } from './zones.ts';

/** What the clocks of a place show at an instant. */
export interface LocalTime {
  /** The day there, as a number: 20260731. */
  readonly date: number;
  /** 0 for Monday. */
  readonly weekday: number;
  /** From midnight, as the clock shows them. */
  readonly minutes: number;
}

/** Times of the day and days of the week; each null: any. */
interface Times {
  readonly from: number | null;
  readonly to: number | null;
  readonly days: readonly number[] | null;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;

/**
 * The local time of an instant, by the minute, in an IANA zone such as Europe/Berlin.
 * @returns null for a zone that there is not, and for an instant that no calendar has
 */
export function localTime(at: number, zone: string): LocalTime | null {
  const offset = zoneOffset(zone);
  // Date holds no other instants, and a formatter throws for them.
  if (offset === null || Number.isNaN(new Date(at).getTime())) return null;
  const shown = Math.floor((at + offset(at)) / minuteMs);
  const date = new Date(shown * minuteMs);
  if (Number.isNaN(date.getTime())) return null;
  return {
    date: (date.getUTCFullYear() * 100 + date.getUTCMonth() + 1) * 100 + date.getUTCDate(),
    weekday: (date.getUTCDay() + 6) % 7,
    minutes: shown - Math.floor((shown * minuteMs) / dayMs) * (dayMs / minuteMs),
  };
}

/** The same by the visitor's clocks; by the shop's, where the visitor tells no zone that there is. */
export function localTimeOf(at: number, visitors: unknown, shops: string): LocalTime | null {
  return (typeof visitors === 'string' ? localTime(at, visitors) : null) ?? localTime(at, shops);
}

/** Whether the clocks show such a time. Over midnight, the day that counts is the one on which the interval began. */
export function isWithin({ from, to, days }: Times, { minutes, weekday }: LocalTime): boolean {
  const begin = from ?? 0;
  const end = to ?? 24 * 60;
  let day = weekday;
  if (begin < end) {
    if (minutes < begin || minutes >= end) return false;
  } else if (minutes < begin) {
    if (minutes >= end) return false;
    day = (weekday + 6) % 7;
  }
  return days === null || days.includes(day);
}
