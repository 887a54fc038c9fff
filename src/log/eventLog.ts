import type { LogRecord } from '../model/record.ts';

/**
 * The log: one ordered list of records a shard, the truth from which all state is folded.
 *
 * To whoever writes an adapter, promise this:
 * - **Accepted is kept.** An outcome with an offset means that the record survives power loss as far as the engine can
 *   promise it (SQLite `synchronous=FULL`, Kafka `acks=-1`).
 * - **Offsets of a shard grow** and are never given twice. They may have gaps (Kafka's transaction markers).
 * - **Order.** Entries of one `append` call that go to the same shard keep their order; calls are ordered as they were made.
 * - **Stamps** are the log's clock at the append, integer ms; they may go back.
 * - **No wait is endless.** An append answers within its deadline; if it is not known whether the record was written, the
 *   outcome is UNKNOWN, never a guess.
 * Not your job: checking what is in a record, duplicates, retries.
 */
export interface EventLog {
  /** N, fixed for the life of the log (semantics 1.1). */
  readonly shards: number;
  /** One outcome an entry, in the entries' order; never rejects. */
  append(entries: readonly AppendEntry[]): Promise<readonly AppendOutcome[]>;
  /** Takes part in sharing the shards. Embedded: all of them are assigned at once. */
  join(member: LogMember): Promise<LogMembership>;
  /** Offset of the first record still there, and of the next to be written. */
  bounds(shard: number): Promise<{ readonly low: number; readonly end: number }>;
  /** The record at this offset; null if it never was or is trimmed. */
  readAt(shard: number, offset: number): Promise<LogRecord | null>;
  /**
   * Up to where members have told (`ShardFeed.folded`) that the shard is folded, as far as the log remembers; it trails by seconds, and
   * may be too small, never too large. Absent where log and state are lost only together.
   */
  foldedTo?(shard: number): Promise<number>;
  /** Finishes the appends in flight, then closes; an append after that answers LOG_UNAVAILABLE. */
  close(): Promise<void>;
}

export interface AppendEntry {
  readonly shard: number;
  /** The visitor; null for records that concern the whole shard. */
  readonly key: string | null;
  readonly value: string;
}

export type AppendOutcome =
  | { readonly ok: true; readonly offset: number; readonly stamp: number }
  | { readonly ok: false; readonly code: 'LOG_UNAVAILABLE' | 'LOG_FULL' | 'UNKNOWN'; readonly message: string };

/** What the log tells a member, one call at a time a shard. */
export interface LogMember {
  /** The shard is this member's: own the state, then `feed.open`. Called again after a revocation. */
  assigned(feed: ShardFeed): void;
  /** The shard is no longer this member's, or may not be: stop, without another commit if possible. */
  revoked(shard: number): void;
}

export interface LogMembership {
  /** Leaves the group; every feed ends. */
  leave(): Promise<void>;
}

/** The records of one shard, for as long as it is assigned. */
export interface ShardFeed {
  readonly shard: number;
  /** Aborted when the shard is revoked or the log closed; `take` then answers no records. */
  readonly signal: AbortSignal;
  /** Where to begin. Rejects with LOG_NO_LONGER_REACHES if records from there on are trimmed, LOG_MISMATCH if beyond the end. */
  open(offset: number): Promise<void>;
  /**
   * The next records in offset order, at most `limit.records` and about `limit.bytes`. Waits until there is one, at most
   * `waitMs`; `[]` then, or after `wake`. A record handed over is not handed over again unless `open` says so.
   */
  take(limit: { readonly records: number; readonly bytes: number }, waitMs: number): Promise<readonly LogRecord[]>;
  /** Ends a waiting `take` early. */
  wake(): void;
  /** Everything below is in the state: what the log may trim, and what Kafka's committed offsets trail. */
  folded(offset: number): void;
  /**
   * Resolves when the log has confirmed, after this call, that the shard is still this member's, or when the feed ends. Who was fenced
   * waits for it before owning again (semantics 4.2). Absent where a shard is never shared.
   */
  confirmed?(): Promise<void>;
}
