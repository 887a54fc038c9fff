import type { ShardMeta } from './shardMeta.ts';

/** Records of `usher.profiles` (semantics 4.7); schema/outputs/profiles.v1.json is their contract. */
export interface VisitorSnapshot {
  readonly v: 1;
  readonly shard: number;
  readonly visitor: string;
  /** The shard's position, T and lineage when the visitor was so. */
  readonly position: number;
  readonly appendTime: number;
  readonly lineage: string;
  /** The texts that the state keeps; both null and `gone`: the visitor had expired. */
  readonly profile: string | null;
  readonly slots: string | null;
  readonly gone?: true;
}

/** "Every visitor's newest change by records below `upTo` is written": what a rebuild begins with. */
export interface SnapshotMarker {
  readonly v: 1;
  readonly marker: true;
  readonly shard: number;
  /** null: nothing is promised; a marker of before is void. */
  readonly upTo: number | null;
  /** The shard as it was then; null with `upTo`. */
  readonly meta: MarkedMeta | null;
}

/** What of a shard's meta follows from its log. */
export type MarkedMeta = Pick<
  ShardMeta,
  'shards' | 'position' | 'outputs' | 'copied' | 'appendTime' | 'active' | 'lastId' | 'counters'
>;

/** No visitor's id begins so: they have no control characters. */
export function markerKey(shard: number): string {
  return `\u0000marker:${shard}`;
}

export function markerOf(shard: number, meta: ShardMeta | null): SnapshotMarker {
  if (meta === null) return { v: 1, marker: true, shard, upTo: null, meta: null };
  const { shards, position, outputs, copied, appendTime, active, lastId, counters } = meta;
  const marked = { shards, position, outputs, copied, appendTime, active, lastId, counters };
  return { v: 1, marker: true, shard, upTo: position, meta: marked };
}
