import { describe, expect, it } from 'vitest';
import { isWithin, localTime } from '../../src/model/localTime.ts';

const at = (instant: string) => Date.parse(instant);

describe('the local time of an instant', () => {
  it('is the day, the weekday and the minutes that clocks show there', () => {
    // A Friday.
    const instant = at('2026-07-31T22:15:30.500Z');
    expect(localTime(instant, 'UTC')).toEqual({ date: 20_260_731, weekday: 4, minutes: 22 * 60 + 15 });
    expect(localTime(instant, 'Europe/Berlin')).toEqual({ date: 20_260_801, weekday: 5, minutes: 15 });
    expect(localTime(instant, 'America/Los_Angeles')).toEqual({ date: 20_260_731, weekday: 4, minutes: 15 * 60 + 15 });
    expect(localTime(instant, 'Asia/Kathmandu')).toEqual({ date: 20_260_801, weekday: 5, minutes: 4 * 60 });
  });

  it('begins the week with Monday', () => {
    const weekdays = [3, 4, 5, 6, 7, 8, 9].map((day) => localTime(at(`2026-08-0${day}T12:00:00Z`), 'UTC')!.weekday);
    expect(weekdays).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('is 0 minutes at midnight, not 24 hours', () => {
    expect(localTime(at('2026-02-28T23:00:00Z'), 'Europe/Berlin')).toEqual({
      date: 20_260_301,
      weekday: 6,
      minutes: 0,
    });
  });

  it('jumps where clocks do: an hour is left out in March, and comes twice in October', () => {
    const minutes = (instant: string) => localTime(at(instant), 'Europe/Berlin')!.minutes;
    expect(minutes('2026-03-29T00:59:59.999Z')).toBe(119);
    expect(minutes('2026-03-29T01:00:00Z')).toBe(180);
    expect(minutes('2026-10-25T00:30:00Z')).toBe(150);
    expect(minutes('2026-10-25T01:30:00Z')).toBe(150);
  });

  it('is the same however often and in whatever order it is asked for', () => {
    const instants = [0, 1, 2].flatMap((day) => [at('2026-03-28T10:00:00Z') + day * 86_400_000, 59_999, 60_000, 0]);
    const zones = ['UTC', 'Europe/Berlin', 'Africa/Monrovia'];
    const first = instants.flatMap((instant) => zones.map((zone) => localTime(instant, zone)));
    const second = [...instants]
      .reverse()
      .flatMap((instant) => [...zones].reverse().map((zone) => localTime(instant, zone)));
    expect(second.reverse()).toEqual(first);
  });

  it('is known of a zone again after more zones than are kept were asked for', () => {
    for (let i = 0; i < 1_200; i++) expect(localTime(0, `Nowhere/${i}`)).toBeNull();
    expect(localTime(0, 'Europe/Berlin')).toEqual({ date: 19_700_101, weekday: 3, minutes: 60 });
  });

  it('is null in a zone that there is not, and for an instant that no calendar has', () => {
    for (const zone of ['', 'Europe/Atlantis', 'x'.repeat(10_000)]) expect(localTime(0, zone)).toBeNull();
    for (const instant of [Number.NaN, Number.POSITIVE_INFINITY, 9e15]) expect(localTime(instant, 'UTC')).toBeNull();
  });

  it('agrees with arithmetic in UTC, for ten thousand instants', () => {
    for (let i = 0; i < 10_000; i++) {
      const instant = i * 180_000_003;
      const date = new Date(instant);
      expect(localTime(instant, 'UTC')).toEqual({
        date: Number(date.toISOString().slice(0, 10).replaceAll('-', '')),
        weekday: (date.getUTCDay() + 6) % 7,
        minutes: date.getUTCHours() * 60 + date.getUTCMinutes(),
      });
    }
  });
});

describe('hours', () => {
  const local = (weekday: number, hour: number, minute = 0) => ({
    date: 20_260_803,
    weekday,
    minutes: hour * 60 + minute,
  });
  const [monday, friday, saturday, sunday] = [0, 4, 5, 6];

  it('hold from their first minute, and until before their last', () => {
    const hours = { from: 9 * 60, to: 18 * 60, days: null };
    expect(isWithin(hours, local(monday, 8, 59))).toBe(false);
    expect(isWithin(hours, local(monday, 9))).toBe(true);
    expect(isWithin(hours, local(sunday, 17, 59))).toBe(true);
    expect(isWithin(hours, local(sunday, 18))).toBe(false);
  });

  it('over midnight count for the day on which they began', () => {
    const hours = { from: 22 * 60, to: 2 * 60, days: [friday] };
    expect(isWithin(hours, local(friday, 22))).toBe(true);
    expect(isWithin(hours, local(saturday, 1, 59))).toBe(true);
    expect(isWithin(hours, local(saturday, 2))).toBe(false);
    expect(isWithin(hours, local(friday, 1))).toBe(false);
    expect(isWithin(hours, local(saturday, 22))).toBe(false);
    expect(isWithin({ ...hours, days: [sunday] }, local(monday, 0))).toBe(true);
  });

  it('that end when they begin are a whole day, which begins then', () => {
    const hours = { from: 9 * 60, to: 9 * 60, days: [friday] };
    expect(isWithin(hours, local(friday, 9))).toBe(true);
    expect(isWithin(hours, local(saturday, 8, 59))).toBe(true);
    expect(isWithin(hours, local(friday, 8, 59))).toBe(false);
    expect(isWithin(hours, local(saturday, 9))).toBe(false);
  });

  it('without times are whole days, from midnight to midnight', () => {
    const hours = { from: null, to: null, days: [saturday, sunday] };
    expect(isWithin(hours, local(saturday, 0))).toBe(true);
    expect(isWithin(hours, local(sunday, 23, 59))).toBe(true);
    expect(isWithin(hours, local(monday, 0))).toBe(false);
    expect(isWithin(hours, local(friday, 23, 59))).toBe(false);
  });
});
