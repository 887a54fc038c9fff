/**
 * Topics for other systems, which follow from the log and the state and take no part in either (semantics 1.4, 9.1).
 *
 * To whoever writes an adapter, promise this:
 * - **Written is kept.** `write` resolves when every entry is acknowledged as the log's records are (Kafka `acks=-1`).
 * - **A rejection says nothing**: any of the entries may be there. The caller writes all of them again.
 * - **Order.** Entries of one call that have the same key keep their order. Callers wait for a call before they make the next one that
 *   must come after it.
 * - **No wait is endless.** A call resolves or rejects within its deadline.
 * Not your job: what is in an entry, repeats, back-off.
 */
export interface Outputs {
  /** @throws UsherError OUTPUT_UNAVAILABLE */
  write(topic: string, entries: readonly OutputEntry[]): Promise<void>;
  /** Finishes the writes in flight, then closes. */
  close(): Promise<void>;
}

export interface OutputEntry {
  /** Entries with the same key are read in the order they were written. */
  readonly key: string;
  readonly value: string;
  readonly headers?: Readonly<Record<string, string>>;
}
