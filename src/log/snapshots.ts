/**
 * Whole visitors beside the log (semantics 4.7): a part for each shard, in which a newer entry replaces older ones of its key.
 *
 * To whoever writes an adapter, promise this:
 * - **Written is kept**, as the log's records are. A rejection says nothing: the caller writes all of it again.
 * - **Order.** A part is read in the order it was written, by whomever.
 * - **Nobody writes unseen.** A write tells what others have put between its `from` and itself: a former owner of the shard may have had
 *   something on its way. An older entry is not removed before an hour after the newer one, so there is time to mend it.
 * Not your job: what is in an entry, who may write.
 */
export interface Snapshots {
  /** `from`: the end of the part as the caller knows it. @throws UsherError OUTPUT_UNAVAILABLE */
  write(shard: number, from: number, entries: readonly SnapshotEntry[]): Promise<SnapshotWritten>;
  /** The part from its beginning to where it ends at the call, in pieces, each with its own end. @throws UsherError LOG_UNAVAILABLE */
  read(shard: number): AsyncIterable<{ readonly entries: readonly SnapshotEntry[]; readonly end: number }>;
  close(): Promise<void>;
}

export interface SnapshotEntry {
  readonly key: string;
  readonly value: string;
}

export interface SnapshotWritten {
  readonly end: number;
  /** Keys of entries at or after `from` that are not of this write. */
  readonly foreign: readonly string[];
}
