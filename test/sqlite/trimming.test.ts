import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogMembership, ShardFeed } from '../../src/log/eventLog.ts';
import { type SqliteLog, sqliteLog } from '../../src/log/sqliteLog.ts';
import { openSqlite, type SqliteFile } from '../../src/sqlite/sqlite.ts';
import { until } from '../contract/contract.ts';
import { sqliteOptions, temporaryFolder } from '../contract/sqliteSubjects.ts';

const hourMs = 3_600_000;
let folder: string;
let remove: () => Promise<void>;
let file: SqliteFile;
let log: SqliteLog;
let feeds: ShardFeed[];
let membership: LogMembership;
let clock: number;

async function open(
  retention: { ageMs: number; bytes: number },
  trimRows = 2_000,
  trimEveryMs = hourMs,
): Promise<void> {
  file = await openSqlite(sqliteOptions(folder, { retention, now: () => clock, limits: { trimRows, trimEveryMs } }));
  log = sqliteLog(file);
  feeds = [];
  membership = await log.join({ assigned: (feed) => void feeds.push(feed), revoked: () => {} });
}

async function close(): Promise<void> {
  await membership.leave();
  await log.close();
  await file.close();
}

/** `count` records a shard, each of 1,000 bytes. */
async function append(count: number, only: readonly number[] = [0, 1, 2, 3]): Promise<void> {
  const entries = Array.from({ length: count }, () =>
    only.map((shard) => ({ shard, key: null, value: 'x'.repeat(1_000) })),
  ).flat();
  expect((await log.append(entries)).every(({ ok }) => ok)).toBe(true);
}

const lows = () => Promise.all([0, 1, 2, 3].map(async (shard) => (await log.bounds(shard)).low));

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  clock = 1_000_000_000_000;
});
afterEach(async () => {
  await close();
  await remove();
});

describe('trimming by age', () => {
  it('removes what is older and folded, never what is not folded', async () => {
    await open({ ageMs: hourMs, bytes: 1e12 });
    await append(10);
    clock += hourMs + 1;
    await append(5);
    for (const [shard, folded] of [0, 7, 10, 15].entries()) feeds[shard]!.folded(folded);
    expect(await log.trim()).toBe(7 + 10 + 10);
    expect(await lows()).toEqual([0, 7, 10, 10]);
    expect(await log.readAt(1, 6)).toBeNull();
    expect((await log.readAt(1, 7))?.offset).toBe(7);
    expect(await log.trim()).toBe(0);
  });

  it('keeps what is exactly as old as it may be', async () => {
    await open({ ageMs: hourMs, bytes: 1e12 });
    await append(1);
    for (const feed of feeds) feed.folded(1);
    clock += hourMs;
    expect(await log.trim()).toBe(0);
    clock += 1;
    expect(await log.trim()).toBe(4);
  });

  it('happens by itself', async () => {
    await open({ ageMs: hourMs, bytes: 1e12 }, 2_000, 5);
    await append(3);
    for (const feed of feeds) feed.folded(3);
    clock += hourMs + 1;
    await until('everything is trimmed', async () => (await lows()).every((low) => low === 3));
  });

  it('goes on in further transactions when one has removed its share', async () => {
    await open({ ageMs: hourMs, bytes: 1e12 }, 7);
    await append(25);
    for (const feed of feeds) feed.folded(25);
    clock += hourMs + 1;
    const before = log.counters().commitTransactions;
    expect(await log.trim()).toBe(100);
    expect(log.counters().commitTransactions - before).toBeGreaterThanOrEqual(Math.ceil(100 / 7));
  });
});

describe('trimming by size', () => {
  it('removes the oldest over all shards until the rest fits', async () => {
    await open({ ageMs: 1e12, bytes: 20_500 });
    await append(10, [0, 1]);
    clock += 1_000;
    await append(10, [2, 3]);
    for (const feed of feeds) feed.folded(10);
    // 40 records of 1,016 bytes; 20 of them fit.
    expect(await log.trim()).toBe(20);
    expect(await lows()).toEqual([10, 10, 0, 0]);
  });

  it('never goes past what is folded, however large the log is', async () => {
    await open({ ageMs: 1e12, bytes: 1 });
    await append(10);
    for (const [shard, folded] of [3, 0, 10, 1].entries()) feeds[shard]!.folded(folded);
    expect(await log.trim()).toBe(14);
    expect(await lows()).toEqual([3, 0, 10, 1]);
    for (const feed of feeds) feed.folded(10);
    expect(await log.trim()).toBe(26);
    expect(await lows()).toEqual([10, 10, 10, 10]);
  });

  it('knows the size of what was appended before a restart', async () => {
    await open({ ageMs: 1e12, bytes: 1e12 });
    await append(10);
    await log.trim();
    await append(10);
    await close();
    await open({ ageMs: 1e12, bytes: 30_000 });
    for (const feed of feeds) feed.folded(20);
    // 80 records of 1,016 bytes; 29 of them fit.
    expect(await log.trim()).toBe(51);
  });
});

describe('a trimmed log', () => {
  it('goes on with its offsets after a restart, also when nothing was left', async () => {
    await open({ ageMs: 1e12, bytes: 1 });
    await append(10);
    for (const feed of feeds) feed.folded(10);
    await log.trim();
    await close();
    await open({ ageMs: 1e12, bytes: 1e12 });
    expect(await log.bounds(2)).toEqual({ low: 10, end: 10 });
    const [outcome] = await log.append([{ shard: 2, key: null, value: 'x' }]);
    expect(outcome).toMatchObject({ ok: true, offset: 10 });
  });

  it('refuses to be read from where it is trimmed, with LOG_NO_LONGER_REACHES', async () => {
    await open({ ageMs: 1e12, bytes: 1 });
    await append(10);
    feeds[1]!.folded(6);
    await log.trim();
    await expect(feeds[1]!.open(5)).rejects.toMatchObject({ code: 'LOG_NO_LONGER_REACHES' });
    await feeds[1]!.open(6);
    expect((await feeds[1]!.take({ records: 100, bytes: 1e9 }, 0)).map(({ offset }) => offset)).toEqual([6, 7, 8, 9]);
  });

  it('keeps what is read anew from where it is opened again, whatever was folded before', async () => {
    await open({ ageMs: 1e12, bytes: 1 });
    await append(10);
    feeds[1]!.folded(8);
    await feeds[1]!.open(2);
    expect(await log.trim()).toBe(2);
    expect(await log.bounds(1)).toEqual({ low: 2, end: 10 });
  });
});

describe('reading what is no longer in memory', () => {
  it('hands over the same records from the file', async () => {
    clock += 5;
    file = await openSqlite(sqliteOptions(folder, { now: () => clock, limits: { tailSize: 8_000 } }));
    log = sqliteLog(file);
    feeds = [];
    membership = await log.join({ assigned: (feed) => void feeds.push(feed), revoked: () => {} });
    const values = Array.from({ length: 50 }, (_, n) => `${n}${'y'.repeat(n * 7)}`);
    await log.append(values.map((value, n) => ({ shard: 1, key: n % 3 === 0 ? null : 'u:1', value })));
    await feeds[1]!.open(0);
    const taken = [];
    for (let takes = 0; taken.length < values.length && takes < 50; takes++) {
      taken.push(...(await feeds[1]!.take({ records: 7, bytes: 1_500 }, 0)));
    }
    const expected = values.map((value, offset) => ({
      shard: 1,
      offset,
      stamp: clock,
      key: offset % 3 === 0 ? null : 'u:1',
      value,
    }));
    expect(taken).toEqual(expected);
  });
});
