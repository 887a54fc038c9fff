import { describe, expect, it } from 'vitest';
import { endOfTimes } from '../../src/model/quietHours.ts';

const minute = 60_000;
const hour = 60 * minute;
const times = (from: string, to: string) => {
  const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
  return { from: minutes(from), to: minutes(to) };
};
const end = (quiet: string, at: string, zone = 'Europe/Berlin') => {
  const [from, to] = quiet.split('-') as [string, string];
  const found = endOfTimes(times(from, to), Date.parse(at), zone, 'UTC');
  return found === null ? null : new Date(found).toISOString().replace(':00.000Z', 'Z');
};

describe('the end of quiet hours', () => {
  it.each([
    ['22:00-08:00', '2026-11-25T20:59:59.999Z', null],
    ['22:00-08:00', '2026-11-25T21:00:00.000Z', '2026-11-26T07:00Z'],
    ['22:00-08:00', '2026-11-26T06:59:59.999Z', '2026-11-26T07:00Z'],
    ['22:00-08:00', '2026-11-26T07:00:00.000Z', null],
    ['12:00-14:30', '2026-07-01T10:01:02.003Z', '2026-07-01T12:30Z'],
    ['00:00-23:59', '2026-07-01T21:58:00.000Z', '2026-07-01T21:59Z'],
  ])('%s, seen at %s, is %s', (quiet, at, until) => {
    expect(end(quiet, at)).toBe(until);
  });

  it('is that of the place, and of the shop where there is no such zone', () => {
    expect(end('22:00-08:00', '2026-11-25T21:00:00Z', 'America/New_York')).toBeNull();
    expect(end('22:00-08:00', '2026-11-25T22:00:00Z', 'Nowhere/Land')).toBe('2026-11-26T08:00Z');
    expect(end('22:00-08:00', '2026-11-25T17:00:00Z', 'Asia/Kathmandu')).toBe('2026-11-26T02:15Z');
  });

  it.each([
    // Berlin goes from 02:00 to 03:00 on the 29th of March 2026, at 01:00 UTC.
    ['a night that is an hour shorter', '22:00-08:00', '2026-03-28T21:00:00Z', '2026-03-29T06:00Z'],
    ['an end that the clocks skip', '22:00-02:30', '2026-03-28T21:00:00Z', '2026-03-29T01:00Z'],
    // And from 03:00 to 02:00 on the 25th of October, at 01:00 UTC.
    ['a night that is an hour longer', '22:00-08:00', '2026-10-24T20:00:00Z', '2026-10-25T07:00Z'],
    ['an end that comes twice: the first', '22:00-02:30', '2026-10-24T20:00:00Z', '2026-10-25T00:30Z'],
    [
      'an end that comes twice: the second, for who asks after the first',
      '22:00-02:30',
      '2026-10-25T01:10:00Z',
      '2026-10-25T01:30Z',
    ],
  ])('of %s', (_what, quiet, at, until) => {
    expect(end(quiet, at)).toBe(until);
  });

  it('is the first whole minute outside, wherever clocks are changed', () => {
    for (const zone of [
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
      'America/Scoresbysund',
    ]) {
      for (let at = Date.UTC(2026, 2, 7); at < Date.UTC(2026, 3, 6); at += 7 * hour + 13 * minute + 17) {
        const quiet = times('22:15', '03:10');
        const isIn = (instant: number) => endOfTimes(quiet, instant, zone, 'UTC') !== null;
        const until = endOfTimes(quiet, at, zone, 'UTC');
        if (until === null) continue;
        expect([isIn(until), isIn(until - 1), until > at, until % minute]).toEqual([false, true, true, 0]);
      }
    }
  });
});
