import type { Outputs } from '../log/outputs.ts';
import type { OutboxEntry } from '../model/commit.ts';
import type { StateStore } from '../state/stateStore.ts';
import type { LaneLimits } from './lane.ts';
import { Lanes, type OutputEvent } from './lanes.ts';
import type { Machine } from './machine.ts';

export interface OutboxLimits extends LaneLimits {
  /** Entries of a shard's outbox that wait for their topics, and UTF-16 units of them; above either the shard folds no more. */
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
  readonly report: (event: OutputEvent) => void;
}

const readAtOnce = 500;

/**
 * Takes a shard's outputs from its state to their topics: written in order, removed from the state when they are acknowledged (semantics
 * 9.1). A crash between the two writes them again, under the same ids. A process that lost the shard may still write what it had in
 * hand: repeats too, because all that it was ever given was committed.
 */
export class Outbox {
  readonly #lanes: Lanes<string>;
  #fenced = false;

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

  private constructor({ shard, owner, store, ...options }: OutboxOptions) {
    const { outboxEntries: entries, outboxSize: size } = options.limits;
    this.#lanes = new Lanes({
      ...options,
      queue: 'outbox',
      most: { entries, size },
      written: async (_topic, ids) => {
        // If another owner has the shard, it reads them in the store and writes them again.
        if (await store.drained(shard, owner, ids)) return;
        this.#fenced = true;
        this.#lanes.abort();
      },
    });
  }

  /**
   * The store has told that another owns the shard, and this outbox has ended. Its owner must own again or stop: a failover can give the
   * shard back to it, and then nobody would deliver what it commits.
   */
  get isFenced(): boolean {
    return this.#fenced;
  }

  /** What a commit has just put into the store. */
  add(entries: readonly OutboxEntry[]): void {
    for (const { topic, id, key, value } of entries) this.#lanes.add(topic, { id, key, value });
  }

  /** Resolves when the shard may fold on, or the outbox has ended. */
  room(): Promise<void> {
    return this.#lanes.room();
  }

  /** Resolves when all that was added before the call is in its topics; rejects when the outbox ends before. */
  flushed(): Promise<void> {
    return this.#lanes.flushed();
  }

  /** Writes no more; resolves after what is in flight. */
  end(): Promise<void> {
    return this.#lanes.end();
  }
}
