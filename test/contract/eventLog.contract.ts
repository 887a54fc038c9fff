import { expect } from 'vitest';
import type { AppendEntry, AppendOutcome, EventLog, LogMembership, ShardFeed } from '../../src/log/eventLog.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { type ContractCase, until } from './contract.ts';

/** A fresh log of at least 4 shards. */
export interface EventLogSubject {
  readonly log: EventLog;
  /** An append is answered within this long, ms; small, because a case waits for it. */
  readonly deadlineMs: number;
  /** Closes the log and opens the same one again, as a restart does. */
  reopen(): Promise<EventLog>;
  /** Keeps the engine from answering until the returned function is called. */
  stall(): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

const generous = { records: 1_000, bytes: 10_000_000 };
/** Longer than any case may take: a take that is not woken fails its test. */
const longMs = 20_000;
/** How long a record that was accepted may take until it is handed over. */
const handOverMs = 5_000;

type Accepted = AppendOutcome & { readonly ok: true };

async function appended(log: EventLog, entries: readonly AppendEntry[]): Promise<readonly Accepted[]> {
  const outcomes = await log.append(entries);
  expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
  return outcomes as readonly Accepted[];
}

const entry = (shard: number, value: string): AppendEntry => ({ shard, key: `u:${value}`, value });

/** Joins and waits until every shard is assigned. */
async function joined(log: EventLog): Promise<{
  feeds: ShardFeed[];
  revoked: number[];
  membership: LogMembership;
}> {
  const feeds: ShardFeed[] = [];
  const revoked: number[] = [];
  const membership = await log.join({
    assigned: (feed) => {
      feeds[feed.shard] = feed;
    },
    revoked: (shard) => revoked.push(shard),
  });
  await until(
    'every shard is assigned',
    () => Array.from(feeds).filter((feed) => feed !== undefined).length === log.shards,
  );
  return { feeds, revoked, membership };
}

/** Takes until the feed has handed over this many. */
async function takeAll(feed: ShardFeed, count: number, limit = generous): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  while (records.length < count) {
    const taken = await feed.take(limit, handOverMs);
    if (taken.length === 0) throw new Error(`take gave up after ${records.length} of ${count} records`);
    records.push(...taken);
  }
  return records;
}

const range = (length: number) => Array.from({ length }, (_, i) => i);

export const eventLogCases: readonly ContractCase<EventLogSubject>[] = [
  {
    name: 'hands over what was appended: shard, offset, stamp, key and value',
    async run({ log }) {
      const entries = range(4).map((shard) => ({
        shard,
        key: shard === 2 ? null : `u:${shard}`,
        value: `{"n":${shard}}`,
      }));
      const outcomes = await appended(log, entries);
      const { feeds, membership } = await joined(log);
      for (const [i, { shard, key, value }] of entries.entries()) {
        await feeds[shard]!.open((await log.bounds(shard)).low);
        const { offset, stamp } = outcomes[i]!;
        expect(await takeAll(feeds[shard]!, 1)).toEqual([{ shard, offset, stamp, key, value }]);
        expect(Number.isSafeInteger(stamp)).toBe(true);
      }
      await membership.leave();
    },
  },
  {
    name: 'gives no offset of a shard twice, and growing ones, to callers at the same time',
    async run({ log }) {
      const calls = await Promise.all(
        range(40).map((n) =>
          appended(
            log,
            range(8).map((i) => entry((n + i) % 4, `${n}.${i}`)),
          ),
        ),
      );
      for (const shard of range(4)) {
        const offsets = calls.flatMap((outcomes, n) =>
          outcomes.filter((_, i) => (n + i) % 4 === shard).map(({ offset }) => offset),
        );
        expect(offsets).toHaveLength(80);
        expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
      }
    },
  },
  {
    name: 'hands over every accepted record once, in offset order',
    async run({ log }) {
      const { feeds, membership } = await joined(log);
      const lows = await Promise.all(range(4).map(async (shard) => (await log.bounds(shard)).low));
      await Promise.all(range(4).map((shard) => feeds[shard]!.open(lows[shard]!)));
      const appending = Promise.all(
        range(25).map((n) =>
          appended(
            log,
            range(4).map((shard) => entry(shard, `${shard}.${n}`)),
          ),
        ),
      );
      const taken = await Promise.all(range(4).map((shard) => takeAll(feeds[shard]!, 25)));
      const outcomes = await appending;
      for (const shard of range(4)) {
        const expected = outcomes.map((call, n) => ({ offset: call[shard]!.offset, value: `${shard}.${n}` }));
        expect(taken[shard]!.map(({ offset, value }) => ({ offset, value }))).toEqual(expected);
      }
      await membership.leave();
    },
  },
  {
    name: 'keeps the order of the entries of a call, and of calls as they were made',
    async run({ log }) {
      const values = range(60).map(String);
      const calls = range(20).map((n) => log.append(values.slice(n * 3, n * 3 + 3).map((value) => entry(1, value))));
      await Promise.all(calls);
      const { feeds, membership } = await joined(log);
      await feeds[1]!.open((await log.bounds(1)).low);
      expect((await takeAll(feeds[1]!, 60)).map(({ value }) => value)).toEqual(values);
      await membership.leave();
    },
  },
  {
    name: 'answers in the order of the entries, over shards',
    async run({ log }) {
      const entries = range(30).map((n) => entry((n * 7) % 4, `value ${n}`));
      const outcomes = await appended(log, entries);
      for (const [i, { shard, value }] of entries.entries()) {
        expect((await log.readAt(shard, outcomes[i]!.offset))?.value).toBe(value);
      }
    },
  },
  {
    name: 'keeps texts as they are: four-byte characters, quotes, nul, 32 kB',
    async run({ log }) {
      const values = ['"\\\'', 'naïve 👩‍🚀 \u{10ffff}', 'a\u0000b', 'x'.repeat(32_000), ''];
      const outcomes = await appended(
        log,
        values.map((value) => ({ shard: 3, key: 'u:👩‍🚀', value })),
      );
      for (const [i, value] of values.entries()) {
        expect(await log.readAt(3, outcomes[i]!.offset)).toMatchObject({ key: 'u:👩‍🚀', value });
      }
    },
  },
  {
    name: 'answers no outcomes to no entries',
    async run({ log }) {
      expect(await log.append([])).toEqual([]);
    },
  },
  {
    name: 'hands over at most as many records as asked for, then the next ones',
    async run({ log }) {
      await appended(
        log,
        range(10).map((n) => entry(0, String(n))),
      );
      const { feeds, membership } = await joined(log);
      await feeds[0]!.open((await log.bounds(0)).low);
      const first = await feeds[0]!.take({ records: 3, bytes: generous.bytes }, longMs);
      expect(first.length).toBeGreaterThan(0);
      expect(first.length).toBeLessThanOrEqual(3);
      const rest = await takeAll(feeds[0]!, 10 - first.length, { records: 3, bytes: generous.bytes });
      expect([...first, ...rest].map(({ value }) => value)).toEqual(range(10).map(String));
      await membership.leave();
    },
  },
  {
    name: 'hands over about as many bytes as asked for, and one record however large',
    async run({ log }) {
      await appended(
        log,
        range(6).map((n) => entry(0, `${n}${'x'.repeat(999)}`)),
      );
      const { feeds, membership } = await joined(log);
      await feeds[0]!.open((await log.bounds(0)).low);
      const first = await feeds[0]!.take({ records: 6, bytes: 10 }, longMs);
      expect(first.map(({ value }) => value[0])).toEqual(['0']);
      const second = await feeds[0]!.take({ records: 6, bytes: 3_500 }, longMs);
      expect(second.length).toBeGreaterThan(0);
      expect(second.length).toBeLessThan(5);
      await membership.leave();
    },
  },
  {
    name: 'ends a waiting take when a record comes',
    async run({ log }) {
      const { feeds, membership } = await joined(log);
      await feeds[2]!.open((await log.bounds(2)).end);
      const startedAt = performance.now();
      const taking = feeds[2]!.take(generous, longMs);
      await appended(log, [entry(2, 'late')]);
      expect((await taking).map(({ value }) => value)).toEqual(['late']);
      expect(performance.now() - startedAt).toBeLessThan(longMs / 2);
      await membership.leave();
    },
  },
  {
    name: 'answers nothing when no record comes in time, and when it is woken',
    async run({ log }) {
      const { feeds, membership } = await joined(log);
      await feeds[2]!.open((await log.bounds(2)).end);
      expect(await feeds[2]!.take(generous, 5)).toEqual([]);
      const startedAt = performance.now();
      const taking = feeds[2]!.take(generous, longMs);
      feeds[2]!.wake();
      expect(await taking).toEqual([]);
      expect(performance.now() - startedAt).toBeLessThan(longMs / 2);
      await membership.leave();
    },
  },
  {
    name: 'hands records over again after open, from the offset it names',
    async run({ log }) {
      const outcomes = await appended(
        log,
        range(6).map((n) => entry(1, String(n))),
      );
      const { feeds, membership } = await joined(log);
      await feeds[1]!.open(outcomes[0]!.offset);
      await takeAll(feeds[1]!, 6);
      await feeds[1]!.open(outcomes[2]!.offset);
      expect((await takeAll(feeds[1]!, 4)).map(({ value }) => value)).toEqual(['2', '3', '4', '5']);
      await membership.leave();
    },
  },
  {
    name: 'refuses to open beyond the end with LOG_MISMATCH',
    async run({ log }) {
      await appended(log, [entry(1, 'only')]);
      const { feeds, membership } = await joined(log);
      const { end } = await log.bounds(1);
      await expect(feeds[1]!.open(end + 1)).rejects.toMatchObject({ code: 'LOG_MISMATCH' });
      await feeds[1]!.open(end);
      await membership.leave();
    },
  },
  {
    name: 'tells where a shard begins and ends, and reads single records',
    async run({ log }) {
      const before = await log.bounds(3);
      const outcomes = await appended(
        log,
        range(3).map((n) => entry(3, String(n))),
      );
      const after = await log.bounds(3);
      expect(after.low).toBeLessThanOrEqual(outcomes[0]!.offset);
      expect(outcomes[0]!.offset).toBeGreaterThanOrEqual(before.end);
      expect(after.end).toBeGreaterThan(outcomes[2]!.offset);
      expect(await log.readAt(3, outcomes[1]!.offset)).toMatchObject({
        shard: 3,
        offset: outcomes[1]!.offset,
        value: '1',
      });
      expect(await log.readAt(3, after.end)).toBeNull();
      expect(await log.bounds(2)).toMatchObject({ end: (await log.bounds(2)).low });
    },
  },
  {
    name: 'ends every feed when its member leaves, and assigns the shards anew to the next',
    async run({ log }) {
      await appended(log, [entry(0, 'first')]);
      const { feeds, revoked, membership } = await joined(log);
      await feeds[0]!.open((await log.bounds(0)).end);
      const taking = feeds[0]!.take(generous, longMs);
      await membership.leave();
      expect(await taking).toEqual([]);
      expect(Array.from(feeds).every((feed) => feed.signal.aborted)).toBe(true);
      expect(revoked.toSorted((a, b) => a - b)).toEqual(range(log.shards));
      await appended(log, [entry(0, 'second')]);
      expect(await feeds[0]!.take(generous, 0)).toEqual([]);

      const next = await joined(log);
      await next.feeds[0]!.open((await log.bounds(0)).low);
      expect((await takeAll(next.feeds[0]!, 2)).map(({ value }) => value)).toEqual(['first', 'second']);
      await next.membership.leave();
    },
  },
  {
    name: 'finishes the appends in flight when it closes, and answers LOG_UNAVAILABLE after that',
    async run({ log }) {
      const { feeds } = await joined(log);
      const inFlight = log.append(range(50).map((n) => entry(n % 4, String(n))));
      await log.close();
      expect((await inFlight).every((outcome) => outcome.ok)).toBe(true);
      expect(Array.from(feeds).every((feed) => feed.signal.aborted)).toBe(true);
      expect(await log.append([entry(0, 'late'), entry(1, 'late')])).toMatchObject([
        { ok: false, code: 'LOG_UNAVAILABLE' },
        { ok: false, code: 'LOG_UNAVAILABLE' },
      ]);
    },
  },
  {
    name: 'keeps records and goes on with their offsets over a restart',
    async run(subject) {
      const before = await appended(
        subject.log,
        range(20).map((n) => entry(n % 4, String(n))),
      );
      const log = await subject.reopen();
      for (const [n, { offset, stamp }] of before.entries()) {
        expect(await log.readAt(n % 4, offset)).toEqual({
          shard: n % 4,
          offset,
          stamp,
          key: `u:${n}`,
          value: String(n),
        });
      }
      const after = await appended(log, [entry(0, 'after')]);
      expect(after[0]!.offset).toBeGreaterThan(before[16]!.offset);
    },
  },
  {
    name: 'answers UNKNOWN within its deadline while the engine does not answer, and serves what came of it in order',
    async run({ log, deadlineMs, stall }) {
      await appended(log, [entry(1, 'before')]);
      const release = await stall();
      try {
        const startedAt = performance.now();
        expect(await log.append([entry(1, 'stalled')])).toMatchObject([{ ok: false, code: 'UNKNOWN' }]);
        expect(performance.now() - startedAt).toBeLessThan(deadlineMs * 5);
      } finally {
        await release();
      }
      // It may refuse a while longer, but not for good.
      let outcome: AppendOutcome | undefined;
      await until('appends are taken again', async () => {
        [outcome] = await log.append([entry(1, 'after')]);
        return outcome?.ok === true;
      });
      const { feeds, membership } = await joined(log);
      await feeds[1]!.open((await log.bounds(1)).low);
      const values: string[] = [];
      await until('the record after it is handed over', async () => {
        for (const { value } of await feeds[1]!.take(generous, 1)) values.push(value);
        return values.includes('after');
      });
      expect(values[0]).toBe('before');
      expect(values.filter((value) => value === 'stalled').length).toBeLessThanOrEqual(1);
      expect(values.indexOf('stalled')).toBeLessThan(values.indexOf('after'));
      await membership.leave();
    },
  },
];
