import { defaultFoldSettings } from '../../src/fold/work.ts';
import type { EventLog } from '../../src/log/eventLog.ts';
import { logTopic } from '../../src/model/commit.ts';
import { canonicalJson } from '../../src/model/json.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { type WorkerLimits, workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';
import { until } from '../contract/contract.ts';
import type { StoppedEngines } from './stoppedEngines.ts';

const deadlineMs = 120_000;

/** The state that an Usher's own run made, and the same log folded anew in other ways. */
export interface Refolded {
  readonly state: readonly string[];
  /** One for each of the limits asked for. */
  readonly again: readonly (readonly string[])[];
}

/**
 * Folds the log that an Usher left again into empty states, with batches cut by `cuts`. States are lines of canonical JSON,
 * one a visitor, a failed event, an output or a shard's meta, without what belongs to the run: owner, epoch, commits, lineage, and how
 * far events were copied to other topics.
 */
export async function refold(left: StoppedEngines, cuts: readonly Partial<WorkerLimits>[]): Promise<Refolded> {
  const { store, shards } = left;
  // A tick appended while it stopped may lie beyond what its own run folded; all states are compared at the log's end.
  await foldToEnd(left, store, {});
  const again: (readonly string[])[] = [];
  for (const cut of cuts) {
    const empty = await left.openEmpty();
    try {
      await foldToEnd(left, empty.store, cut);
      again.push(await stateOf(empty.store, shards));
    } finally {
      await empty.remove();
    }
  }
  return { state: await stateOf(store, shards), again };
}

/** Folds what the log has and `into` has not, with the bundles of the state that the run made. */
async function foldToEnd(left: StoppedEngines, into: StateStore, cut: Partial<WorkerLimits>): Promise<void> {
  const faults: string[] = [];
  const worker = new Worker({
    log: asItIs(await left.openLog()),
    store: into,
    bundles: new Bundles((hash) => left.store.readBundle(hash)),
    fold: defaultFoldSettings,
    limits: { ...workerLimits, ...cut },
    // A clock that stands at 0 asks for no tick: the log must stay as it is.
    machine: { ...thisMachine, now: () => 0 },
    report: (shard, event) => {
      if (event.what === 'stopped' || event.what === 'retrying') faults.push(`shard ${shard}: ${event.error.message}`);
    },
  });
  await worker.start();
  await until('every shard is assigned', () => worker.states().size === left.shards);
  await worker.caughtUp(AbortSignal.timeout(deadlineMs));
  await worker.stop();
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

/** What rules append is in the log already: it must stay as it is, for the next fold too. */
function asItIs(log: EventLog): EventLog {
  return {
    shards: log.shards,
    join: (member) => log.join(member),
    bounds: (shard) => log.bounds(shard),
    readAt: (shard, offset) => log.readAt(shard, offset),
    close: () => log.close(),
    append: async (entries) => entries.map(() => ({ ok: true, offset: 0, stamp: 0 })),
  };
}

async function stateOf(store: StateStore, shards: number): Promise<string[]> {
  const lines: string[] = [];
  const line = (name: string, value: unknown) => lines.push(`${name} ${canonicalJson(value)}`);
  for (let shard = 0; shard < shards; shard++) {
    const meta = await store.readMeta(shard);
    if (meta === null) throw new Error(`shard ${shard} has no state`);
    const { owner: _owner, commits: _commits, epoch: _epoch, commit: _commit, lineage: _lineage, ...rest } = meta;
    const { copied: _copied, ...folded } = rest;
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
    // What is on its way to the log, or has come there, depends on when the run was stopped.
    const outbox = await store.readOutbox(shard, null, 100_000);
    line(
      `outbox of ${shard}`,
      outbox.filter(({ topic }) => topic !== logTopic),
    );
    line(`failed events of ${shard}`, await store.readFailed({ shard, before: null, limit: 100_000 }));
  }
  return lines;
}
