import { backoffMs } from './backoff.ts';
import { operations, post, requestBody } from './graphql.ts';
import { type EventRecord, Line, moveTo, type Pending } from './line.ts';
import { type TrackCounts, type TrackOutcome, tokenCodes, UsherClientError } from './types.ts';
import type { TokenSource } from './visit.ts';

export const trackerLimits = {
  /** Events that wait, and the bytes of their JSON; the next one is refused with QUEUE_FULL. The oldest are kept: what came first explains what follows. */
  queueEvents: 1_000,
  queueBytes: 1_000_000,
  /** One event's JSON; the server takes no larger one. */
  eventBytes: 32_000,
  /** One request. */
  batchEvents: 100,
  batchBytes: 400_000,
  /** One request that may outlive its page: browsers allow 64 kB. */
  keepaliveBytes: 60_000,
  /** `skipped` numbers a record may carry (semantics 2.2). */
  skippedPerEvent: 16,
  requestTimeoutMs: 10_000,
  retry: { firstMs: 250, maxMs: 30_000 },
} as const;

interface Outcome {
  readonly id: string;
  readonly status: 'ACCEPTED' | 'REFUSED' | 'UNKNOWN';
  readonly cursor: string | null;
  readonly error: {
    code: string;
    message: string;
    hint: string | null;
    retryable: boolean;
    retryAfterMs: number | null;
  } | null;
}

/**
 * Sends events in their order: numbered when they are queued, at most one request in flight, and what gathers meanwhile is the
 * next request. What is not known to be recorded is sent again under the same id and number, which the server counts once.
 * A number that was refused for good is told as `skipped`, so that no later event waits for it.
 */
export class Tracker {
  readonly #url: string;
  readonly #tokens: TokenSource;
  readonly #onError: (error: UsherClientError) => void;
  readonly #idle: (() => void)[] = [];
  #line = new Line();
  /** In order of their numbers; those in flight stay in it until they are settled. */
  #queue: Pending[] = [];
  #queueBytes = 0;
  #running = false;
  #wake: (() => void) | null = null;
  #batchEvents: number = trackerLimits.batchEvents;
  #accepted = 0;
  #refused = 0;
  #dropped = 0;
  #closed = false;

  constructor(url: string, tokens: TokenSource, onError: (error: UsherClientError) => void) {
    this.#url = url;
    this.#tokens = tokens;
    this.#onError = onError;
  }

  add(record: EventRecord): Promise<TrackOutcome> {
    const bytes = utf8Bytes(JSON.stringify(record));
    const problem = this.#problemWith(bytes);
    if (problem !== null) {
      if (problem.code === 'QUEUE_FULL') this.#dropped++;
      else this.#refused++;
      this.#onError(problem);
      return Promise.resolve({ id: record.id, status: 'REFUSED', error: problem });
    }
    return new Promise((settle) => {
      const line = this.#line;
      this.#queue.push({ record, line, sequence: line.next(), skipped: [], sent: false, bytes, settle });
      this.#queueBytes += bytes;
      void this.#run();
    });
  }

  #problemWith(bytes: number): UsherClientError | null {
    if (this.#closed) return new UsherClientError('CLOSED', 'this Usher client was closed');
    if (bytes > trackerLimits.eventBytes) {
      return new UsherClientError(
        'EVENT_TOO_LARGE',
        `the event is ${bytes} bytes; expected at most ${trackerLimits.eventBytes}`,
      );
    }
    if (this.#queue.length >= trackerLimits.queueEvents || this.#queueBytes + bytes > trackerLimits.queueBytes) {
      return new UsherClientError('QUEUE_FULL', `${this.#queue.length} events wait to be sent; this one was dropped`);
    }
    return null;
  }

  counts(): TrackCounts {
    return { waiting: this.#queue.length, accepted: this.#accepted, refused: this.#refused, dropped: this.#dropped };
  }

  /** Resolves when every event queued so far is settled. */
  flush(): Promise<void> {
    this.retryNow();
    return this.#queue.length === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** The network is back, or somebody waits: do not sit out the pause. */
  retryNow(): void {
    this.#wake?.();
  }

  /**
   * The page is leaving. Everything unsettled goes out once more in one request that outlives the page, also what is in
   * flight: the browser may cut that one off, and a second copy is not counted.
   */
  leave(): void {
    for (const line of new Set(this.#queue.map((pending) => pending.line))) {
      const token = line.token ?? this.#tokens.current();
      if (token === null) continue;
      const batch = this.#take(line, trackerLimits.keepaliveBytes);
      void this.#send(line, batch, token, true).catch(() => {});
    }
  }

  close(): void {
    this.#closed = true;
    for (const pending of this.#queue) {
      pending.settle({
        id: pending.record.id,
        status: 'REFUSED',
        error: new UsherClientError('CLOSED', 'closed before it was sent'),
      });
    }
    this.#queue = [];
    this.#queueBytes = 0;
    this.#wake?.();
    this.#tellIdle();
  }

  /**
   * Another visitor is here from now on.
   * @param sendAs the token of the one before, as whom what waits is sent first; null: there is none, and what waits is the new one's
   */
  newVisitor(sendAs: string | null): void {
    const before = this.#line;
    this.#line = new Line();
    if (sendAs === null) this.#moveOn(before);
    else before.token = sendAs;
  }

  #moveOn(line: Line): void {
    for (const pending of this.#queue) if (pending.line === line) moveTo(pending, this.#line);
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    // What is tracked in the same turn of the event loop travels together.
    await Promise.resolve();
    let failures = 0;
    while (this.#queue.length > 0) {
      const problem = await this.#sendNext();
      if (problem === null) {
        failures = 0;
        continue;
      }
      const pauseMs = Math.max(backoffMs(failures++, trackerLimits.retry), problem.retryAfterMs ?? 0);
      await this.#pause(Math.min(pauseMs, trackerLimits.retry.maxMs));
    }
    this.#running = false;
    this.#tellIdle();
  }

  /** null: something was settled, go on at once; else why it has to be tried again after a pause. */
  async #sendNext(): Promise<UsherClientError | null> {
    const { line } = this.#queue[0]!;
    let token: string;
    try {
      token = line.token ?? (await this.#tokens.get());
    } catch (error) {
      return asClientError(error);
    }
    // Meanwhile another visitor may have come, and the token may be theirs.
    if (this.#queue[0]?.line !== line) return null;
    token = line.token ?? token;
    const batch = this.#take(line, trackerLimits.batchBytes);
    try {
      return await this.#send(line, batch, token, isHidden());
    } catch (error) {
      const problem = asClientError(error);
      if (problem.retryable) return problem;
      // A second refusal in a row would come at once: the pause keeps a broken token function from becoming a storm.
      // For who was here before there is no other token, and what they did is not the next one's.
      const mayHaveAnother = tokenCodes.has(problem.code) && line.token === null;
      if (mayHaveAnother && this.#tokens.reject(token, problem.code)) return problem;
      if (/_TOO_LARGE$/.test(problem.code) && batch.length > 1) {
        this.#batchEvents = Math.ceil(batch.length / 2);
        return null;
      }
      for (const pending of batch) this.#settle(pending, { id: pending.record.id, status: 'REFUSED', error: problem });
      return null;
    }
  }

  #take(line: Line, maxBytes: number): Pending[] {
    const batch: Pending[] = [];
    let bytes = 200;
    for (const pending of this.#queue) {
      if (pending.line !== line) continue;
      // ~100 bytes of source, number and skipped come on top of the record.
      bytes += pending.bytes + 100;
      if (batch.length > 0 && (bytes > maxBytes || batch.length >= this.#batchEvents)) break;
      if (!pending.sent && line.untold.length > 0)
        pending.skipped = line.untold.splice(0, trackerLimits.skippedPerEvent);
      pending.sent = true;
      batch.push(pending);
    }
    return batch;
  }

  async #send(
    line: Line,
    batch: readonly Pending[],
    token: string,
    keepalive: boolean,
  ): Promise<UsherClientError | null> {
    const { source } = line;
    const events = batch.map(({ record, sequence, skipped }) => ({
      ...record,
      source,
      sequence,
      ...(skipped.length > 0 ? { skipped } : {}),
    }));
    const body = requestBody(operations.trackEvents, { input: { events, sentAt: new Date().toISOString() } });
    const { data } = await post<{ trackEvents: { outcomes: Outcome[] } }>(this.#url, body, {
      token,
      timeoutMs: trackerLimits.requestTimeoutMs,
      keepalive: keepalive && utf8Bytes(body) <= trackerLimits.keepaliveBytes,
    });
    // Answers of an earlier source name the same ids, but refused numbers of it must not be told under the new one.
    if (batch.some((pending) => pending.line !== line)) return null;
    let again: UsherClientError | null = null;
    const byId = new Map(data!.trackEvents.outcomes.map((outcome) => [outcome.id.toLowerCase(), outcome]));
    for (const pending of batch) {
      const outcome = byId.get(pending.record.id.toLowerCase());
      if (outcome?.status === 'ACCEPTED') {
        this.#settle(pending, { id: pending.record.id, status: 'ACCEPTED', cursor: outcome.cursor });
        continue;
      }
      const error = new UsherClientError(
        outcome?.error?.code ?? 'UNKNOWN',
        outcome?.error?.message ?? 'the answer does not say what became of the event',
        outcome?.error ?? {},
      );
      if (outcome?.status === 'REFUSED' && !error.retryable) {
        this.#settle(pending, { id: pending.record.id, status: 'REFUSED', error });
      } else if (again === null || (error.retryAfterMs ?? 0) > (again.retryAfterMs ?? 0)) {
        again = error;
      }
    }
    return again;
  }

  #settle(pending: Pending, outcome: TrackOutcome): void {
    const at = this.#queue.indexOf(pending);
    if (at === -1) return;
    this.#queue.splice(at, 1);
    this.#queueBytes -= pending.bytes;
    if (outcome.status === 'ACCEPTED') {
      this.#accepted++;
    } else {
      this.#refused++;
      pending.line.untold.push(...pending.skipped, pending.sequence);
      this.#onError(outcome.error);
    }
    pending.settle(outcome);
  }

  #pause(ms: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).then(() => {
      this.#wake = null;
    });
  }

  #tellIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

export function asClientError(error: unknown): UsherClientError {
  return error instanceof UsherClientError
    ? error
    : new UsherClientError('INTERNAL', String(error), { retryable: false });
}

function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}

function isHidden(): boolean {
  return typeof document !== 'undefined' && document.visibilityState === 'hidden';
}
