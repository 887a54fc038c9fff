import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultFoldSettings } from '../../src/fold/work.ts';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { canonicalJson } from '../../src/model/json.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteFile } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { type WorkerLimits, workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';

const dayMs = 86_400_000;
const retention = { ageMs: 3650 * dayMs, bytes: 1e12 };
const deadlineMs = 120_000;

/** What a stopped Usher left in its data folder: the state that its own run made, and the same log folded anew in other ways. */
export interface Refolded {
  readonly state: readonly string[];
  /** One for each of the limits asked for. */
  readonly again: readonly (readonly string[])[];
}

/**
 * Folds the log of a data folder again into empty states, with batches cut by `cuts`. States are lines of canonical JSON,
 * one a visitor, a failed event, an output or a shard's meta, without what names the run: owner, epoch, commits and lineage.
 */
export async function refold(
  folder: string,
  shards: number,
  cuts: readonly Partial<WorkerLimits>[],
): Promise<Refolded> {
  const file = await openSqlite({ folder, shards, appendDeadlineMs: 5_000, retention });
  try {
    const store = sqliteStore(file, localBroadcast());
    // A tick appended while it stopped may lie beyond what its own run folded; all states are compared at the log's end.
    await foldToEnd(file, store, store, {});
    const again: (readonly string[])[] = [];
    for (const cut of cuts) {
      const fresh = await mkdtemp(join(tmpdir(), 'usher-refold-'));
      const freshFile = await openSqlite({ folder: fresh, shards, appendDeadlineMs: 5_000, retention });
      try {
        const freshStore = sqliteStore(freshFile, localBroadcast());
        await foldToEnd(file, freshStore, store, cut);
        again.push(await stateOf(freshStore, shards));
      } finally {
        await freshFile.close();
        await rm(fresh, { recursive: true });
      }
    }
    return { state: await stateOf(store, shards), again };
  } finally {
    await file.close();
  }
}

/** Folds what the log of `file` has and `into` has not, with the bundles of another store. */
async function foldToEnd(
  file: SqliteFile,
  into: StateStore,
  bundles: StateStore,
  cut: Partial<WorkerLimits>,
): Promise<void> {
  const faults: string[] = [];
  const worker = new Worker({
    log: sqliteLog(file),
    store: into,
    bundles: new Bundles((hash) => bundles.readBundle(hash)),
    fold: defaultFoldSettings,
    limits: { ...workerLimits, ...cut },
    // A clock that stands at 0 asks for no tick: the log must stay as it is.
    machine: { ...thisMachine, now: () => 0 },
    report: (shard, event) => {
      if (event.what === 'stopped' || event.what === 'retrying') faults.push(`shard ${shard}: ${event.error.message}`);
    },
  });
  await worker.start();
  await worker.caughtUp(AbortSignal.timeout(deadlineMs));
  await worker.stop();
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

async function stateOf(store: StateStore, shards: number): Promise<string[]> {
  const lines: string[] = [];
  const line = (name: string, value: unknown) => lines.push(`${name} ${canonicalJson(value)}`);
  for (let shard = 0; shard < shards; shard++) {
    const meta = await store.readMeta(shard);
    if (meta === null) throw new Error(`shard ${shard} has no state`);
    const { owner: _owner, commits: _commits, epoch: _epoch, commit: _commit, lineage: _lineage, ...folded } = meta;
    line(`shard ${shard}`, folded);
    for (let after: string | null = null; ; ) {
      const page = await store.listVisitors(shard, after, 500);
      const { profiles } = await store.load(shard, page);
      page.forEach((visitor, i) => {
        const { profile, slots } = profiles[i]!;
        line(visitor, { profile: JSON.parse(profile), slots: JSON.parse(slots) });
      });
      if (page.length < 500) break;
      after = page.at(-1)!;
    }
    for (const by of ['wall', 'historic'] as const) {
      line(
        `${by} wakeups of ${shard}`,
        await store.wakeups(shard, { by, upTo: Number.MAX_SAFE_INTEGER, after: null, limit: 100_000 }),
      );
    }
    line(`outbox of ${shard}`, await store.readOutbox(shard, null, 100_000));
    line(`failed events of ${shard}`, await store.readFailed({ shard, before: null, limit: 100_000 }));
  }
  return lines;
}
