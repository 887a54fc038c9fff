import { setTimeout as sleep } from 'node:timers/promises';
import { UsherError } from '../../errors.ts';
import type { Answer, GraphqlClient } from '../client.ts';
import { type Queued, VisitorQueue } from './queue.ts';
import type { EventInput, Row } from './row.ts';
import type { Tally } from './tally.ts';

export interface SenderLimits {
  /** Rows a call; the gateway takes 500. */
  readonly batchRows: number;
  /** UTF-8 bytes of a call's events; the gateway takes 512 kB. */
  readonly batchBytes: number;
  /** Calls under way at once. */
  readonly inFlight: number;
  /** Rows read ahead of what is sent. */
  readonly waitingRows: number;
  /** Give up when nothing was settled for this long. */
  readonly patienceMs: number;
}

export const senderLimits: SenderLimits = {
  batchRows: 500,
  batchBytes: 400_000,
  inFlight: 4,
  waitingRows: 10_000,
  patienceMs: 60_000,
};

/** Numbers told as `skipped` in one record; the gateway takes 16. */
const skippedMax = 16;
const backOffMs = { first: 50, most: 2_000 };

interface Item extends Queued {
  readonly number: number;
  readonly event: EventInput;
  readonly text: string;
}

/** What became of an event of a trackEvents. */
export interface SentOutcome {
  readonly status: 'ACCEPTED' | 'REFUSED' | 'UNKNOWN';
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly retryable: boolean;
    readonly retryAfterMs: number | null;
  } | null;
}

const mutation =
  'mutation Replay($input: TrackEventsInput!) { trackEvents(input: $input) { outcomes { status error { code message retryable retryAfterMs } } } }';

/**
 * Sends rows as a client would: a visitor's rows in order, several calls under way, and whatever got no final answer again
 * with the same ids and numbers, so that neither a lost answer nor a server that dies in between loses or doubles anything.
 */
export class Sender {
  readonly #client: GraphqlClient;
  readonly #limits: SenderLimits;
  readonly #tally: Tally;
  readonly #signal: AbortSignal;
  readonly #queue = new VisitorQueue<Item>();
  /** Numbers of refused rows by visitor and source, until the next record of that source tells them. */
  readonly #skipped = new Map<string, number[]>();
  readonly #stop = new AbortController();
  readonly #lanes: Promise<void>[];
  #ended = false;
  #wakeLanes: (() => void)[] = [];
  #wakeReader: (() => void) | null = null;
  readonly #backingOff = new Set<() => void>();
  #lastProgressAt = performance.now();

  constructor(client: GraphqlClient, limits: SenderLimits, tally: Tally, signal: AbortSignal) {
    this.#client = client;
    this.#limits = limits;
    this.#tally = tally;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#signal.addEventListener('abort', () => this.#wakeAll(), { once: true });
    this.#lanes = Array.from({ length: limits.inFlight }, () => this.#lane());
    // Whoever waits in `offer` or `end` gets the reason; a lane's rejection alone must not end the process.
    for (const lane of this.#lanes) {
      lane.catch((error) => this.#stop.abort(error));
    }
  }

  /** Takes one row; waits while enough of them are waiting. Rejects when the replay cannot go on. */
  async offer(row: Row): Promise<void> {
    this.#signal.throwIfAborted();
    this.#queue.push(itemOf(row));
    this.#wakeLanes.shift()?.();
    while (this.#queue.size >= this.#limits.waitingRows) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
      this.#signal.throwIfAborted();
    }
  }

  /** Resolves when every row offered is settled. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#wakeAll();
    await Promise.all(this.#lanes);
  }

  /** Gives up: what is under way is cut off. */
  async abort(reason: unknown): Promise<void> {
    this.#stop.abort(reason);
    await Promise.allSettled(this.#lanes);
  }

  async #lane(): Promise<void> {
    for (;;) {
      this.#signal.throwIfAborted();
      const batch = this.#queue.take({ rows: this.#limits.batchRows, bytes: this.#limits.batchBytes });
      if (batch.length > 0) {
        this.#wakeReader?.();
        await this.#send(batch.map((item) => this.#tellSkipped(item)));
        this.#queue.release(batch);
        this.#wakeAll();
      } else if (this.#ended && this.#queue.size === 0) return;
      else await new Promise<void>((resolve) => this.#wakeLanes.push(resolve));
    }
  }

  #wakeAll(): void {
    this.#wakeReader?.();
    for (const wake of this.#wakeLanes.splice(0)) wake();
  }

  /** The visitor's next record tells which of its numbers will never come. Repeats of it then tell the same. */
  #tellSkipped(item: Item): Item {
    const key = sourceKey(item);
    const skipped = this.#skipped.get(key);
    const own = item.event.skipped ?? [];
    if (skipped === undefined || own.length >= skippedMax) return item;
    const told = skipped.splice(0, skippedMax - own.length);
    if (skipped.length === 0) this.#skipped.delete(key);
    const event = { ...item.event, skipped: [...own, ...told] };
    return { ...item, event, text: JSON.stringify(event) };
  }

  /** Until every row of the batch is settled. */
  async #send(batch: readonly Item[]): Promise<void> {
    let rest = batch;
    let failingSince = 0;
    for (let failures = 0; rest.length > 0; failures++) {
      const startedAt = performance.now();
      this.#tally.calls++;
      const body = `{"query":${JSON.stringify(mutation)},"variables":{"input":{"events":[${rest.map((item) => item.text).join(',')}]}}}`;
      const answer = await this.#client.askBody<{ trackEvents: { outcomes: SentOutcome[] } }>(body, this.#signal);
      if (answer.kind !== 'unreached')
        this.#tally.latency.record(Math.max(1, Math.round((performance.now() - startedAt) * 1000)));
      const before = rest.length;
      const { again, waitMs, why } = this.#settle(rest, answer);
      rest = again;
      if (rest.length < before) {
        this.#lastProgressAt = performance.now();
        failures = 0;
        failingSince = 0;
        for (const wake of this.#backingOff) wake();
      }
      if (rest.length === 0) return;
      failingSince ||= startedAt;
      const idleMs = performance.now() - Math.max(this.#lastProgressAt, failingSince);
      if (idleMs > this.#limits.patienceMs) {
        throw new UsherError(
          'COMMAND_FAILED',
          `nothing was accepted for ${Math.round(idleMs / 1000)} s (--patience); the last answer: ${why}. Run the same again to go on: what was accepted counts once`,
        );
      }
      this.#tally.resent += rest.length;
      const backOff = Math.min(backOffMs.most, backOffMs.first * 2 ** failures) * (0.5 + Math.random());
      if (waitMs !== null) await sleep(waitMs, undefined, { signal: this.#signal });
      else await this.#backOff(backOff);
    }
  }

  /** Waits, but no longer than until another call got through: then the server is back, and there is no point in waiting on. */
  async #backOff(ms: number): Promise<void> {
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#backingOff.add(wake);
    try {
      await sleep(ms, undefined, { signal: AbortSignal.any([this.#signal, woken.signal]) });
    } catch {
      this.#signal.throwIfAborted();
    } finally {
      this.#backingOff.delete(wake);
    }
  }

  /** Counts what is final, and answers what must be sent again. @throws UsherError for a refusal of the whole call that no repeat mends */
  #settle(
    batch: readonly Item[],
    answer: Answer<{ trackEvents: { outcomes: SentOutcome[] } }>,
  ): { again: readonly Item[]; waitMs: number | null; why: string } {
    if (answer.kind === 'unreached') {
      if (answer.sent) this.#tally.brokenCalls++;
      else this.#tally.unreachedCalls++;
      return { again: batch, waitMs: null, why: answer.message };
    }
    if (answer.kind === 'errors') {
      if (!answer.retryable) throw this.#client.errorOf(answer);
      this.#tally.deferred += batch.length;
      return { again: batch, waitMs: answer.retryAfterMs, why: `${answer.code}: ${answer.message}` };
    }
    const { outcomes } = answer.data.trackEvents;
    if (outcomes.length !== batch.length) {
      throw new UsherError(
        'COMMAND_FAILED',
        `${batch.length} events were sent and ${outcomes.length} outcomes came back`,
      );
    }
    const again: Item[] = [];
    let waitMs: number | null = null;
    let why = '';
    batch.forEach((item, i) => {
      const { status, error } = outcomes[i]!;
      if (status === 'ACCEPTED') {
        this.#tally.accepted++;
        this.#tally.settled++;
      } else if (status === 'REFUSED' && error?.retryable !== true) {
        this.#tally.refuse(item.number, error?.code ?? 'REFUSED', error?.message ?? '');
        this.#noteSkipped(item);
      } else {
        if (status === 'UNKNOWN') this.#tally.unknown++;
        else this.#tally.deferred++;
        again.push(item);
        why = `${error?.code ?? status}: ${error?.message ?? ''}`;
        if (error?.retryAfterMs != null) waitMs = Math.max(waitMs ?? 0, error.retryAfterMs);
      }
    });
    return { again, waitMs, why };
  }

  /** A refused record is not in the log, so neither is what it told as skipped: the next one tells that too. */
  #noteSkipped(item: Item): void {
    const { sequence, skipped = [] } = item.event;
    if (sequence === undefined) return;
    const key = sourceKey(item);
    this.#skipped.set(key, [...(this.#skipped.get(key) ?? []), ...skipped, sequence]);
  }
}

function sourceKey({ visitor, event }: Item): string {
  return `${event.source}\n${visitor}`;
}

function itemOf(row: Row): Item {
  const text = JSON.stringify(row.event);
  return { visitor: row.visitor, number: row.number, event: row.event, text, bytes: Buffer.byteLength(text) + 1 };
}
