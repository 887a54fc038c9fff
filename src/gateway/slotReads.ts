import { shardOf } from '../model/shard.ts';
import type { SlotsRead, StateStore } from '../state/stateStore.ts';
import { limits } from './limits.ts';

/** What a request reads slots with. */
export interface SlotsLoader {
  load(visitor: string): Promise<SlotsRead>;
  /** Forgets what was read: the next `load` reads anew. */
  clear(visitor: string): unknown;
}

type Waiting = PromiseWithResolvers<SlotsRead>;

/**
 * Reads visitors' slots. What all requests of one turn of the event loop want of a shard is one read, and a visitor wanted twice is read once;
 * nothing is kept beyond that, so every answer is of a moment after it was asked for. By shard, so that one that cannot be read fails alone.
 */
export class SlotReads implements SlotsLoader {
  readonly #store: StateStore;
  readonly #waiting: Map<string, Waiting>[];
  readonly #shards: number[] = [];

  constructor(store: StateStore, shards: number) {
    this.#store = store;
    this.#waiting = Array.from({ length: shards }, () => new Map());
  }

  load(visitor: string): Promise<SlotsRead> {
    const shard = shardOf(visitor, this.#waiting.length);
    const waiting = this.#waiting[shard]!;
    let own = waiting.get(visitor);
    if (own === undefined) {
      own = Promise.withResolvers();
      if (waiting.size === 0) {
        if (this.#shards.length === 0) setImmediate(() => this.#flush());
        this.#shards.push(shard);
      }
      waiting.set(visitor, own);
      if (waiting.size === limits.readVisitors) this.#read(shard);
    }
    return own.promise;
  }

  clear(): void {}

  #flush(): void {
    for (const shard of this.#shards.splice(0)) this.#read(shard);
  }

  #read(shard: number): void {
    const waiting = this.#waiting[shard]!;
    if (waiting.size === 0) return;
    this.#waiting[shard] = new Map();
    this.#store.readSlots([...waiting.keys()].map((visitor) => ({ shard, visitor }))).then(
      (reads) => {
        let n = 0;
        for (const own of waiting.values()) own.resolve(reads[n++]!);
      },
      (error: unknown) => {
        for (const own of waiting.values()) own.reject(error);
      },
    );
  }
}
