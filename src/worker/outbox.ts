import type { Outputs } from '../log/outputs.ts';
import type { OutboxEntry } from '../model/commit.ts';
import type { StateStore } from '../state/stateStore.ts';
import { Lane, type LaneLimits } from './lane.ts';
import type { Machine } from './machine.ts';

export interface OutboxLimits extends LaneLimits {
  /** Entries of a shard that wait for their topics, and UTF-16 units of them; above either the shard folds no more. */
  readonly outboxEntries: number;
  readonly outboxSize: number;
}

export interface OutboxOptions {
  readonly shard: number;
  readonly owner: string;
  readonly store: Pick<StateStore, 'readOutbox' | 'drained'>;
  readonly outputs: Outputs;
  readonly limits: OutboxLimits;
  readonly machine: Machine;
  /** Ends the outbox; what waits stays in the store, and the next owner reads it there. */
  readonly signal: AbortSignal;
  readonly report: (event: OutboxEvent) => void;
}

export type OutboxEvent =
  | { readonly what: 'outputsWritten'; readonly topic: string; readonly entries: number; readonly waiting: number }
  | { readonly what: 'outputFailing'; readonly topic: string; readonly error: Error; readonly afterMs: number }
  /** The shard waits until topics have taken more. */
  | { readonly what: 'outboxFull'; readonly waiting: number };

const readAtOnce = 500;

/**
 * Takes a shard's outputs from its state to their topics: written in order, removed from the state when they are acknowledged (semantics
 * 9.1). A crash between the two writes them again, under the same ids. A process that lost the shard may still write what it had in
 * hand: repeats too, because all that it was ever given was committed.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Lane<OutboxEntry>>();
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  #waiting = 0;
  #size = 0;
  #roomy: (() => void) | null = null;

  /** Begins with what stands in the store: what former owners committed and did not deliver. */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const { store, shard } = options;
    const outbox = new Outbox(options);
    try {
      for (let after: string | null = null; ; ) {
        const page: readonly OutboxEntry[] = await store.readOutbox(shard, after, readAtOnce);
        outbox.add(page);
        if (page.length < readAtOnce) return outbox;
        after = page.at(-1)!.id;
      }
    } catch (error) {
      await outbox.end();
      throw error;
    }
  }

  private constructor(options: OutboxOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#ended.signal]);
    this.#signal.addEventListener('abort', () => this.#roomy?.(), { once: true });
  }

  /** Entries that wait for their topics or their removal. */
  get waiting(): number {
    return this.#waiting;
  }

  /** What a commit has just put into the store. */
  add(entries: readonly OutboxEntry[]): void {
    for (const entry of entries) {
      this.#waiting++;
      this.#size += entry.value.length;
      this.#laneOf(entry.topic).add({ id: entry, key: entry.key, value: entry.value });
    }
  }

  /** Resolves when the shard may fold on, or the outbox has ended. */
  async room(): Promise<void> {
    if (!this.#isFull) return;
    this.#options.report({ what: 'outboxFull', waiting: this.#waiting });
    while (this.#isFull && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#roomy = resolve;
      });
    }
    this.#roomy = null;
  }

  /** Writes no more; resolves after what is in flight. */
  async end(): Promise<void> {
    this.#ended.abort();
    await Promise.all([...this.#lanes.values()].map((lane) => lane.ended()));
  }

  get #isFull(): boolean {
    const { outboxEntries, outboxSize } = this.#options.limits;
    return this.#waiting > outboxEntries || this.#size > outboxSize;
  }

  #laneOf(topic: string): Lane<OutboxEntry> {
    let lane = this.#lanes.get(topic);
    if (lane === undefined) {
      const { outputs, limits, machine, report } = this.#options;
      lane = new Lane({
        topic,
        outputs,
        limits,
        machine,
        signal: this.#signal,
        written: (entries) => this.#written(topic, entries),
        failing: (error, afterMs) => report({ what: 'outputFailing', topic, error, afterMs }),
      });
      this.#lanes.set(topic, lane);
    }
    return lane;
  }

  async #written(topic: string, entries: readonly OutboxEntry[]): Promise<void> {
    const { store, shard, owner, report } = this.#options;
    const ids = entries.map(({ id }) => id);
    if (!(await store.drained(shard, owner, ids))) {
      // Another owner has the shard: it reads and writes them again.
      this.#ended.abort();
      return;
    }
    this.#waiting -= entries.length;
    for (const { value } of entries) this.#size -= value.length;
    report({ what: 'outputsWritten', topic, entries: entries.length, waiting: this.#waiting });
    if (!this.#isFull) this.#roomy?.();
  }
}
