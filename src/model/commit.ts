import type { Json } from './json.ts';
import type { ShardMeta } from './shardMeta.ts';

/** One atomic step of a shard's state (semantics 4.1): all of it, or none. The same value for every store. */
export interface Commit {
  /** `meta.commit` is the new id; `meta.owner` must be the store's. */
  readonly meta: ShardMeta;
  /** The id that the store must hold for this commit to be the next. */
  readonly previous: string;
  readonly visitors: readonly VisitorWrite[];
  readonly outbox: readonly OutboxEntry[];
  readonly failed: readonly FailedEvent[];
  /** Positions of failed events of earlier commits that are failed events no longer; removed before `failed` is written. */
  readonly retried: readonly string[];
  /** The visitors written are noted as changed by commit `meta.commits`, for the snapshot (semantics 4.7). */
  readonly changed?: true;
  /** Published after the write, never before. */
  readonly message: CommitMessage;
}

/** Absolute values of all that is stored of one visitor; a null profile removes the visitor. */
export interface VisitorWrite {
  readonly visitor: string;
  readonly profile: string | null;
  readonly slots: string | null;
  /** The smallest wallDue among its timers: when the shard must look at this visitor; null: never. */
  readonly wakeAt: number | null;
  /** For a historic visitor the smallest due among its timers, which `advance` looks for; else null. */
  readonly historicDue: number | null;
  /** Its session has ended: it may stay as it is for months, so a store may take its time to make it small. */
  readonly atRest?: boolean;
}

/** The topic of events that rules append: each goes to the log, to the shard of its key. */
export const logTopic = 'log';

/** The same for merges and forwards, which must come into the log in their order (semantics 8.2). */
export const movesTopic = 'moves';

/** What other systems are told; leaves the outbox when its topic has it (semantics 9.1). */
export interface OutboxEntry {
  /** `<offset>-<n>`: the same however batches are cut. */
  readonly id: string;
  /** Without the namespace: `decisions`, `failed`; or `logTopic`, `movesTopic`. */
  readonly topic: string;
  readonly key: string;
  readonly value: string;
}

/** A record, or a firing, that could not be folded (semantics 1.5); kept so that it can be corrected and retried. */
export interface FailedEvent {
  /** `shard:offset`, with `#n` where one record failed in several ways. */
  readonly position: string;
  readonly reason: FailureReason;
  /** What was expected, what came. */
  readonly detail: string;
  readonly visitor: string | null;
  readonly type: string | null;
  /** T of its record, ms. */
  readonly failedAt: number;
  /** The record as appended, cut at 32 kB. */
  readonly value: string;
}
export const failureReasons = [
  'UNREADABLE',
  'UNKNOWN_KIND',
  'WRONG_SHARD',
  'BEYOND_WINDOW',
  'PRICE_UNKNOWN',
  'IMPORT_INTO_LIVE',
  'INPUT_INVALID',
  'FOLD_ERROR',
  'FIRING_ERROR',
] as const;
export type FailureReason = (typeof failureReasons)[number];

/** What subscribers of a shard are told: one message a commit, also when no slot changed (semantics 7.2). */
export interface CommitMessage {
  readonly shard: number;
  readonly commit: string;
  readonly lineage: string;
  readonly position: number;
  readonly appendTime: number;
  /** The visitors whose slots changed or whose held records did; `slots` is the text that the store keeps. */
  readonly visitors: readonly { readonly visitor: string; readonly version: number; readonly slots: string | null }[];
  /** What the fold did with each record and timer, in order; at most 64, for people who watch. */
  readonly activity: readonly Activity[];
  /** Wall clock, ms with fractions: when the batch was taken from the log, when it was folded. */
  readonly takenAt: number;
  readonly foldedAt: number;
}

/** One line of `usher tail`. */
export interface Activity {
  readonly visitor: string;
  readonly offset: number;
  readonly what:
    | 'folded'
    | 'duplicate'
    | 'held'
    | 'failed'
    | 'timer'
    | 'touched'
    | 'identified'
    | 'merged'
    | 'forwarded';
  readonly eventId: string | null;
  /** Event type, or the timer's `what key…`. */
  readonly type: string;
  /** Event time, or the timer's due. */
  readonly at: number;
  readonly appendTime: number;
  readonly receivedAt: number | null;
  readonly rules: readonly string[];
  readonly slots: readonly string[];
  /** Segments entered, `+ID`, and left, `-ID`. */
  readonly segments: readonly string[];
  /** The reason of a failure. */
  readonly detail: string | null;
  readonly properties: { readonly [name: string]: Json } | null;
}
