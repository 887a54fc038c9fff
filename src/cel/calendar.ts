import { type OffsetAt, zoneOffset } from '../model/zones.ts';

/**
 * Clocks and calendars of time zones. Pure as far as the zone tables of this Node are: an instant and a zone always give the same
 * answer, and nothing here asks what time it is.
 */

const minute = 60_000;
const day = 86_400_000;

/** `Europe/Berlin`, or a fixed `+02:00` as CEL has it; null: there is no such zone. */
export function offsetOf(zone: string): OffsetAt | null {
  const fixed = /^([+-]?)([01]\d|2[0-3]):([0-5]\d)$/.exec(zone);
  if (fixed === null) return zoneOffset(zone);
  const ahead = (Number(fixed[2]) * 60 + Number(fixed[3])) * minute;
  const offset = fixed[1] === '-' ? -ahead : ahead;
  return () => offset;
}

/** What CEL asks of an instant, told by clocks that show `ms` as UTC. Months, days of month and of year count from 0; Sunday is 0. */
export const timestampParts = {
  getFullYear: (ms: number) => new Date(ms).getUTCFullYear(),
  getMonth: (ms: number) => new Date(ms).getUTCMonth(),
  /** The one that counts from 1. */
  getDate: (ms: number) => new Date(ms).getUTCDate(),
  getDayOfMonth: (ms: number) => new Date(ms).getUTCDate() - 1,
  getDayOfWeek: (ms: number) => new Date(ms).getUTCDay(),
  getDayOfYear: (ms: number) => {
    const year = new Date(0);
    // Date.UTC takes the years 0–99 for those of the last century.
    year.setUTCFullYear(new Date(ms).getUTCFullYear());
    return Math.floor((ms - year.getTime()) / day);
  },
  getHours: (ms: number) => new Date(ms).getUTCHours(),
  getMinutes: (ms: number) => new Date(ms).getUTCMinutes(),
  getSeconds: (ms: number) => new Date(ms).getUTCSeconds(),
  getMilliseconds: (ms: number) => new Date(ms).getUTCMilliseconds(),
} as const;

/** What CEL asks of a duration: all of it in that unit, without the rest; the milliseconds are those beyond the last second. */
export const durationParts = {
  getHours: (ms: number) => whole(ms / 3_600_000),
  getMinutes: (ms: number) => whole(ms / minute),
  getSeconds: (ms: number) => whole(ms / 1_000),
  getMilliseconds: (ms: number) => whole(ms % 1_000),
} as const;

/** Towards 0, and never -0, which CEL's whole numbers do not have. */
export function whole(value: number): number {
  return Math.trunc(value) + 0;
}

/** The first and the last instant that CEL has: the years 1 to 9999. */
const instants = { first: -62_135_596_800_000, last: 253_402_300_799_999 } as const;
/** What fits into 2^63 ns, some 292 years: as long as a duration of CEL can be. */
const longest = 9_223_372_036_854;

export function isInstant(ms: number): boolean {
  return ms >= instants.first && ms <= instants.last;
}

export function isDuration(ms: number): boolean {
  return Math.abs(ms) <= longest;
}

/** `2026-11-23T20:15:00Z`, with fractions of a second only where there are some; null: no instant of CEL. */
export function writeInstant(ms: number): string | null {
  return isInstant(ms) ? new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z') : null;
}
