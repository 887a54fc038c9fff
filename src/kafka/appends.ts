import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaBroker } from './internals.ts';
import { limits } from './limits.ts';
import { backoffMs, byLeader, type Link, messageOf, type Produced } from './link.ts';

/** One record on its way; has the shape of the log port's entries. */
interface Entry {
  readonly shard: number;
  readonly key: string | null;
  readonly value: string;
}

type Refusal = {
  readonly ok: false;
  readonly code: 'LOG_UNAVAILABLE' | 'LOG_FULL' | 'UNKNOWN';
  readonly message: string;
};
export type Outcome = { readonly ok: true; readonly offset: number; readonly stamp: number } | Refusal;

/** One `append` call. */
interface Call {
  readonly outcomes: (Outcome | undefined)[];
  open: number;
  readonly timer: NodeJS.Timeout;
  late: boolean;
  readonly resolve: (outcomes: readonly Outcome[]) => void;
}

interface Waiting {
  readonly call: Call;
  readonly index: number;
  readonly key: Buffer | null;
  readonly value: Buffer;
  readonly bytes: number;
}

/**
 * Gathers appends into produce requests: one partition has at most one request in flight (semantics 1.6), what comes meanwhile is the
 * next. A record leaves its queue only when its leader is connected, so at the deadline it is sure which were never sent.
 */
export class Appends {
  readonly #link: Link;
  readonly #deadlineMs: number;
  readonly #queues: Waiting[][];
  readonly #busy = new Set<number>();
  readonly #waitingShards = new Set<number>();
  #requests = 0;
  #records = 0;
  #bytes = 0;
  #scheduled = false;
  #connecting = false;
  #unreachable = '';
  #idle: (() => void)[] = [];

  constructor(link: Link, shards: number, deadlineMs: number) {
    this.#link = link;
    this.#deadlineMs = deadlineMs;
    this.#queues = Array.from({ length: shards }, () => []);
  }

  /** Never rejects. Entries beyond the limits are refused, those before them go. */
  append(entries: readonly Entry[]): Promise<readonly Outcome[]> {
    return new Promise((resolve) => {
      const call: Call = {
        outcomes: new Array<Outcome | undefined>(entries.length),
        open: entries.length,
        timer: setTimeout(() => this.#late(call), this.#deadlineMs),
        late: false,
        resolve,
      };
      for (let index = 0; index < entries.length; index++) {
        const { shard, key, value } = entries[index]!;
        const waiting = waitingOf(call, index, key, value);
        const refusal = this.#refusalFor(waiting);
        if (refusal !== null) {
          answer(call, index, refusal);
          continue;
        }
        this.#records++;
        this.#bytes += waiting.bytes;
        this.#queues[shard]!.push(waiting);
        this.#waitingShards.add(shard);
      }
      this.#schedule();
    });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async idle(): Promise<void> {
    if (this.#records === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #refusalFor({ bytes }: Waiting): Refusal | null {
    if (bytes > limits.batchBytes) {
      return refusal('LOG_UNAVAILABLE', `a record of ${bytes} bytes is more than the limit of ${limits.batchBytes}`);
    }
    if (this.#records < limits.waitingRecords && this.#bytes + bytes <= limits.waitingBytes) return null;
    return refusal(
      'LOG_UNAVAILABLE',
      `Kafka is behind: ${this.#records} records of ${this.#bytes} bytes wait (limits ${limits.waitingRecords} and ${limits.waitingBytes})`,
    );
  }

  /** After the callers of this turn have all had theirs, so that they share requests. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#requests >= limits.requestsInFlight) return;
    const ready: number[] = [];
    for (const shard of this.#waitingShards) if (!this.#busy.has(shard)) ready.push(shard);
    if (ready.length === 0) return;
    const leaders = this.#link.leaders();
    if (leaders === null) {
      void this.#connect();
      return;
    }
    for (const [broker, shards] of byLeader(leaders, ready)) {
      let bytes = 0;
      const batches = new Map<number, Waiting[]>();
      for (const shard of shards) {
        const batch = this.#take(shard, limits.requestBytes - bytes);
        if (batch.length === 0) continue;
        for (const waiting of batch) bytes += waiting.bytes;
        batches.set(shard, batch);
      }
      if (batches.size > 0) void this.#request(broker, batches);
    }
  }

  #take(shard: number, bytesMost: number): Waiting[] {
    const queue = this.#queues[shard]!;
    const most = Math.min(bytesMost, limits.batchBytes);
    let bytes = 0;
    let count = 0;
    for (; count < queue.length && count < limits.batchRecords; count++) {
      bytes += queue[count]!.bytes;
      if (bytes > most) break;
    }
    const batch = queue.splice(0, count);
    if (queue.length === 0) this.#waitingShards.delete(shard);
    return batch;
  }

  async #request(broker: KafkaBroker, batches: ReadonlyMap<number, Waiting[]>): Promise<void> {
    this.#requests++;
    for (const shard of batches.keys()) this.#busy.add(shard);
    const partitions = [...batches].map(([partition, messages]) => ({ partition, messages }));
    const answers = await this.#link.produce(broker, partitions);
    this.#requests--;
    for (const [shard, batch] of batches) {
      this.#busy.delete(shard);
      const produced = answers.get(shard) ?? { what: 'unknown', message: 'the broker did not tell of this partition' };
      if (produced.what === 'refused' && produced.again) this.#putBack(shard, batch, produced.message);
      else this.#done(batch, produced);
    }
    this.#send();
  }

  #done(batch: readonly Waiting[], produced: Produced): void {
    if (produced.what === 'written') this.#unreachable = '';
    for (let i = 0; i < batch.length; i++) {
      const { call, index, bytes } = batch[i]!;
      this.#release(bytes);
      if (produced.what === 'written') {
        answer(call, index, { ok: true, offset: produced.offset + i, stamp: produced.stamp });
      } else {
        answer(call, index, refusal(produced.what === 'unknown' ? 'UNKNOWN' : 'LOG_UNAVAILABLE', produced.message));
      }
    }
  }

  /** Surely not written: before all that came since. Who was answered meanwhile is not tried again. */
  #putBack(shard: number, batch: readonly Waiting[], message: string): void {
    this.#unreachable = message;
    const still = batch.filter(({ call }) => !call.late);
    for (const { call, bytes } of batch) if (call.late) this.#release(bytes);
    if (still.length === 0) return;
    this.#queues[shard]!.unshift(...still);
    this.#waitingShards.add(shard);
  }

  /** Reaches the leaders, for as long as someone waits for it. */
  async #connect(): Promise<void> {
    if (this.#connecting) return;
    this.#connecting = true;
    for (let failures = 0; this.#waitingShards.size > 0; failures++) {
      try {
        // Also after a success that did not help: the cluster may tell of a leader that refuses to be one.
        if (failures > 0 || this.#unreachable !== '') await sleep(backoffMs(failures));
        await this.#link.connect();
        if (this.#link.leaders() !== null) break;
        this.#unreachable = 'not every partition has a leader that answers';
      } catch (error) {
        this.#unreachable = messageOf(error);
      }
    }
    this.#connecting = false;
    this.#send();
  }

  /** The deadline. What was never sent is surely not recorded; of the rest nobody knows. */
  #late(call: Call): void {
    call.late = true;
    for (const shard of [...this.#waitingShards]) {
      const queue = this.#queues[shard]!;
      // All have the same time, so who is late stands in front.
      const late = queue.findIndex((waiting) => !waiting.call.late);
      for (const waiting of queue.splice(0, late === -1 ? queue.length : late)) this.#withdraw(waiting);
      if (queue.length === 0) this.#waitingShards.delete(shard);
    }
    for (let index = 0; index < call.outcomes.length; index++) {
      if (call.outcomes[index] !== undefined) continue;
      const message = `the broker did not answer within ${this.#deadlineMs} ms; the record may still be written`;
      answer(call, index, refusal('UNKNOWN', message));
    }
  }

  #withdraw({ call, index, bytes }: Waiting): void {
    this.#release(bytes);
    const why = this.#unreachable === '' ? '' : `: ${this.#unreachable}`;
    answer(
      call,
      index,
      refusal('LOG_UNAVAILABLE', `Kafka did not take the record within ${this.#deadlineMs} ms${why}`),
    );
  }

  #release(bytes: number): void {
    this.#records--;
    this.#bytes -= bytes;
    if (this.#records > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

function waitingOf(call: Call, index: number, key: string | null, value: string): Waiting {
  const keyBytes = key === null ? null : Buffer.from(key);
  const valueBytes = Buffer.from(value);
  // What a record costs in a batch besides its texts.
  const bytes = valueBytes.length + (keyBytes?.length ?? 0) + 32;
  return { call, index, key: keyBytes, value: valueBytes, bytes };
}

function answer(call: Call, index: number, outcome: Outcome): void {
  if (call.outcomes[index] !== undefined) return;
  call.outcomes[index] = outcome;
  call.open--;
  if (call.open > 0) return;
  clearTimeout(call.timer);
  call.resolve(call.outcomes as readonly Outcome[]);
}

function refusal(code: Refusal['code'], message: string): Refusal {
  return { ok: false, code, message };
}
