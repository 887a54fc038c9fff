import { recordBytesMax } from '../model/record.ts';

/** What one request, one connection and one process may ask of the gateway. docs/config.md lists them; each has tests on both sides. */
export const limits = {
  /** UTF-8 bytes of an event's record in the log. */
  eventBytes: recordBytesMax,
  /** UTF-8 bytes of a request body that has no trackEvents or upsertProducts in it. */
  requestBytes: 64_000,
  /** UTF-8 bytes of a request body that has. */
  batchBytes: 512_000,
  /** Events of one trackEvents. */
  batchEvents: 500,
  /** Products of one upsertProducts, and of all that are imported. */
  batchProducts: 500,
  products: 200_000,
  productIdChars: 256,
  /** UTF-16 units of each of a product's other texts. */
  productTextChars: 2_000,
  /** Major units. */
  productPrice: 1_000_000_000,
  /** Nested selections of an operation, introspection apart. */
  queryDepth: 8,
  /** Lexical tokens of a document. */
  queryTokens: 1_000,
  /** Fields with an alias in an operation, fragments included: also how often one request can repeat trackEvent. */
  aliases: 15,
  /** Slot names of one call. */
  names: 50,
  /** UTF-16 units of each text of an event's context. */
  contextChars: 2_048,
  sourceChars: 64,
  /** Numbers told as skipped by one event (semantics 2.2). */
  skipped: 16,
  /** The longest waitMs. */
  waitMs: 10_000,
  /** Records that may wait for the log, and their UTF-16 units; beyond either: OVERLOADED. */
  queuedAppends: 20_000,
  queuedChars: 32_000_000,
  /** Records of one append call. */
  appendRecords: 2_000,
  /** Append calls under way: one being written and one that waits, so that the log never does; more would only be smaller. */
  appendsInFlight: 2,
  /** Records of a shard that may wait to be folded; beyond: OVERLOADED. */
  lagRecords: 20_000,
  /** What OVERLOADED asks callers to wait. */
  retryAfterMs: 500,
  /** Visitors whose slots are read by one command. */
  readVisitors: 100,
  /** Parsed and validated documents kept. */
  documents: 1_000,
  /** Verified tokens kept. */
  tokens: 20_000,
  /** Tokens of identify of which it is known who showed them first. */
  identityTokens: 100_000,
  /** User-Agent texts whose device is kept. */
  userAgents: 2_000,
  /** Visitors whose last `touched` is remembered. */
  touched: 20_000,
  /** At most one `touched` a visitor in this time. */
  touchedEveryMs: 60_000,
  /** Visitors whose last slots are kept for the time when the state does not answer, and the memory they may take. */
  lastKnownVisitors: 50_000,
  lastKnownBytes: 64_000_000,
  /** A log that did not tell where it ends is left alone for this long. */
  logAskPauseMs: 1_000,
  /** What is on its way to the log may take this much longer than the deadline, so that the log's own word about it can come. */
  appendGraceMs: 100,
  /** Subscriptions of one socket. */
  subscriptions: 20,
  /** Bytes of one WebSocket message. */
  messageBytes: 64_000,
  /** Time for connectionInit. */
  initMs: 3_000,
  /** Between two pings; a peer that does not answer until the next one is dropped. */
  pingMs: 12_000,
  /** Activities that wait for a slow reader; the oldest are dropped and counted. */
  queuedActivities: 1_000,
  /** For the headers, and for the whole of a request to arrive; slower ones are cut off. */
  headersMs: 10_000,
  requestMs: 30_000,
  /** How long a connection may idle: longer than load balancers let theirs (60 s is usual), so that none is closed while a request is on its way. */
  idleConnectionMs: 75_000,
  /** Open connections of the process. */
  connections: 20_000,
  /** Visitors of one page of `visitors`, failed events of one page of `failedEvents`. */
  page: 500,
} as const;
