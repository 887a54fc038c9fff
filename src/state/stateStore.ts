import type { Commit, FailedEvent, OutboxEntry } from '../model/commit.ts';
import type { ChangedProduct, ProductChange, ProductStatus, ProductText } from '../model/products.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import type { DeadQuery, StoredAction } from '../model/storedAction.ts';

/**
 * The state: what the log folds to, with the position up to which it was folded, changed in atomic, fenced steps.
 *
 * To whoever writes an adapter, promise this (semantics 4):
 * - **`commit` is one atomic step**, in this order: `meta.commit` of the store is the new id → ALREADY, nothing changes (your
 *   own repeat after a lost reply); owner or previous id differ → FENCED, nothing changes; else everything is written, then
 *   the message is published. No reader sees half of it.
 * - **Only absolute values** are written: a repeat of the same write changes nothing.
 * - **`own`** is itself a compare-and-set on the commit id: of two callers one wins; the other's next commit is FENCED.
 * - **Durability.** A commit may be lost by a crash together with all later ones (the log refolds it), never in part and
 *   never out of order.
 * Not your job: what is in a profile, a slot text or a bundle.
 */
export interface StateStore {
  /**
   * Takes the shard: sets owner, epoch + 1 and a new commit id, and returns the meta that now stands. Creates the shard at position 0
   * if it is not there. Rejects with SHARDS_MISMATCH if the state was made with another N.
   */
  own(shard: number, owner: string, shards: number): Promise<ShardMeta>;
  /** Profiles of visitors, with the commit id they were read under; null: not there. */
  load(
    shard: number,
    visitors: readonly string[],
  ): Promise<{ readonly commit: string; readonly profiles: readonly (StoredVisitor | null)[] }>;
  commit(commit: Commit): Promise<CommitResult>;
  /** Visitors with `wakeAt` ≤ `upTo`, by (wakeAt, visitor's UTF-8 bytes), after the given one, at most `limit`. */
  wakeups(shard: number, query: WakeupQuery): Promise<readonly Wakeup[]>;
  /** The earliest `wakeAt` of the shard; null: none. */
  nextWakeup(shard: number): Promise<number | null>;

  /** For gateways: slot texts with the meta of their shard, each pair from one moment. */
  readSlots(keys: readonly { readonly shard: number; readonly visitor: string }[]): Promise<readonly SlotsRead[]>;
  readProfile(shard: number, visitor: string): Promise<StoredVisitor | null>;
  readMeta(shard: number): Promise<ShardMeta | null>;
  /** All visitors of a shard by UTF-8 bytes, in pages: for exports and comparisons, not for serving. */
  listVisitors(shard: number, after: string | null, limit: number): Promise<readonly string[]>;

  /** Entries by id order of writing, after the given one. */
  readOutbox(shard: number, after: string | null, limit: number): Promise<readonly OutboxEntry[]>;
  /** Removes entries whose delivery was acknowledged. Fenced by owner; false: not the owner any more. */
  drained(shard: number, owner: string, ids: readonly string[]): Promise<boolean>;
  /**
   * Removes all of a shard but its meta and its actions, in steps that hold nobody up. Only while `meta.rebuilding` stands: then nobody reads what is left.
   * Fenced by owner; false: not the owner any more. What was begun and not ended is done by the next call.
   */
  clear(shard: number, owner: string): Promise<boolean>;
  /** Which visitors the snapshot does not have yet; absent: nothing is noted of `Commit.changed`. */
  readonly snapshots?: SnapshotState;
  /** Newest first. */
  readFailed(query: {
    readonly shard: number;
    readonly before: string | null;
    readonly limit: number;
  }): Promise<readonly FailedEvent[]>;
  /** null: there never was one, it was retried, or others have taken its place. */
  readFailedAt(shard: number, position: string): Promise<FailedEvent | null>;
  /** Messages on their way (semantics 9.3). */
  readonly actions: ActionTable;

  /** Bundles (playbooks, catalogs) by content hash; putting the same again does nothing. */
  putBundle(hash: string, text: string): Promise<void>;
  readBundle(hash: string): Promise<string | null>;
  /** Products that were imported. */
  readonly products: ProductState;
  close(): Promise<void>;
}

/**
 * Products as they were imported last, by id, and what the shards are to run of them (semantics 6.2). They belong to no shard: whoever shows a
 * product reads them at once, and the fold only as snapshots, which are bundles. To whoever writes an adapter, promise this besides:
 * - **`put` is one atomic step**, and durable when it is answered. A product that is there with the same text keeps its revision.
 * - **Revisions rise**: whoever goes on after the last revision that it saw misses no change.
 * - **`publish` is a compare-and-set**: of two callers that name the same `previous` one wins, and the other is answered false.
 */
export interface ProductState {
  /** What became of each, in the order given; one that is given twice is written twice. */
  put(products: readonly ProductText[]): Promise<readonly ProductChange[]>;
  /** Texts in the order of the ids; null: not there. */
  read(ids: readonly string[]): Promise<readonly (string | null)[]>;
  /** Products by the revision of their last change, after the given one (0: from the first), at most `limit`. Each text is at least as new. */
  readChanged(after: number, limit: number): Promise<readonly ChangedProduct[]>;
  status(): Promise<ProductStatus>;
  /** Replaces what is published if `previous` stands (null: nothing was ever published); also true if `next` stands already. */
  publish(previous: string | null, next: string): Promise<boolean>;
}

/**
 * What became of the orders of a shard. Not a part of `commit`: an order leaves the outbox for this table, and what happens then does not
 * follow from the log. Writes are fenced by owner, each call is one step, and only absolute values are written.
 */
export interface ActionTable {
  /**
   * Puts actions that are new here. One whose id is known changes nothing, but for a dead one that an order with a larger `redriven`
   * drives again. Answers the ids that were put; null: not the owner any more.
   */
  accept(shard: number, owner: string, actions: readonly StoredAction[]): Promise<readonly string[] | null>;
  /**
   * Sets actions as they are now; of one id the last given stands. False: not the owner any more. When it resolves, what is `attempting`
   * outlives the process, and as much of the machine as the engine is set to outlive.
   */
  write(shard: number, owner: string, actions: readonly StoredAction[]): Promise<boolean>;
  /** What waits, is being attempted, or was not told yet, by id, after the given one. Fewer than `limit` are all. */
  readPending(shard: number, after: string | null, limit: number): Promise<readonly StoredAction[]>;
  /** Dead letters, the last changed first (of one moment: by id, downwards), before the given one. Of many the oldest leave. */
  readDead(query: DeadQuery): Promise<readonly StoredAction[]>;
  /** null: there is no dead letter of this id. */
  readDeadOf(shard: number, id: string): Promise<StoredAction | null>;
}

/** What a snapshot outside of the state has and lacks (semantics 4.7). */
export interface SnapshotState {
  /** Visitors that the snapshot lacks, the longest unchanged first, with the meta, both as they stand now. Fewer than `limit` are all. */
  readChanged(
    shard: number,
    limit: number,
  ): Promise<{ readonly meta: ShardMeta | null; readonly visitors: readonly ChangedVisitor[] }>;
  /** Fenced by owner; false: not the owner any more. */
  noteSnapshot(shard: number, owner: string, note: SnapshotNote): Promise<boolean>;
  /** The last marker noted; null: none. */
  readMarker(shard: number): Promise<string | null>;
}

export interface ChangedVisitor {
  readonly visitor: string;
  /** The commit that changed it last. */
  readonly change: number;
  /** null: the visitor is gone. */
  readonly stored: StoredVisitor | null;
}

export interface SnapshotNote {
  /** In the snapshot as they were read: changed no longer, unless they were changed again. */
  readonly written: readonly ChangedVisitor[];
  /** To be written again, as if commit `change` had changed them. */
  readonly again: readonly string[];
  readonly change: number;
  readonly marker?: string;
}

export type CommitResult = 'DONE' | 'ALREADY' | 'FENCED';

export interface StoredVisitor {
  readonly profile: string;
  readonly slots: string;
}

export interface Wakeup {
  readonly at: number;
  readonly visitor: string;
}

export interface WakeupQuery {
  /** `wall`: by wakeAt. `historic`: by historicDue. */
  readonly by: 'wall' | 'historic';
  readonly upTo: number;
  readonly after: Wakeup | null;
  readonly limit: number;
}

export interface SlotsRead {
  readonly meta: ShardMeta | null;
  readonly slots: string | null;
}
