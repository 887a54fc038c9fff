import { decodeVisitor } from '../../src/model/codec.ts';
import type { FailedEvent } from '../../src/model/commit.ts';
import { canonicalJson } from '../../src/model/json.ts';
import { compareUtf8 } from '../../src/model/shard.ts';
import type { ShardMeta } from '../../src/model/shardMeta.ts';
import type { Timer, Visitor } from '../../src/model/visitor.ts';
import type { StateStore } from '../../src/state/stateStore.ts';

/** A part of what a log folded to, as plain data: what the oracle prints a line of. */
export type FoldedPart =
  | { readonly shard: number; readonly visitor: Visitor }
  | { readonly shard: number; readonly failed: readonly FailedPart[] }
  | { readonly shard: number; readonly meta: MetaPart };
/** Of a failed event what the semantics say; its words and its record are for people. */
type FailedPart = Pick<FailedEvent, 'position' | 'reason' | 'visitor' | 'type' | 'failedAt'>;
/** Of a shard what follows from its log, not from who folded it. */
type MetaPart = Pick<ShardMeta, 'position' | 'appendTime' | 'active' | 'lastId' | 'counters' | 'segments'>;

export interface CanonicalOptions {
  /**
   * Without positions, append times and what follows from them, and without the shards: for two runs of the same input that
   * were appended at other times, to other shards. What is left is what visitors did and see.
   */
  readonly placeless?: boolean;
}

/** Lines of canonical JSON, sorted, of which two folds of the same log have the same. */
export function canonicalLines(parts: Iterable<FoldedPart>, options: CanonicalOptions = {}): readonly string[] {
  const lines: string[] = [];
  const counters: Record<string, number> = {};
  for (const part of parts) {
    if ('visitor' in part) {
      lines.push(canonicalJson(options.placeless ? { visitor: placeless(part.visitor) } : inOrder(part)));
    } else if ('failed' in part) {
      if (options.placeless)
        lines.push(...part.failed.map(({ reason, visitor, type }) => canonicalJson({ reason, visitor, type })));
      else lines.push(canonicalJson({ ...part, failed: part.failed.map(canonicalJson).sort() }));
    } else if (options.placeless) {
      for (const name of stableCounters) counters[name] = (counters[name] ?? 0) + part.meta.counters[name];
    } else lines.push(canonicalJson(part));
  }
  if (options.placeless) lines.push(canonicalJson({ counters }));
  return lines.sort();
}

/** All that a store holds of its shards, read as anybody reads it. */
export async function readParts(store: StateStore, shards: number): Promise<readonly FoldedPart[]> {
  const parts: FoldedPart[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const meta = await store.readMeta(shard);
    if (meta !== null && meta.position > 0) parts.push(...(await partsOfShard(store, shard)), metaPart(meta));
  }
  return parts;
}

export async function canonicalState(
  store: StateStore,
  shards: number,
  options: CanonicalOptions = {},
): Promise<readonly string[]> {
  return canonicalLines(await readParts(store, shards), options);
}

export function metaPart(meta: ShardMeta): FoldedPart {
  const { shard, position, appendTime, active, lastId, counters, segments } = meta;
  return { shard, meta: { position, appendTime, active, lastId, counters, segments } };
}

export function failedPart(shard: number, failed: readonly FailedEvent[]): FoldedPart {
  const told = failed.map(({ position, reason, visitor, type, failedAt }) => ({
    position,
    reason,
    visitor,
    type,
    failedAt,
  }));
  return { shard, failed: told };
}

const page = 500;

async function partsOfShard(store: StateStore, shard: number): Promise<FoldedPart[]> {
  const parts: FoldedPart[] = [];
  for (let after: string | null = null; ; ) {
    const visitors = await store.listVisitors(shard, after, page);
    const { profiles } = await store.load(shard, visitors);
    for (const stored of profiles) {
      if (stored !== null) parts.push({ shard, visitor: decodeVisitor(stored.profile, stored.slots) });
    }
    if (visitors.length < page) break;
    after = visitors.at(-1)!;
  }
  const failed: FailedEvent[] = [];
  for (let before: string | null = null; ; ) {
    const some = await store.readFailed({ shard, before, limit: page });
    failed.push(...some);
    if (some.length < page) break;
    before = some.at(-1)!.position;
  }
  return [...parts, failedPart(shard, failed)];
}

/** Timers in the order of their ids: they are kept in the order in which they were set. */
function inOrder({ shard, visitor }: { readonly shard: number; readonly visitor: Visitor }): object {
  return { shard, visitor: { ...visitor, timers: [...visitor.timers].sort(compareTimers) } };
}
function compareTimers(a: Timer, b: Timer): number {
  return compareUtf8(JSON.stringify([a.what, ...a.key]), JSON.stringify([b.what, ...b.key]));
}

/** Counts that hold wherever and whenever the same input was appended; how it arrived is told by the others. */
const stableCounters = ['folded', 'failed', 'rulesFired', 'ruleErrors', 'slotChanges'] as const;

function placeless(visitor: Visitor): object {
  const {
    born: _born,
    lastAppend: _lastAppend,
    failures: _failures,
    sent: _sent,
    taken: _taken,
    counts,
    sources,
    slots,
    timers,
    ...rest
  } = visitor;
  return {
    ...rest,
    counts: { folded: counts.folded, failed: counts.failed, sessions: counts.sessions },
    sources: sources.map(({ id, next, missing, floor, skipped, held }) => ({
      id,
      next,
      missing,
      floor,
      skipped,
      held: held.map(({ sequence, record }) => ({ sequence, record })),
    })),
    slots: Object.fromEntries(
      Object.entries(slots).map(([name, slot]) => [
        name,
        {
          version: slot.version,
          candidates: slot.candidates.map(({ expiresAt: _expiresAt, cause, ...candidate }) => {
            const { offset: _offset, ...told } = cause;
            return { ...candidate, cause: told };
          }),
        },
      ]),
    ),
    timers: [...timers].sort(compareTimers).map(({ what, key, due }) => ({ what, key, due })),
  };
}
