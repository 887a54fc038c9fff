import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { shardOf } from '../model/shard.ts';
import type { AppendQueue } from './appendQueue.ts';
import type { RequestContext } from './context.ts';
import { limits } from './limits.ts';
import type { SlotsState } from './slotReader.ts';

/**
 * Notices visitors whose slots were decided under another playbook than the active one, and asks the fold to decide anew by a `touched`
 * record (semantics 5.2); at most one a visitor and minute, because every read would ask until it is folded.
 */
export class TouchedVisitors {
  readonly #queue: AppendQueue;
  readonly #now: () => number;
  readonly #last = new LRUCache<string, number>({ max: limits.touched });

  constructor(options: { readonly queue: AppendQueue; readonly now: () => number }) {
    this.#queue = options.queue;
    this.#now = options.now;
  }

  /** Never waits: the answer at hand is right by the playbook that it was decided under. */
  check(visitor: string, { view }: SlotsState, { services }: RequestContext): void {
    if (view === null || this.#queue.isFull) return;
    const active = services.playbook().version;
    const isOld = Object.values(view.slots).some((slot) =>
      slot.candidates.some((candidate) => candidate.playbook !== active),
    );
    if (!isOld) return;
    const now = this.#now();
    if (now - (this.#last.get(visitor) ?? Number.NEGATIVE_INFINITY) < limits.touchedEveryMs) return;
    this.#last.set(visitor, now);
    const value = JSON.stringify({ v: 1, kind: 'touched', id: randomUUID(), visitor });
    void this.#queue.append([{ shard: shardOf(visitor, services.log.shards), key: visitor, value }]);
  }
}
