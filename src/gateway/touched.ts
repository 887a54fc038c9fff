import { randomUUID } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { EventLog } from '../log/eventLog.ts';
import { shardOf } from '../model/shard.ts';
import type { SlotsView } from '../model/visitor.ts';
import type { AppendQueue } from './appendQueue.ts';
import { limits } from './limits.ts';

/**
 * Notices visitors whose slots were decided under another playbook than the active one, and asks the fold to decide anew by a `touched`
 * record (semantics 5.2); at most one a visitor and minute, because every read would ask until it is folded.
 */
export class TouchedVisitors {
  readonly #queue: AppendQueue;
  readonly #shards: number;
  readonly #now: () => number;
  /** When, and for which playbook: the next playbook asks again at once. */
  readonly #last = new LRUCache<string, { readonly at: number; readonly active: string }>({ max: limits.touched });

  constructor(options: { readonly queue: AppendQueue; readonly log: EventLog; readonly now: () => number }) {
    this.#queue = options.queue;
    this.#shards = options.log.shards;
    this.#now = options.now;
  }

  /**
   * Never waits: the answer at hand is right by the playbook that it was decided under.
   * @param active the version that the visitor's shard runs; null: none yet
   */
  check(visitor: string, view: SlotsView | null, active: string | null): void {
    if (view === null || active === null || this.#queue.isFull || !isOld(view, active)) return;
    const at = this.#now();
    const last = this.#last.get(visitor);
    if (last !== undefined && at - last.at < limits.touchedEveryMs && last.active === active) return;
    this.#last.set(visitor, { at, active });
    const value = JSON.stringify({ v: 1, kind: 'touched', id: randomUUID(), visitor });
    void this.#queue.append([{ shard: shardOf(visitor, this.#shards), key: visitor, value }]);
  }
}

function isOld(view: SlotsView, active: string): boolean {
  for (const name in view.slots) {
    if (view.slots[name]!.candidates.some((candidate) => candidate.playbook !== active)) return true;
  }
  return false;
}
