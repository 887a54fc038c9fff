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

/** Zones whose formatter is kept; making one costs a hundred times what using it does. The least recently used leaves. */
const maxZones = 500;
/** No zone's name is longer; visitors' browsers send any text. */
const maxZoneCharacters = 64;
const minuteMs = 60_000;
const dayMs = 86_400_000;

interface Zone {
  readonly format: Intl.DateTimeFormat;
  minute: number;
  local: LocalTime | null;
}
/** null: there is no such zone. */
const zones = new Map<string, Zone | null>();

/**
 * The local time of an instant, by the minute, in an IANA zone such as Europe/Berlin. Pure: what is kept are answers that cannot change.
 * @returns null for a zone that there is not, and for an instant that no calendar has
 */
export function localTime(at: number, zone: string): LocalTime | null {
  const known = zoneOf(zone);
  if (known === null) return null;
  // By the whole minute, so that the answer kept for a minute is right for all of it.
  const minute = Math.floor(at / minuteMs);
  if (known.minute !== minute) {
    known.local = formatted(minute * minuteMs, known.format);
    known.minute = minute;
  }
  return known.local;
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

function zoneOf(name: string): Zone | null {
  if (name.length > maxZoneCharacters) return null;
  let zone = zones.get(name);
  if (zone === undefined) {
    zone = makeZone(name);
    if (zones.size >= maxZones) zones.delete(zones.keys().next().value!);
  } else {
    zones.delete(name);
  }
  zones.set(name, zone);
  return zone;
}

function makeZone(timeZone: string): Zone | null {
  try {
    const format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    });
    return { format, minute: Number.NaN, local: null };
  } catch {
    return null;
  }
}

function formatted(at: number, format: Intl.DateTimeFormat): LocalTime | null {
  // Date holds no other instants, and a formatter throws for them.
  if (Number.isNaN(new Date(at).getTime())) return null;
  const parts: { [type: string]: number } = {};
  for (const { type, value } of format.formatToParts(at)) parts[type] = Number(value);
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = parts;
  return {
    date: (year * 100 + month) * 100 + day,
    // 1 January 1970 was a Thursday.
    weekday: (((Date.UTC(year, month - 1, day) / dayMs + 3) % 7) + 7) % 7,
    minutes: hour * 60 + minute,
  };
}
