import { LRUCache } from 'lru-cache';
import type { ShardView } from '../push/hub.ts';
import { limits } from './limits.ts';

/** A visitor's slots and where their shard stood then. */
export interface KnownSlots {
  /** The text that the store keeps; null: the visitor was gone. */
  readonly slots: string | null;
  readonly shard: ShardView;
}

/** What an entry costs besides its texts: the objects, and its place in the cache. */
const entryBytes = 300;

/**
 * The slots that were last read or pushed, by visitor: what a page gets while the state does not answer. Bounded by number and by size; who
 * was seen least recently is forgotten first, and gets fallbacks then.
 */
export class LastKnownSlots {
  readonly #known = new LRUCache<string, KnownSlots>({
    max: limits.lastKnownVisitors,
    maxSize: limits.lastKnownBytes,
    // Two bytes a UTF-16 unit: the most that it takes in memory.
    sizeCalculation: ({ slots }, visitor) => entryBytes + 2 * (visitor.length + (slots?.length ?? 0)),
  });

  /** What was read. Of visitors who have no slots nothing is kept, or whoever makes up visitors would push out the real ones. */
  read(visitor: string, slots: string | null, shard: ShardView): void {
    const known = this.#known.peek(visitor);
    if (known === undefined ? slots !== null : isNewer(shard, known.shard)) this.#known.set(visitor, { slots, shard });
  }

  /** What a commit changed; kept of those who are known here already, because most other visitors never ask this process. */
  pushed(visitor: string, slots: string | null, shard: ShardView): void {
    const known = this.#known.peek(visitor);
    if (known !== undefined && isNewer(shard, known.shard)) this.#known.set(visitor, { slots, shard });
  }

  of(visitor: string): KnownSlots | null {
    return this.#known.get(visitor) ?? null;
  }

  get visitors(): number {
    return this.#known.size;
  }
  get bytes(): number {
    return this.#known.calculatedSize;
  }
}

/** A read can be overtaken by a later one, or by a push; positions of different lineages do not compare, there the later word counts. */
function isNewer(came: ShardView, known: ShardView): boolean {
  return came.lineage !== known.lineage || came.position >= known.position;
}
