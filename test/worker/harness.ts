import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultFoldSettings } from '../../src/fold/work.ts';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { decodeVisitor } from '../../src/model/codec.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { Visitor } from '../../src/model/visitor.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { activate } from '../../src/worker/activate.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { type ShardEvent, workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';

export const shards = 4;

/** A log, a store and workers over a real file, with one clock for the log and the workers that tests move by hand. */
export async function openHarness() {
  const folder = await mkdtemp(join(tmpdir(), 'usher-worker-'));
  const clock = { now: Date.UTC(2026, 0, 1) };
  const file = await openSqlite({
    folder,
    shards,
    appendDeadlineMs: 5_000,
    retention: { ageMs: 1e12, bytes: 1e12 },
    now: () => clock.now,
  });
  const log = sqliteLog(file);
  const store = sqliteStore(file, localBroadcast());
  const playbook = await readPlaybook(join(import.meta.dirname, '../../bench/playbook'));
  const workers: Worker[] = [];
  const events: (ShardEvent & { shard: number })[] = [];
  return {
    clock,
    log,
    store,
    events,
    count: (what: ShardEvent['what']) => events.filter((event) => event.what === what).length,
    activate: () => activate({ log, store }, playbook, [...Array(shards).keys()]),
    async startWorker(wrap: (store: StateStore) => StateStore = (same) => same, another = false): Promise<Worker> {
      const worker = new Worker({
        // `another`: a log of its own, as another process has; the embedded one takes a single member.
        log: another ? sqliteLog(file) : log,
        store: wrap(store),
        bundles: new Bundles((hash) => store.readBundle(hash)),
        fold: defaultFoldSettings,
        limits: workerLimits,
        // What waits for seconds is not worth waiting for.
        machine: { ...thisMachine, now: () => clock.now, sleep: (ms, signal) => thisMachine.sleep(ms / 20, signal) },
        report: (shard, event) => events.push({ ...event, shard }),
      });
      workers.push(worker);
      await worker.start();
      return worker;
    },
    /** One product view by the visitor; the outcome of its append. */
    async view(visitor: string, productId: string, id: string = randomUUID()) {
      const record = { v: 1, kind: 'event', id, visitor, type: 'product_viewed', properties: { productId } };
      const [outcome] = await log.append([
        { shard: shardOf(visitor, shards), key: visitor, value: JSON.stringify(record) },
      ]);
      return outcome!;
    },
    async visitor(id: string): Promise<Visitor | null> {
      const stored = await store.readProfile(shardOf(id, shards), id);
      return stored === null ? null : decodeVisitor(stored.profile, stored.slots);
    },
    async [Symbol.asyncDispose]() {
      for (const worker of workers) await worker.stop();
      await log.close();
      await file.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
