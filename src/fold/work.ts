import type { Activity, FailedEvent, OutboxEntry } from '../model/commit.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import type { Visitor } from '../model/visitor.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';

/** A playbook and a catalog that are active together. */
export interface ActiveBundles {
  readonly playbook: Playbook;
  readonly catalog: Catalog;
}

/** What the fold changed since the last `takeChanges`. */
export interface FoldChanges {
  /** null: the visitor is gone. */
  readonly visitors: ReadonlyMap<string, Visitor | null>;
  readonly failed: readonly FailedEvent[];
  readonly outbox: readonly OutboxEntry[];
  readonly activity: readonly Activity[];
  /** The part of the meta that folding changes. */
  readonly meta: Pick<ShardMeta, 'position' | 'outputs' | 'appendTime' | 'active' | 'lastId' | 'counters'>;
}
