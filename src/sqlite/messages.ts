import type { ErrorCode } from '../errors.ts';
import type { FailedEvent } from '../model/commit.ts';
import type { StoredAction } from '../model/storedAction.ts';

/**
 * What the main thread and the writer thread say to each other. Records and visitors travel as columns: cloning a few long
 * arrays of strings costs a fraction of cloning an object for each row.
 */
export type WriterMessage = AppendMessage | RequestMessage;

/** Records to append, all in one durable transaction. `shards[i]`, `keys[i]` and `values[i]` are one record. */
export interface AppendMessage {
  readonly what: 'append';
  readonly id: number;
  /** The stamp, if a clock was handed in; null: the writer's clock at the transaction, ms. */
  readonly stamp: number | null;
  readonly shards: readonly number[];
  readonly keys: readonly (string | null)[];
  readonly values: readonly string[];
}

export type RequestMessage =
  | CommitRequest
  | OwnRequest
  | DrainedRequest
  | ClearRequest
  | AcceptActionsRequest
  | WriteActionsRequest
  | PutBundleRequest
  | PutProductsRequest
  | PublishRequest
  | TrimRequest
  | { readonly what: 'sync'; readonly id: number }
  | { readonly what: 'limitBytes'; readonly id: number; readonly bytes: number | null }
  | { readonly what: 'close'; readonly id: number };

export interface CommitRequest {
  readonly what: 'commit';
  readonly id: number;
  readonly shard: number;
  readonly owner: string;
  readonly previous: string;
  readonly commit: string;
  readonly meta: string;
  readonly visitors: readonly string[];
  readonly profiles: readonly (string | null)[];
  readonly slots: readonly (string | null)[];
  readonly wakeAt: readonly (number | null)[];
  readonly historicDue: readonly (number | null)[];
  readonly outbox: readonly OutboxRow[];
  readonly failed: readonly FailedEvent[];
  readonly retried: readonly string[];
}

/** An outbox entry with its id `<offset>-<n>` taken apart, so that the order of writing is the order of the key. */
export interface OutboxRow {
  readonly offset: number;
  readonly n: number;
  readonly topic: string;
  readonly key: string;
  readonly value: string;
}

export interface OwnRequest {
  readonly what: 'own';
  readonly id: number;
  readonly shard: number;
  readonly owner: string;
  readonly commit: string;
  /** For a shard that is not there yet. */
  readonly lineage: string;
}

export interface DrainedRequest {
  readonly what: 'drained';
  readonly id: number;
  readonly shard: number;
  readonly owner: string;
  readonly entries: readonly (readonly [offset: number, n: number])[];
}

/** Answers how many rows went; 0: all are gone; null: not the owner any more, or the shard is not being rebuilt. */
export interface ClearRequest {
  readonly what: 'clear';
  readonly id: number;
  readonly shard: number;
  readonly owner: string;
  /** Rows of each table at most, so that no append waits long behind it. */
  readonly rows: number;
}

/** Actions as columns: of one place in each is one. */
export interface ActionColumns {
  readonly ids: readonly string[];
  readonly states: readonly StoredAction['state'][];
  readonly redriven: readonly number[];
  readonly destinations: readonly string[];
  readonly changedAt: readonly number[];
  readonly pending: readonly number[];
  readonly texts: readonly string[];
}

/** Answers the ids that were put; null: not the owner any more. */
export interface AcceptActionsRequest {
  readonly what: 'acceptActions';
  readonly id: number;
  readonly shard: number;
  readonly owner: string;
  readonly actions: ActionColumns;
}

export interface WriteActionsRequest {
  readonly what: 'writeActions';
  readonly id: number;
  readonly shard: number;
  readonly owner: string;
  readonly actions: ActionColumns;
}

export interface PutBundleRequest {
  readonly what: 'putBundle';
  readonly id: number;
  readonly hash: string;
  readonly text: string;
}

/** Answers what became of each: a ProductChange. */
export interface PutProductsRequest {
  readonly what: 'putProducts';
  readonly id: number;
  readonly ids: readonly string[];
  readonly texts: readonly string[];
}

/** Answers whether `previous` stood, so that `next` now does. */
export interface PublishRequest {
  readonly what: 'publish';
  readonly id: number;
  readonly previous: string | null;
  readonly next: string;
}

export interface TrimRequest {
  readonly what: 'trim';
  readonly id: number;
  /** By shard: records from here on stay. */
  readonly folded: readonly number[];
  /** Records stamped before this go, ms. */
  readonly stampBelow: number;
  /** While the log is larger, the oldest records go. */
  readonly bytes: number;
  readonly maxRows: number;
}

export interface TrimResult {
  readonly removed: number;
  /** First offset still there, by shard. */
  readonly low: readonly number[];
  /** Size of the log that is left, bytes. */
  readonly bytes: number;
  /** Whether `maxRows` ended it early. */
  readonly more: boolean;
}

/** The answer to an append message: where each shard's records of it begin; they follow without a gap. */
export type AppendReply =
  | { readonly id: number; readonly ok: true; readonly stamp: number; readonly first: readonly number[] }
  | {
      readonly id: number;
      readonly ok: false;
      readonly code: 'LOG_UNAVAILABLE' | 'LOG_FULL' | 'UNKNOWN';
      readonly message: string;
    };

export type RequestReply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly code: ErrorCode; readonly message: string };

export interface WriterCounters {
  /** Transactions with fsync that held appends, and records in them. */
  readonly appendTransactions: number;
  readonly appendedRecords: number;
  /** Transactions of the other kind, and commits in them. */
  readonly commitTransactions: number;
  readonly commits: number;
  /** Transactions that only made earlier ones durable. */
  readonly syncs: number;
  readonly checkpoints: number;
}

export type FromWriter =
  | { readonly what: 'ready'; readonly low: readonly number[]; readonly next: readonly number[] }
  | { readonly what: 'refused'; readonly code: ErrorCode; readonly message: string }
  | {
      readonly what: 'done';
      readonly appends: readonly AppendReply[];
      readonly requests: readonly RequestReply[];
      /** Requests up to this id are on the disk: an fsync came after them. */
      readonly durable: number;
      readonly counters: WriterCounters;
    };

export interface WriterData {
  readonly path: string;
  readonly shards: number;
  readonly messagesPerTransaction: number;
  readonly failedEvents: number;
  readonly deadLetters: number;
  readonly doneActions: number;
  readonly idleCheckpointFrames: number;
  readonly busyCheckpointFrames: number;
  readonly checkedBytes: number;
}
