import type { SqliteLimits } from './limits.ts';
import type { AppendReply } from './messages.ts';
import type { Writer } from './writer.ts';

/** One record on its way; has the shape of the log port's entries. */
export interface Entry {
  readonly shard: number;
  readonly key: string | null;
  readonly value: string;
}

export type Refusal = {
  readonly ok: false;
  readonly code: 'LOG_UNAVAILABLE' | 'LOG_FULL' | 'UNKNOWN';
  readonly message: string;
};
export type Outcome = { readonly ok: true; readonly offset: number; readonly stamp: number } | Refusal;

/** One `append` call, or as much of it as fitted: `count` entries of its batch from `from` on. */
interface Call {
  readonly from: number;
  readonly count: number;
  readonly resolve: (outcomes: readonly Outcome[]) => void;
}

interface Batch {
  readonly entries: Entry[];
  readonly calls: Call[];
  size: number;
  timer: NodeJS.Timeout | null;
  /** Whether the writer has it: then nobody knows what becomes of it until it answers. */
  sent: boolean;
}

/**
 * Gathers appends into messages for the writer. While it is in an fsync, what comes waits here and travels together next: that is the
 * group commit. One timer a batch, so that a call costs none; a call that joined late is therefore answered a little early.
 */
export class AppendBatches {
  readonly #writer: Writer;
  readonly #limits: SqliteLimits;
  readonly #deadlineMs: number;
  readonly #now: (() => number) | null;
  readonly #appended: (entries: readonly Entry[], offsets: readonly number[], stamp: number) => void;
  #queue: Batch[] = [];
  #inFlight = 0;
  #entries = 0;
  #size = 0;
  #scheduled = false;
  #idle: (() => void)[] = [];

  /** @param appended is told of records that are in the log, in its order, before their callers are: also those answered UNKNOWN. */
  constructor(options: {
    readonly writer: Writer;
    readonly limits: SqliteLimits;
    readonly deadlineMs: number;
    readonly now: (() => number) | null;
    readonly appended: (entries: readonly Entry[], offsets: readonly number[], stamp: number) => void;
  }) {
    this.#writer = options.writer;
    this.#limits = options.limits;
    this.#deadlineMs = options.deadlineMs;
    this.#now = options.now;
    this.#appended = options.appended;
  }

  /** Never rejects. Entries beyond the limits are refused, those before them go. */
  append(entries: readonly Entry[]): Promise<readonly Outcome[]> {
    const fits = this.#fitting(entries);
    if (fits === 0) return Promise.resolve(entries.map(() => this.#behind()));
    const batch = this.#openBatch(fits);
    const from = batch.entries.length;
    for (let i = 0; i < fits; i++) {
      const entry = entries[i]!;
      batch.entries.push(entry);
      batch.size += sizeOf(entry);
    }
    this.#schedule();
    return new Promise((resolve) => {
      const whole = fits === entries.length;
      const withRefused = (outcomes: readonly Outcome[]) =>
        resolve([...outcomes, ...entries.slice(fits).map(() => this.#behind())]);
      batch.calls.push({ from, count: fits, resolve: whole ? resolve : withRefused });
    });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async idle(): Promise<void> {
    if (this.#entries === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** How many of the entries fit beside what waits; counts them in. */
  #fitting(entries: readonly Entry[]): number {
    const { waitingEntries, waitingSize } = this.#limits;
    let fits = 0;
    for (; fits < entries.length; fits++) {
      const size = sizeOf(entries[fits]!);
      if (this.#entries >= waitingEntries || this.#size + size > waitingSize) break;
      this.#entries++;
      this.#size += size;
    }
    return fits;
  }

  #behind(): Refusal {
    const { waitingEntries, waitingSize } = this.#limits;
    const message = `the log's writer is behind: ${this.#entries} records of ${this.#size} characters wait (limits ${waitingEntries} and ${waitingSize})`;
    return { ok: false, code: 'LOG_UNAVAILABLE', message };
  }

  #openBatch(entries: number): Batch {
    const last = this.#queue[this.#queue.length - 1];
    if (last !== undefined && last.entries.length + entries <= this.#limits.batchEntries) return last;
    const batch: Batch = { entries: [], calls: [], size: 0, timer: null, sent: false };
    batch.timer = setTimeout(() => this.#late(batch), this.#deadlineMs);
    this.#queue.push(batch);
    return batch;
  }

  /** After the callers of this turn have all had theirs, so that they share a message. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    while (this.#inFlight < this.#limits.appendsInFlight && this.#queue.length > 0) {
      const batch = this.#queue.shift()!;
      const { entries } = batch;
      batch.sent = true;
      this.#inFlight++;
      const shards = new Array<number>(entries.length);
      const keys = new Array<string | null>(entries.length);
      const values = new Array<string>(entries.length);
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i]!;
        shards[i] = entry.shard;
        keys[i] = entry.key;
        values[i] = entry.value;
      }
      this.#writer.append({ stamp: this.#now?.() ?? null, shards, keys, values }, (reply) => this.#done(batch, reply));
    }
  }

  #done(batch: Batch, reply: AppendReply): void {
    this.#inFlight--;
    const { entries } = batch;
    if (reply.ok) {
      const next = reply.first.slice();
      const offsets = entries.map((entry) => next[entry.shard]!++);
      this.#appended(entries, offsets, reply.stamp);
      this.#answer(batch, (i) => ({ ok: true, offset: offsets[i]!, stamp: reply.stamp }));
    } else {
      const refusal: Refusal = { ok: false, code: reply.code, message: reply.message };
      this.#answer(batch, () => refusal);
    }
    this.#release(batch);
    this.#send();
  }

  /** The deadline. What was never sent is surely not recorded; of the rest nobody knows. */
  #late(batch: Batch): void {
    const after = `within ${this.#deadlineMs} ms`;
    if (batch.sent) {
      const message = `the log's writer did not answer ${after}; the record may still be written`;
      this.#answer(batch, () => ({ ok: false, code: 'UNKNOWN', message }));
      return;
    }
    this.#queue = this.#queue.filter((waiting) => waiting !== batch);
    const message = `the log's writer did not take the record ${after}`;
    this.#answer(batch, () => ({ ok: false, code: 'LOG_UNAVAILABLE', message }));
    this.#release(batch);
  }

  #answer(batch: Batch, outcomeOf: (i: number) => Outcome): void {
    if (batch.timer !== null) clearTimeout(batch.timer);
    for (const { from, count, resolve } of batch.calls.splice(0)) {
      resolve(Array.from({ length: count }, (_, i) => outcomeOf(from + i)));
    }
  }

  #release(batch: Batch): void {
    this.#entries -= batch.entries.length;
    this.#size -= batch.size;
    if (this.#entries > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function sizeOf(entry: Entry): number {
  return entry.value.length + (entry.key?.length ?? 0);
}
