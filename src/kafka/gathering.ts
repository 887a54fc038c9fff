import { setTimeout as sleep } from 'node:timers/promises';
import type { ProducedMessage } from './internals.ts';

/** Messages by partition. */
export type Parts = ReadonlyMap<number, readonly ProducedMessage[]>;

interface Write {
  readonly parts: Parts;
  readonly resolve: () => void;
  readonly reject: (why: unknown) => void;
}

/**
 * Gathers what many shards write to one topic into few requests: a request costs broker and client more than the records in it, and with
 * one for each commit of each shard the outputs took more of both than the events did.
 */
export class Gathering {
  readonly #gatherMs: number;
  readonly #produce: (parts: Parts) => Promise<void>;
  #waiting: Write[] = [];
  #running = false;

  /** `gatherMs`: what comes within this long after a first write leaves with it. */
  constructor(gatherMs: number, produce: (parts: Parts) => Promise<void>) {
    this.#gatherMs = gatherMs;
    this.#produce = produce;
  }

  write(parts: Parts): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ parts, resolve, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      await sleep(this.#gatherMs);
      const writes = this.#waiting.splice(0);
      try {
        await this.#produce(together(writes));
        for (const { resolve } of writes) resolve();
      } catch (error) {
        if (writes.length === 1) writes[0]!.reject(error);
        // A message that the broker never takes must fail its own write alone.
        else await Promise.all(writes.map(({ parts, resolve, reject }) => this.#produce(parts).then(resolve, reject)));
      }
    }
    this.#running = false;
  }
}

function together(writes: readonly Write[]): Parts {
  if (writes.length === 1) return writes[0]!.parts;
  const all = new Map<number, ProducedMessage[]>();
  for (const { parts } of writes) {
    for (const [partition, messages] of parts) {
      const before = all.get(partition);
      if (before === undefined) all.set(partition, [...messages]);
      else before.push(...messages);
    }
  }
  return all;
}
