import { UsherError } from '../errors.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { Snapshots } from '../log/snapshots.ts';
import { decodeVisitor } from '../model/codec.ts';
import type { Commit, VisitorWrite } from '../model/commit.ts';
import { noCounts, type ShardMeta } from '../model/shardMeta.ts';
import { type MarkedMeta, markerKey, type SnapshotMarker, type VisitorSnapshot } from '../model/snapshot.ts';
import type { StateStore } from '../state/stateStore.ts';
import { Fenced } from './fenced.ts';
import type { Machine } from './machine.ts';
import { writeOf } from './visitorWrite.ts';

export interface RebuildServices {
  readonly log: EventLog;
  readonly store: StateStore;
  /** Absent: the log alone must reach back to the beginning. */
  readonly snapshots?: Snapshots;
  readonly machine: Machine;
}

/** A shard's state as the snapshot has it: to be served when the log is folded on from `meta.position` past `until`. */
export interface RestoredShard {
  readonly meta: ShardMeta;
  /** Visitors that are newer than the marker: their own records below these positions are in them already. */
  readonly newer: ReadonlyMap<string, number>;
  /** No smaller than any of these positions; there the state is whole. */
  readonly until: number;
}

/** Of one commit of restored visitors; far below what a commit may have (semantics 4.3). */
const restored = { visitors: 200, size: 150_000 };

/**
 * Has a shard's state made anew by whoever serves it, from the newest snapshot and the log's tail (semantics 4.7). Resolves when that is
 * begun: until `meta.rebuilding` is false again, nobody reads what there is of it.
 * @throws UsherError LOG_NO_LONGER_REACHES when it cannot be made anew; then the state is left as it is
 */
export async function rebuildShard(shard: number, services: RebuildServices): Promise<void> {
  await sourceOf(shard, services);
  const { store, log, machine } = services;
  const meta = await store.own(shard, machine.randomId(), log.shards);
  await commitMeta({ ...meta, rebuilding: true }, meta, services);
}

/**
 * What an owner does with a state that is not whole: one that `rebuildShard` marked, or whose making was interrupted, or that is not
 * there though it was once. Null: it is whole, or new.
 *
 * The steps: mark, remove, write the visitors, then the meta of the marker. A crash at any point leaves the mark, and all begins again.
 * @throws UsherError LOG_NO_LONGER_REACHES, LOG_MISMATCH
 */
export async function restoreShard(owned: ShardMeta, services: RebuildServices): Promise<RestoredShard | null> {
  // A shard that was just made, by whoever came first to an empty state, has no commit.
  if (!owned.rebuilding && owned.commits > 0) return null;
  const { shard } = owned;
  const source = await sourceOf(shard, services);
  const { log } = services;
  const wasFolded = owned.rebuilding || source !== null || ((await log.foldedTo?.(shard)) ?? 0) > 0;
  if (!wasFolded) return null;
  const marked = await commitMeta({ ...owned, rebuilding: true }, owned, services);
  if (!(await services.store.clear(shard, owned.owner))) throw new Fenced('another owner has the shard');
  const lineage = services.machine.randomId();
  if (source === null) {
    const { end: until } = await log.bounds(shard);
    const next = { ...marked, ...fromNothing(marked.shards), lineage, rebuilding: until > 0 };
    return { meta: await commitMeta(next, marked, services), newer: new Map(), until };
  }
  return restoreFrom(source, marked, lineage, services);
}

/** The marker to begin with; null: there is none, and the log reaches back to the beginning. */
async function sourceOf(shard: number, services: RebuildServices): Promise<MarkedMeta | null> {
  const { log, snapshots } = services;
  const marker = snapshots === undefined ? null : await newestMarker(snapshots, shard);
  const { low, end } = await log.bounds(shard);
  if (marker === null && low === 0) return null;
  if (marker === null || marker.position < low) {
    const has = marker === null ? 'there is no snapshot' : `the snapshot is of ${marker.position}`;
    throw new UsherError('LOG_NO_LONGER_REACHES', `shard ${shard}: the log begins at ${low}, and ${has}`);
  }
  if (marker.shards !== log.shards) {
    throw new UsherError('SHARDS_MISMATCH', `the snapshot is of ${marker.shards} shards, the log has ${log.shards}`);
  }
  if (marker.position > end) {
    throw new UsherError(
      'LOG_MISMATCH',
      `shard ${shard}: the snapshot is of ${marker.position}, the log ends at ${end}`,
    );
  }
  return marker;
}

/** The last one written stands: a later one may say less than an earlier one, after a state that went back in time. */
async function newestMarker(snapshots: Snapshots, shard: number): Promise<MarkedMeta | null> {
  let newest: MarkedMeta | null = null;
  for await (const { entries } of snapshots.read(shard)) {
    for (const { key, value } of entries) {
      if (key === markerKey(shard)) newest = (JSON.parse(value) as SnapshotMarker).meta;
    }
  }
  return newest;
}

async function restoreFrom(
  source: MarkedMeta,
  marked: ShardMeta,
  lineage: string,
  services: RebuildServices,
): Promise<RestoredShard> {
  const { store, snapshots } = services;
  const { shard, owner } = marked;
  const positions = new Map<string, number>();
  const segmentsOf = new Map<string, readonly string[]>();
  const overwritten = new Set<string>();
  let meta = marked;
  let end = 0;
  for await (const part of snapshots!.read(shard)) {
    const newest = new Map<string, VisitorSnapshot>();
    for (const { key, value } of part.entries) {
      if (key === markerKey(shard)) continue;
      const snapshot = JSON.parse(value) as VisitorSnapshot;
      // Not the last one written, but the newest: one that came late may lie over it.
      if ((positions.get(key) ?? 0) > snapshot.position) overwritten.add(key);
      else {
        positions.set(key, snapshot.position);
        newest.set(key, snapshot);
        overwritten.delete(key);
      }
    }
    for (const visitors of writesOf(newest.values(), segmentsOf))
      meta = await commitMeta(meta, meta, services, visitors);
    end = part.end;
  }
  const newer = new Map([...positions].filter(([, position]) => position > source.position));
  let newest = source.position;
  for (const position of newer.values()) newest = Math.max(newest, position);
  const { log } = services;
  const logEnd = (await log.bounds(shard)).end;
  if (newest > logEnd) {
    throw new UsherError(
      'LOG_MISMATCH',
      `shard ${shard}: the snapshot has visitors of ${newest}, the log ends at ${logEnd}`,
    );
  }
  // Nor is it whole before it knows again what it knew.
  const until = Math.min(logEnd, Math.max(newest, (await log.foldedTo?.(shard)) ?? 0));
  const noted = JSON.stringify({ end, marker: { v: 1, marker: true, shard, upTo: source.position, meta: source } });
  const note = { written: [], again: [...overwritten], change: meta.commits, marker: noted };
  await store.snapshots?.noteSnapshot(shard, owner, note);
  const rebuilding = until > source.position;
  const restored = { ...meta, ...source, segments: sizesOf(segmentsOf.values()), lineage, rebuilding };
  return { meta: await commitMeta(restored, meta, services), newer, until };
}

function sizesOf(memberships: Iterable<readonly string[]>): ShardMeta['segments'] {
  const sizes: { [segment: string]: number } = {};
  for (const segments of memberships) for (const id of segments) sizes[id] = (sizes[id] ?? 0) + 1;
  return sizes;
}

/** Notes the segments of each visitor too: their sizes are of the visitors as restored, which may be newer than the marker. */
function* writesOf(
  snapshots: Iterable<VisitorSnapshot>,
  segmentsOf: Map<string, readonly string[]>,
): Generator<readonly VisitorWrite[]> {
  let writes: VisitorWrite[] = [];
  let size = 0;
  for (const { visitor, profile, slots } of snapshots) {
    const state = profile === null || slots === null ? null : decodeVisitor(profile, slots);
    writes.push(writeOf(visitor, state));
    const segments = state === null ? [] : Object.keys(state.segments);
    if (segments.length > 0) segmentsOf.set(visitor, segments);
    else segmentsOf.delete(visitor);
    size += (profile?.length ?? 0) + (slots?.length ?? 0);
    if (writes.length < restored.visitors && size < restored.size) continue;
    yield writes;
    writes = [];
    size = 0;
  }
  if (writes.length > 0) yield writes;
}

function fromNothing(shards: number): MarkedMeta & Pick<ShardMeta, 'segments'> {
  const marked = { shards, position: 0, outputs: 0, copied: 0, appendTime: 0, active: null, lastId: null };
  return { ...marked, counters: noCounts, segments: {} };
}

/** A commit of no record. @throws Fenced */
export async function commitMeta(
  next: ShardMeta,
  previous: ShardMeta,
  { store, machine }: RebuildServices,
  visitors: readonly VisitorWrite[] = [],
): Promise<ShardMeta> {
  const meta: ShardMeta = { ...next, commits: previous.commits + 1, commit: machine.randomId() };
  const { shard, commit, lineage, position, appendTime } = meta;
  const now = machine.now();
  const message = {
    shard,
    commit,
    lineage,
    position,
    appendTime,
    visitors: [],
    activity: [],
    takenAt: now,
    foldedAt: now,
  };
  const all: Commit = { meta, previous: previous.commit, visitors, outbox: [], failed: [], retried: [], message };
  if ((await store.commit(all)) === 'FENCED') throw new Fenced('another owner committed');
  return meta;
}
