/** Every bound of the embedded file. `openSqlite({ limits })` overrides single ones, which tests use. */
export interface SqliteLimits {
  /** Appends that wait for the writer, in flight included; what is beyond is refused with LOG_UNAVAILABLE. */
  readonly waitingEntries: number;
  /** The same in UTF-16 units of keys and values. */
  readonly waitingSize: number;
  /** Appends sent to the writer in one message; what waits longer becomes the next one. */
  readonly batchEntries: number;
  /** Append messages at the writer at once. Two: one in its fsync, one ready to follow. */
  readonly appendsInFlight: number;
  /** Other writes (commits and the rest) at the writer at once; what is beyond is refused with STATE_UNAVAILABLE. */
  readonly requestsInFlight: number;
  /** Messages that the writer gathers into one transaction. */
  readonly messagesPerTransaction: number;
  /** Just appended records kept in memory for the feeds, in UTF-16 units, over all shards; the rest is read from the file. */
  readonly tailSize: number;
  /** Records removed by one trimming transaction, so that no append waits long behind it. */
  readonly trimRows: number;
  /** How often the log is trimmed, ms. */
  readonly trimEveryMs: number;
  /** Failed events kept a shard; the oldest leave. */
  readonly failedEvents: number;
  /** Dead letters kept a shard; the oldest leave. */
  readonly deadLetters: number;
  /** Ids of actions that are over, kept a shard: more than one write of the outbox has, which is what may come again. */
  readonly doneActions: number;
  /** WAL frames (4 kB each) after which the writer copies them into the file when nothing waits, and when something does. */
  readonly idleCheckpointFrames: number;
  readonly busyCheckpointFrames: number;
  /** Files up to this size are checked whole when they are opened, bytes. */
  readonly checkedBytes: number;
  /** How long opening waits for the writer thread, ms. */
  readonly openDeadlineMs: number;
}

export const sqliteLimits: SqliteLimits = {
  waitingEntries: 50_000,
  waitingSize: 64_000_000,
  batchEntries: 4_096,
  appendsInFlight: 2,
  requestsInFlight: 4_096,
  messagesPerTransaction: 64,
  tailSize: 32_000_000,
  trimRows: 2_000,
  trimEveryMs: 10_000,
  failedEvents: 10_000,
  deadLetters: 10_000,
  doneActions: 10_000,
  idleCheckpointFrames: 1_000,
  busyCheckpointFrames: 8_000,
  checkedBytes: 64_000_000,
  openDeadlineMs: 30_000,
};
