import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SqliteLog, sqliteLog } from '../../src/log/sqliteLog.ts';
import type { CommitMessage } from '../../src/model/commit.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteFile, type SqliteOptions } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { commitAfter, outboxEntry, write } from '../contract/commits.ts';
import { until } from '../contract/contract.ts';
import { sqliteOptions, temporaryFolder } from '../contract/sqliteSubjects.ts';

let folder: string;
let remove: () => Promise<void>;
let file: SqliteFile;
let log: SqliteLog;
let store: StateStore;
let heard: CommitMessage[];

async function open(more: Partial<SqliteOptions> = {}): Promise<void> {
  file = await openSqlite(sqliteOptions(folder, more));
  const broadcast = localBroadcast();
  log = sqliteLog(file);
  store = sqliteStore(file, broadcast);
  heard = [];
  for (let shard = 0; shard < 4; shard++) {
    await broadcast.subscribe(shard, { onMessage: (message) => void heard.push(message), onGap: () => {} });
  }
}

async function close(): Promise<void> {
  await log.close();
  await file.close();
}

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
});
afterEach(async () => {
  await close();
  await remove();
});

const entry = (shard: number, value: string) => ({ shard, key: 'u:1', value });
const limitBytes = (bytes: number | null) => file.writer.request({ what: 'limitBytes', bytes });

describe('group commit', () => {
  it('takes far fewer fsyncs than callers that append at the same time', async () => {
    await open();
    const before = log.counters();
    await Promise.all(
      Array.from({ length: 100 }, async (_, caller) => {
        for (let n = 0; n < 10; n++)
          expect((await log.append([entry(caller % 4, `${caller}.${n}`)]))[0]?.ok).toBe(true);
      }),
    );
    const after = log.counters();
    expect(after.appendedRecords - before.appendedRecords).toBe(1_000);
    // 10 rounds of 100 callers, with at most two messages at the writer.
    expect(after.appendTransactions - before.appendTransactions).toBeLessThan(100);
  });

  it('puts commits of several shards that wait into one transaction', async () => {
    await open();
    const metas = await Promise.all([0, 1, 2, 3].map((shard) => store.own(shard, 'owner', 4)));
    // The writer waits for the lock of another connection, and the commits wait for the writer.
    const other = new DatabaseSync(file.path);
    other.exec('begin immediate');
    const first = log.append([entry(0, 'first')]);
    const commits = metas.map((meta) => store.commit(commitAfter(meta, { visitors: [write('u:a', 'x')] })));
    const before = log.counters();
    other.close();
    expect(await Promise.all(commits)).toEqual(['DONE', 'DONE', 'DONE', 'DONE']);
    expect((await first)[0]?.ok).toBe(true);
    const after = log.counters();
    expect(after.commits - before.commits).toBe(4);
    expect(after.commitTransactions - before.commitTransactions).toBeLessThanOrEqual(2);
  });
});

describe('a full disk', () => {
  it('answers LOG_FULL with nothing torn, and takes appends again when there is space', async () => {
    await open();
    expect((await log.append([entry(1, 'before')]))[0]).toMatchObject({ ok: true, offset: 0 });
    await limitBytes(1);
    const large = Array.from({ length: 40 }, (_, n) => entry(1, `${n}${'x'.repeat(4_000)}`));
    const outcomes = await log.append(large);
    expect(outcomes).toHaveLength(40);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ ok: false, code: 'LOG_FULL' });
    expect(await log.bounds(1)).toEqual({ low: 0, end: 1 });
    await limitBytes(null);
    expect(await log.append([entry(1, 'after')])).toMatchObject([{ ok: true, offset: 1 }]);

    await close();
    await open();
    expect(await log.bounds(1)).toEqual({ low: 0, end: 2 });
    expect((await log.readAt(1, 1))?.value).toBe('after');
  });

  it('rejects a commit so that the same one can be tried again, and publishes it once', async () => {
    await open();
    const meta = await store.own(1, 'owner', 4);
    await limitBytes(1);
    const commit = commitAfter(meta, { visitors: [write('u:a', 'x'.repeat(100_000), { wakeAt: 5 })] });
    await expect(store.commit(commit)).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE', retryable: true });
    expect(await store.readMeta(1)).toEqual(meta);
    expect(await store.nextWakeup(1)).toBeNull();
    expect(heard).toEqual([]);
    await limitBytes(null);
    expect(await store.commit(commit)).toBe('DONE');
    expect(await store.commit(commit)).toBe('ALREADY');
    expect(heard).toEqual([commit.message]);
    expect((await store.readProfile(1, 'u:a'))?.profile).toHaveLength(100_008);
  });

  it('writes the commits that fit beside one that does not', async () => {
    await open();
    const metas = await Promise.all([0, 1, 2].map((shard) => store.own(shard, 'owner', 4)));
    await limitBytes(1);
    const results = await Promise.allSettled(
      metas.map((meta, shard) =>
        store.commit(commitAfter(meta, shard === 1 ? { visitors: [write('u:a', 'x'.repeat(100_000))] } : {})),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});

describe('a writer that ends', () => {
  it('leaves what is in flight unknown, refuses what comes later, and lets reads go on', async () => {
    await open();
    const meta = await store.own(1, 'owner', 4);
    await log.append([entry(1, 'kept')]);
    const other = new DatabaseSync(file.path);
    other.exec('begin immediate');
    const appending = log.append([entry(1, 'in flight')]);
    const committing = expect(store.commit(commitAfter(meta))).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
    // Sent when the microtasks of this turn have run.
    await new Promise(setImmediate);
    await file.writer.kill();
    other.close();
    expect(await appending).toMatchObject([{ ok: false, code: 'UNKNOWN' }]);
    await committing;
    expect(await log.append([entry(1, 'late')])).toMatchObject([{ ok: false, code: 'LOG_UNAVAILABLE' }]);
    await expect(store.commit(commitAfter(meta))).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
    expect(await store.readMeta(1)).toEqual(meta);
    expect((await log.readAt(1, 0))?.value).toBe('kept');
  });
});

describe('appends that wait', () => {
  it('are refused beyond the limit of entries, those before it go', async () => {
    await open({ limits: { waitingEntries: 10 } });
    const outcomes = await log.append(Array.from({ length: 12 }, (_, n) => entry(n % 4, String(n))));
    expect(outcomes.map(({ ok }) => ok)).toEqual([...new Array(10).fill(true), false, false]);
    expect(outcomes[11]).toMatchObject({ code: 'LOG_UNAVAILABLE', message: expect.stringContaining('behind') });
    expect((await log.append(Array.from({ length: 10 }, (_, n) => entry(0, String(n))))).every(({ ok }) => ok)).toBe(
      true,
    );
  });

  it('are refused beyond the limit of characters, and taken again when the writer has caught up', async () => {
    await open({ limits: { waitingSize: 1_000 } });
    const [first, second] = await Promise.all([
      log.append([entry(0, 'x'.repeat(900))]),
      log.append([entry(0, 'x'.repeat(200))]),
    ]);
    expect(first).toMatchObject([{ ok: true }]);
    expect(second).toMatchObject([{ ok: false, code: 'LOG_UNAVAILABLE' }]);
    expect(await log.append([entry(0, 'x'.repeat(200))])).toMatchObject([{ ok: true, offset: 1 }]);
  });

  it('are surely not recorded, and told so, when the deadline passes before the writer has them', async () => {
    await open({ appendDeadlineMs: 100, limits: { appendsInFlight: 1 } });
    const other = new DatabaseSync(file.path);
    other.exec('begin immediate');
    const sent = log.append([entry(0, 'sent')]);
    await new Promise(setImmediate);
    const waiting = log.append([entry(0, 'waiting')]);
    expect(await sent).toMatchObject([{ ok: false, code: 'UNKNOWN' }]);
    expect(await waiting).toMatchObject([{ ok: false, code: 'LOG_UNAVAILABLE' }]);
    other.close();
    await until('the writer is free again', async () => (await log.append([entry(0, 'after')]))[0]?.ok === true);
    const { end } = await log.bounds(0);
    const values = await Promise.all(
      Array.from({ length: end }, async (_, offset) => (await log.readAt(0, offset))?.value),
    );
    expect(values[0]).toBe('sent');
    expect(values).not.toContain('waiting');
  });
});

describe('stamps', () => {
  it("are the given clock's, also when it goes back, and without one the machine's", async () => {
    let clock = 1_000;
    await open({ now: () => clock });
    const stampOf = async () => (await log.append([entry(0, 'x')])).map((outcome) => outcome.ok && outcome.stamp);
    expect(await stampOf()).toEqual([1_000]);
    clock = 400;
    expect(await stampOf()).toEqual([400]);
    await close();
    await open();
    const before = Date.now();
    const [stamp] = await stampOf();
    expect(stamp).toBeGreaterThanOrEqual(before);
    expect(stamp).toBeLessThanOrEqual(Date.now());
  });
});

describe('the outbox', () => {
  it('shows entries only after an fsync that came after them, and asks for one only when there was none', async () => {
    await open();
    let meta = await store.own(1, 'owner', 4);
    const syncs = () => log.counters().syncs;
    const commit = async (id: string) => {
      const next = commitAfter(meta, { outbox: [outboxEntry(id)] });
      expect(await store.commit(next)).toBe('DONE');
      meta = next.meta;
    };
    const before = syncs();
    expect(await store.readOutbox(1, null, 10)).toEqual([]);
    expect(syncs()).toBe(before);
    await commit('0-0');
    expect(syncs()).toBe(before);
    expect(await store.readOutbox(1, null, 10)).toHaveLength(1);
    expect(syncs()).toBe(before + 1);
    expect(await store.readOutbox(1, null, 10)).toHaveLength(1);
    expect(syncs()).toBe(before + 1);
    // The fsync of an append serves as well.
    await commit('1-0');
    await log.append([entry(0, 'x')]);
    expect(await store.readOutbox(1, null, 10)).toHaveLength(2);
    expect(syncs()).toBe(before + 1);
  });
});

describe('failed events', () => {
  it('are kept up to the limit a shard, the oldest leave', async () => {
    await open({ limits: { failedEvents: 3 } });
    let meta = await store.own(1, 'owner', 4);
    for (let n = 0; n < 5; n++) {
      const failed = [{ ...failure, position: `1:${n}` }];
      const commit = commitAfter(meta, { failed });
      expect(await store.commit(commit)).toBe('DONE');
      meta = commit.meta;
    }
    const found = await store.readFailed({ shard: 1, before: null, limit: 10 });
    expect(found.map(({ position }) => position)).toEqual(['1:4', '1:3', '1:2']);
  });
});

const failure = { reason: 'UNREADABLE', detail: '', visitor: null, type: null, failedAt: 0, value: '' } as const;
