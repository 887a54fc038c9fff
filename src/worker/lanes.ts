import type { Outputs } from '../log/outputs.ts';
import { Lane, type LaneLimits, type Sending } from './lane.ts';
import type { Machine } from './machine.ts';

export interface LanesOptions<Id> {
  readonly queue: Queue;
  readonly outputs: Outputs;
  readonly limits: LaneLimits;
  /** Entries that may wait for their topics, and UTF-16 units of them. */
  readonly most: { readonly entries: number; readonly size: number };
  readonly machine: Machine;
  readonly signal: AbortSignal;
  /** Called again until it succeeds; what it was called for counts as waiting until then. */
  readonly written: (topic: string, ids: readonly Id[]) => Promise<void>;
  readonly report: (event: OutputEvent) => void;
}

/** What became of a shard's outputs; `waiting` are the entries of the same queue that still wait for their topics. */
export type OutputEvent = { readonly queue: Queue; readonly waiting: number } & (
  | { readonly what: 'outputsWritten'; readonly topic: string; readonly entries: number }
  | { readonly what: 'outputFailing'; readonly topic: string; readonly error: Error; readonly afterMs: number }
  /** The shard waits until topics have taken more. */
  | { readonly what: 'outputsFull' }
);

export type Queue = 'outbox' | 'copies';

/** All that one shard writes to topics: a lane for each, so that none waits for another, and a bound over all of them. */
export class Lanes<Id> {
  readonly #options: LanesOptions<Id>;
  readonly #lanes = new Map<string, Lane<Id>>();
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  #waiting = 0;
  #size = 0;
  #roomy: (() => void) | null = null;

  constructor(options: LanesOptions<Id>) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#ended.signal]);
    this.#signal.addEventListener('abort', () => this.#roomy?.(), { once: true });
  }

  add(topic: string, entry: Sending<Id>): void {
    this.#waiting++;
    this.#size += entry.value.length;
    this.#laneOf(topic).add(entry);
  }

  /** Resolves when the shard may go on, or the lanes have ended. */
  async room(): Promise<void> {
    if (!this.#isFull) return;
    const { report, queue } = this.#options;
    report({ what: 'outputsFull', queue, waiting: this.#waiting });
    while (this.#isFull && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#roomy = resolve;
      });
    }
    this.#roomy = null;
  }

  /** Resolves when all that was added before the call is written and noted; rejects when the lanes end before. */
  async flushed(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map((lane) => lane.flushed()));
  }

  /** Writes no more. */
  abort(): void {
    this.#ended.abort();
  }

  /** Writes no more; resolves after what is in flight. */
  async end(): Promise<void> {
    this.abort();
    await Promise.all([...this.#lanes.values()].map((lane) => lane.ended()));
  }

  get #isFull(): boolean {
    const { entries, size } = this.#options.most;
    return this.#waiting > entries || this.#size > size;
  }

  #laneOf(topic: string): Lane<Id> {
    let lane = this.#lanes.get(topic);
    if (lane === undefined) {
      const { queue, outputs, limits, machine, report, written } = this.#options;
      lane = new Lane({
        topic,
        outputs,
        limits,
        machine,
        signal: this.#signal,
        written: async (entries) => {
          await written(
            topic,
            entries.map(({ id }) => id),
          );
          this.#waiting -= entries.length;
          for (const { value } of entries) this.#size -= value.length;
          report({ what: 'outputsWritten', queue, topic, entries: entries.length, waiting: this.#waiting });
          if (!this.#isFull) this.#roomy?.();
        },
        failing: (error, afterMs) =>
          report({ what: 'outputFailing', queue, topic, error, afterMs, waiting: this.#waiting }),
      });
      this.#lanes.set(topic, lane);
    }
    return lane;
  }
}
