import type { OutputEntry, Outputs } from '../log/outputs.ts';
import { backoffMs, type Machine } from './machine.ts';

/** One entry on its way to a topic. */
export interface Sending<Id> extends OutputEntry {
  readonly id: Id;
}

export interface LaneOptions<Id> {
  readonly topic: string;
  readonly outputs: Outputs;
  readonly limits: LaneLimits;
  readonly machine: Machine;
  readonly signal: AbortSignal;
  /** The topic has these entries. If it rejects it is called again; the lane waits. */
  readonly written: (entries: readonly Sending<Id>[]) => Promise<void>;
  readonly failing: (error: Error, afterMs: number) => void;
}

export interface LaneLimits {
  /** Entries, and UTF-16 units of keys and values, of one write. */
  readonly outputBatch: number;
  readonly outputBatchSize: number;
}

const retryMs = { first: 50, most: 5_000 };

/**
 * What one shard writes to one topic: in order, one write at a time, each repeated until it is acknowledged. A topic that fails holds up
 * its own lane alone.
 */
export class Lane<Id> {
  readonly #options: LaneOptions<Id>;
  readonly #running: Promise<void>;
  readonly #queue: Sending<Id>[] = [];
  #added = 0;
  #done = 0;
  #wake: (() => void) | null = null;
  #flushing: { readonly upTo: number; readonly resolve: () => void; readonly reject: (why: Error) => void }[] = [];

  constructor(options: LaneOptions<Id>) {
    this.#options = options;
    this.#running = this.#run();
    options.signal.addEventListener('abort', () => this.#wake?.(), { once: true });
  }

  add(entry: Sending<Id>): void {
    this.#added++;
    this.#queue.push(entry);
    this.#wake?.();
  }

  /** Resolves when all that was added before the call is written; rejects when the lane ends before. */
  async flushed(): Promise<void> {
    if (this.#done >= this.#added) return;
    const upTo = this.#added;
    const { signal, topic } = this.#options;
    if (signal.aborted) throw new Error(`the lane of ${topic} has ended`);
    await new Promise<void>((resolve, reject) => this.#flushing.push({ upTo, resolve, reject }));
  }

  /** Resolves when the lane has ended, which it does when its signal aborts: after the write in flight. */
  ended(): Promise<void> {
    return this.#running;
  }

  async #run(): Promise<void> {
    const { signal, topic, outputs, written } = this.#options;
    while (!signal.aborted) {
      const batch = this.#next();
      if (batch.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = null;
        continue;
      }
      const isWritten = await this.#untilDone(() => outputs.write(topic, batch));
      // What was written right before the end may still be noted; if it cannot be, it is written again by whoever comes next.
      if (!isWritten || !(await this.#untilDone(() => written(batch)))) break;
      this.#done += batch.length;
      while (this.#flushing[0] !== undefined && this.#flushing[0].upTo <= this.#done) this.#flushing.shift()!.resolve();
    }
    for (const { reject } of this.#flushing.splice(0)) reject(new Error(`the lane of ${topic} has ended`));
  }

  #next(): readonly Sending<Id>[] {
    const { outputBatch, outputBatchSize } = this.#options.limits;
    let end = 0;
    let size = 0;
    for (; end < this.#queue.length && end < outputBatch; end++) {
      const { key, value } = this.#queue[end]!;
      size += key.length + value.length;
      if (end > 0 && size > outputBatchSize) break;
    }
    return this.#queue.splice(0, end);
  }

  /** Tries until it succeeds (true) or the lane ends (false). */
  async #untilDone(work: () => Promise<void>): Promise<boolean> {
    const { signal, machine, failing } = this.#options;
    for (let failures = 0; ; failures++) {
      try {
        await work();
        return true;
      } catch (error) {
        if (signal.aborted) return false;
        const afterMs = backoffMs(failures, retryMs, machine);
        failing(error as Error, afterMs);
        await machine.sleep(afterMs, signal).catch(() => {});
        if (signal.aborted) return false;
      }
    }
  }
}
