/**
 * Records of topics that other programs write, to be taken into the log.
 *
 * To whoever writes an adapter, promise this:
 * - **Nothing is passed over.** A batch's place is remembered only after `take` has resolved; a batch that was not remembered,
 *   because of a crash or another process that took over, is handed over again, perhaps to that process.
 * - **Order.** Records of one partition come in the order of their offsets, and one batch of a partition at a time.
 * - **All that can be written comes**: records without key or value, and bytes that are no text.
 * - **A topic that is not there** is waited for, and told of; it keeps no other topic waiting.
 * Not your job: what is in a record, duplicates.
 */
export interface Inputs {
  /** Hands over batches until `stop`. */
  start(reader: InputReader): void;
  /** Ends after the batches in hand are taken, or their signals aborted. */
  stop(): Promise<void>;
}

export interface InputReader {
  /** Resolves when the log has all of it; rejects only when the signal is aborted. */
  take(batch: InputBatch): Promise<void>;
}

export interface InputBatch {
  readonly topic: string;
  readonly partition: number;
  /** At least one, at most 200. */
  readonly records: readonly InputRecord[];
  /** Aborted when the partition is no longer this process's. */
  readonly signal: AbortSignal;
}

export interface InputRecord {
  readonly offset: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** The record's own time, ms since the epoch: its producer's or its broker's. */
  readonly timestamp: number;
}
