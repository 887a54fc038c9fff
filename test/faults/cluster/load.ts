import { setTimeout as sleep } from 'node:timers/promises';
import { GraphqlClient } from '../../../src/cli/client.ts';
import { decodeCursor } from '../../../src/gateway/cursor.ts';
import { type Event, Shoppers } from './shoppers.ts';

/** What became of one event, as its sender knows. */
export interface Journaled {
  readonly event: Event;
  /** Attempts after which it is surely not in the log, and those of which nobody knows. */
  refused: number;
  unknown: number;
  /** Where the log has it; null: it was never accepted. */
  offset: number | null;
  settled: boolean;
}

interface Outcome {
  readonly status: 'ACCEPTED' | 'REFUSED' | 'UNKNOWN';
  readonly cursor: string | null;
  readonly error: { readonly code: string; readonly retryable: boolean } | null;
}

const document = `mutation Track($input: TrackEventsInput!) {
  trackEvents(input: $input) { outcomes { status cursor error { code retryable } } }
}`;
const tickMs = 20;
const batchEvents = 50;
const lanes = 6;
/** A gateway that could not be reached, or did not take events, is left alone for this long. */
const pauseMs = 200;

interface Gateway {
  readonly client: GraphqlClient;
  calls: number;
  notBefore: number;
}

/**
 * Visitors who do not wait for each other (an open loop): so many events a second, whatever becomes of them. Each visitor has one call under
 * way, as the SDK has; what is numbered is sent again under the same id and number, through either gateway, until it is accepted or
 * refused for good. What is not numbered is sent once.
 */
export class Load {
  readonly journal: Journaled[] = [];
  /** The longest time that a call took to be answered, or to be found unanswerable, ms. */
  slowestMs = 0;
  readonly #gateways: readonly Gateway[];
  readonly #perSecond: number;
  readonly #shoppers: Shoppers;
  readonly #queues = new Map<string, Journaled[]>();
  readonly #busy = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  #arrivals: { readonly since: number; made: number } | null = null;

  constructor(options: {
    readonly urls: readonly string[];
    readonly key: string;
    readonly perSecond: number;
    readonly visitors: number;
    readonly seed: number;
  }) {
    this.#gateways = options.urls.map((url) => ({
      client: new GraphqlClient(url, options.key, lanes),
      calls: 0,
      notBefore: 0,
    }));
    this.#perSecond = options.perSecond;
    this.#shoppers = new Shoppers(options.visitors, options.seed);
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  begin(): void {
    this.#arrivals = { since: performance.now(), made: 0 };
  }

  /** No more events come; what is not settled is sent on. */
  end(): void {
    this.#arrivals = null;
  }

  /** Events that wait to be sent, or for an answer. */
  get open(): number {
    return this.journal.length - this.#settled;
  }
  #settled = 0;

  close(): void {
    clearInterval(this.#timer);
    for (const { client } of this.#gateways) client.close();
  }

  async settled(deadlineMs: number): Promise<void> {
    const end = performance.now() + deadlineMs;
    while (this.open > 0) {
      if (performance.now() > end)
        throw new Error(`${this.open} events are not settled ${deadlineMs} ms after the last fault`);
      await sleep(tickMs);
    }
  }

  #tick(): void {
    if (this.#arrivals !== null) {
      const due = Math.floor(((performance.now() - this.#arrivals.since) / 1000) * this.#perSecond);
      for (; this.#arrivals.made < due; this.#arrivals.made++) this.#arrive(this.#shoppers.next());
    }
    for (const gateway of this.#gateways) {
      while (gateway.calls < lanes && performance.now() >= gateway.notBefore) {
        const batch = this.#next();
        if (batch.length === 0) return;
        void this.#send(gateway, batch);
      }
    }
  }

  #arrive(event: Event): void {
    const entry: Journaled = { event, refused: 0, unknown: 0, offset: null, settled: false };
    this.journal.push(entry);
    const { visitorId } = event.visitor;
    const queue = this.#queues.get(visitorId);
    if (queue === undefined) this.#queues.set(visitorId, [entry]);
    else queue.push(entry);
  }

  #next(): Journaled[] {
    const batch: Journaled[] = [];
    for (const [visitor, queue] of this.#queues) {
      if (this.#busy.has(visitor)) continue;
      this.#busy.add(visitor);
      batch.push(...queue.slice(0, batchEvents));
      if (batch.length >= batchEvents) break;
    }
    return batch;
  }

  async #send(gateway: Gateway, batch: readonly Journaled[]): Promise<void> {
    gateway.calls++;
    const startedAt = performance.now();
    const answer = await gateway.client.ask<{ trackEvents: { outcomes: readonly Outcome[] } }>(document, {
      input: { events: batch.map(({ event }) => event) },
    });
    this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAt);
    gateway.calls--;
    const outcomes = answer.kind === 'data' ? answer.data.trackEvents.outcomes : [];
    const surelyNot = answer.kind === 'errors' || (answer.kind === 'unreached' && !answer.sent);
    for (const [i, entry] of batch.entries()) note(entry, outcomes[i] ?? (surelyNot ? 'refused' : 'unknown'));
    if (batch.some(({ settled }) => !settled)) gateway.notBefore = performance.now() + pauseMs;
    for (const visitor of new Set(batch.map(({ event }) => event.visitor.visitorId))) {
      const queue = this.#queues.get(visitor)!.filter(({ settled }) => !settled);
      // To the end, so that everybody has a turn.
      this.#queues.delete(visitor);
      if (queue.length > 0) this.#queues.set(visitor, queue);
      this.#busy.delete(visitor);
    }
    this.#settled += batch.filter(({ settled }) => settled).length;
  }
}

function note(entry: Journaled, outcome: Outcome | 'refused' | 'unknown'): void {
  const isNumbered = entry.event.sequence !== undefined;
  if (outcome === 'unknown' || (outcome !== 'refused' && outcome.status === 'UNKNOWN')) {
    entry.unknown++;
    entry.settled = !isNumbered;
  } else if (outcome === 'refused' || outcome.status === 'REFUSED') {
    entry.refused++;
    entry.settled = !isNumbered || (outcome !== 'refused' && !outcome.error!.retryable);
  } else {
    entry.offset = decodeCursor(outcome.cursor!, entry.event.visitor.visitorId).upTo - 1;
    entry.settled = true;
  }
}
