/**
 * Clocks and calendars of time zones. Pure as far as the zone tables of this Node are: an instant and a zone always give the same
 * answer, and nothing here asks what time it is.
 */

/** How far a zone's clocks are ahead of UTC at an instant, in ms. */
export type OffsetAt = (ms: number) => number;

const minute = 60_000;
const day = 86_400_000;

/** A formatter takes some 50 µs to make and is asked again and again, so there is one a zone. */
const named = new Map<string, OffsetAt>();

/** `Europe/Berlin`, or a fixed `+02:00` as CEL has it; null: there is no such zone. */
export function offsetOf(zone: string): OffsetAt | null {
  const fixed = /^([+-]?)([01]\d|2[0-3]):([0-5]\d)$/.exec(zone);
  if (fixed !== null) {
    const ahead = (Number(fixed[2]) * 60 + Number(fixed[3])) * minute;
    const offset = fixed[1] === '-' ? -ahead : ahead;
    return () => offset;
  }
  const known = named.get(zone);
  if (known !== undefined) return known;
  const made = namedZone(zone);
  if (made !== null) named.set(zone, made);
  return made;
}

/** Since then clocks change at whole minutes only, by whole minutes: the last place with seconds in its offset was Monrovia. */
const wholeMinutesSince = Date.UTC(1972, 0, 8);

function namedZone(zone: string): OffsetAt | null {
  let formatter: Intl.DateTimeFormat;
  try {
    formatter = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  const ask = (ms: number): number => {
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(formatter.format(ms));
    if (match === null) throw new Error(`expected an offset of ${zone} such as GMT+01:00, got ${formatter.format(ms)}`);
    const [, sign, hours = 0, minutes = 0, seconds = 0] = match;
    const ahead = (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds)) * 1_000;
    return sign === '-' ? -ahead : ahead;
  };
  // All rules of a step ask about one `now`.
  let askedMinute = Number.NaN;
  let answer = 0;
  return (ms) => {
    if (ms < wholeMinutesSince) return ask(ms);
    const ofMs = Math.floor(ms / minute);
    if (ofMs !== askedMinute) {
      answer = ask(ms);
      askedMinute = ofMs;
    }
    return answer;
  };
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
