/** Every bound of the Redis engine. `openRedis({ limits })` overrides single ones, which tests use. */
export interface RedisLimits {
  /** Visitors of one commit (semantics 4.3): a script holds up everybody else while it runs. */
  readonly commitVisitors: number;
  /** So many visitors are packed when the snapshot has them; more at once are a backlog, and are packed when their sessions end. */
  readonly packedVisitors: number;
  /** UTF-8 bytes of what one commit writes, its message apart (semantics 4.3). */
  readonly commitBytes: number;
  /** UTF-8 bytes of one published message; a larger one is told without its visitors, who are then read from the state. */
  readonly messageBytes: number;
  /** Keys read by one command; more are refused where one moment is promised, else split. */
  readonly readVisitors: number;
  /** Visitors whose slots are kept as they were last read. */
  readonly unpackedSlots: number;
  /** Visitors kept of one walk through a shard's keys, so that the next page needs no walk of its own. */
  readonly listedVisitors: number;
  /** Keys that one step of such a walk looks at. */
  readonly scanKeys: number;
  /** Failed events kept a shard; the oldest leave. */
  readonly failedEvents: number;
  /** Dead letters kept a shard; the oldest leave. */
  readonly deadLetters: number;
  /** Ids of actions that are over, kept a shard: more than one write of the outbox has, which is what may come again. */
  readonly doneActions: number;
  /** How often taking a shard is tried when others take it at the same moment. */
  readonly ownTries: number;
  /** A command without an answer is given up after this long, ms; it may have been done all the same. */
  readonly commandTimeoutMs: number;
  /** A socket that owes an answer and brings no byte is cut after this long, ms. */
  readonly socketTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Wait before connecting again, doubled up to the most, half of it by chance, ms. */
  readonly reconnectMs: { readonly first: number; readonly most: number };
  /** How often the subscriber's connection is asked for a sign of life, ms. */
  readonly pingEveryMs: number;
}

export const redisLimits: RedisLimits = {
  commitVisitors: 256,
  packedVisitors: 64,
  commitBytes: 512_000,
  messageBytes: 512_000,
  readVisitors: 2_000,
  unpackedSlots: 10_000,
  listedVisitors: 100_000,
  scanKeys: 1_000,
  failedEvents: 1_000,
  deadLetters: 1_000,
  doneActions: 10_000,
  ownTries: 64,
  commandTimeoutMs: 2_000,
  socketTimeoutMs: 5_000,
  connectTimeoutMs: 5_000,
  reconnectMs: { first: 50, most: 2_000 },
  pingEveryMs: 5_000,
};

/** A visitor's keys outlive its retention by this, ms: reads stop at the retention (semantics 4.5), the keys are garbage after it. */
export const keyGraceMs = 7 * 24 * 3_600_000;
