import type { ShardActions } from '../actions/shardActions.ts';
import { UsherError } from '../errors.ts';
import { readRecord } from '../fold/record.ts';
import type { EventLog, ShardFeed } from '../log/eventLog.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import type { ActiveBundles } from '../playbook/playbook.ts';
import { withLog } from './loggedOutputs.ts';
import { OutputWriters } from './outputWriters.ts';
import { commitMeta, type RebuildServices, type RestoredShard, restoreShard } from './rebuild.ts';
import type { ShardServices } from './shard.ts';

/** What an owner has when it begins to fold. */
export interface OwnedShard {
  readonly meta: ShardMeta;
  readonly active: ActiveBundles | null;
  readonly writers: OutputWriters;
  readonly actions: ShardActions | null;
  /** What the tail of the log must bring before the state is whole; null: it is. */
  readonly restored: RestoredShard | null;
  /** Records below were folded before, by a state that is lost. */
  readonly againBelow: number;
}

/**
 * Takes the shard, with a state that its log goes on from, and opens its feed there.
 * @param last the newest meta that this process knows of the shard
 * @throws UsherError when the state does not fit the log, or misses what it needs
 */
export async function ownShard(feed: ShardFeed, services: ShardServices, last: ShardMeta | null): Promise<OwnedShard> {
  const owned = await services.store.own(
    feed.shard,
    `${services.machine.name}/${services.machine.randomId()}`,
    services.log.shards,
  );
  const { log, store, machine, outputs } = services;
  const rebuilding = { log, store, machine, ...(outputs?.snapshots && { snapshots: outputs.snapshots }) };
  const restored = await restoreShard(owned, rebuilding);
  if (restored !== null)
    services.report(feed.shard, { what: 'rebuilding', from: restored.meta.position, to: restored.until });
  const { meta, againBelow } =
    restored === null
      ? await withLineage(owned, last, rebuilding, services)
      : { meta: restored.meta, againBelow: restored.until };
  await checkLog(feed.shard, meta, services.log);
  const active = meta.active === null ? null : await services.bundles.load(meta.active.playbook, meta.active.catalog);
  const actions = (await services.actions?.open(feed.shard, meta.owner, !meta.rebuilding)) ?? null;
  let writers: OutputWriters | null = null;
  try {
    writers = await openWriters(feed, services, meta, actions);
    await feed.open(writers.readFrom(meta));
    // Also a shard that stays idle must be trimmed.
    feed.folded(meta.position);
    services.report(feed.shard, { what: 'owned', meta });
    return { meta, active, writers, actions, restored, againBelow };
  } catch (error) {
    await writers?.end();
    await actions?.end();
    throw error;
  }
}

function openWriters(
  feed: ShardFeed,
  services: ShardServices,
  meta: ShardMeta,
  actions: ShardActions | null,
): Promise<OutputWriters> {
  const { outputs, log, store, limits, machine, report } = services;
  return OutputWriters.open({
    meta,
    services: { copiedTypes: [], ...outputs, outputs: withLog(log, outputs?.outputs, actions) },
    log,
    store,
    limits,
    machine,
    signal: feed.signal,
    report: (event) => report(feed.shard, event),
  });
}

/**
 * Another lineage for a state that went back in time (4.2): cursors and versions of before may name what is to come again, from records
 * below `againBelow`.
 */
async function withLineage(
  owned: ShardMeta,
  last: ShardMeta | null,
  rebuilding: RebuildServices,
  { log, report }: ShardServices,
): Promise<{ readonly meta: ShardMeta; readonly againBelow: number }> {
  const { shard, position, lineage } = owned;
  const known = last !== null && last.lineage === lineage ? last.position : 0;
  const folded = Math.max(known, (await log.foldedTo?.(shard)) ?? 0);
  if (position >= folded) return { meta: owned, againBelow: 0 };
  report(shard, { what: 'rolledBack', from: folded, to: position });
  const meta = await commitMeta({ ...owned, lineage: rebuilding.machine.randomId() }, owned, rebuilding);
  return { meta, againBelow: folded };
}

/** State and log must belong together (semantics 4.6): the record before the position is the one that was folded last. */
export async function checkLog(shard: number, meta: ShardMeta, log: EventLog): Promise<void> {
  if (meta.position === 0 || meta.lastId === null) return;
  const { low, end } = await log.bounds(shard);
  if (meta.position > end) {
    throw new UsherError('LOG_MISMATCH', `shard ${shard}: the state is at ${meta.position}, the log ends at ${end}`);
  }
  if (meta.position - 1 < low) return;
  const last = await log.readAt(shard, meta.position - 1);
  if (last === null) return;
  const read = readRecord(last);
  if (read.record !== null && read.record.id !== meta.lastId) {
    throw new UsherError(
      'LOG_MISMATCH',
      `shard ${shard}: the state last folded record ${meta.lastId} at ${meta.position - 1}, the log has ${read.record.id} there`,
    );
  }
}
