/** How far a zone's clocks are ahead of UTC at an instant, in ms. */
export type OffsetAt = (ms: number) => number;

const minute = 60_000;
/** Zones whose formatter is kept; making one costs a hundred times what using it does. The least recently used leaves. */
const maxZones = 500;
/** No zone's name is longer; visitors' browsers send any text. */
const maxZoneCharacters = 64;
/** null: there is no such zone. */
const zones = new Map<string, OffsetAt | null>();

/**
 * The clocks of an IANA zone such as Europe/Berlin; null: there is none of that name. Pure as far as the zone tables of this Node are:
 * what is kept are answers that cannot change.
 */
export function zoneOffset(name: string): OffsetAt | null {
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

/** Since then clocks change at whole minutes only, by whole minutes: the last place with seconds in its offset was Monrovia. */
const wholeMinutesSince = Date.UTC(1972, 0, 8);

function makeZone(timeZone: string): OffsetAt | null {
  let formatter: Intl.DateTimeFormat;
  try {
    formatter = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  const ask = (ms: number): number => {
    const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(formatter.format(ms));
    if (match === null)
      throw new Error(`expected an offset of ${timeZone} such as GMT+01:00, got ${formatter.format(ms)}`);
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
