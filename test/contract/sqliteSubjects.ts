import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteOptions } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { BroadcastSubject } from './broadcast.contract.ts';
import type { EventLogSubject } from './eventLog.contract.ts';
import { type StateStoreSubject, stateShards } from './stateStore.contract.ts';

/** A folder of its own, removed by the returned function. */
export async function temporaryFolder(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'usher-sqlite-'));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export function sqliteOptions(folder: string, more: Partial<SqliteOptions> = {}): SqliteOptions {
  return { folder, shards: stateShards, appendDeadlineMs: 10_000, retention: { ageMs: 1e12, bytes: 1e12 }, ...more };
}

export async function openSqliteLog(): Promise<EventLogSubject> {
  const { folder, remove } = await temporaryFolder();
  const deadlineMs = 300;
  const options = sqliteOptions(folder, { appendDeadlineMs: deadlineMs });
  let file = await openSqlite(options);
  let log = sqliteLog(file);
  const close = async () => {
    await log.close();
    await file.close();
  };
  return {
    log,
    deadlineMs,
    async reopen() {
      await close();
      file = await openSqlite(options);
      log = sqliteLog(file);
      return log;
    },
    async stall() {
      // Another program that holds the write lock: the writer waits for it, as for a disk that does not answer.
      const other = new DatabaseSync(file.path);
      other.exec('begin immediate');
      return async () => other.close();
    },
    async close() {
      await close();
      await remove();
    },
  };
}

export async function openSqliteStore(): Promise<StateStoreSubject> {
  const { folder, remove } = await temporaryFolder();
  const broadcast = localBroadcast();
  let file = await openSqlite(sqliteOptions(folder));
  return {
    store: sqliteStore(file, broadcast),
    broadcast,
    async reopen() {
      await file.close();
      file = await openSqlite(sqliteOptions(folder));
      return sqliteStore(file, broadcast);
    },
    async close() {
      await file.close();
      await remove();
    },
  };
}

export async function openLocalBroadcast(): Promise<BroadcastSubject> {
  const broadcast = localBroadcast(() => {});
  return { broadcast, publish: (message) => broadcast.publish(message), close: () => broadcast.close() };
}
