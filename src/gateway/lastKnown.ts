import { LRUCache } from 'lru-cache';
import { decodeSlots } from '../model/codec.ts';
import type { SlotsView } from '../model/visitor.ts';
import type { ShardView } from '../push/hub.ts';
import { limits } from './limits.ts';

/** A visitor's slots and where their shard stood then. */
export interface KnownSlots {
  /** The text that the store keeps; null: the visitor was gone. */
  readonly slots: string | null;
  readonly shard: ShardView;
  /** The slots, decoded when they are first asked for. */
  view(): SlotsView | null;
}

class Entry implements KnownSlots {
  readonly slots: string | null;
  shard: ShardView;
  #view: SlotsView | null = null;

  constructor(slots: string | null, shard: ShardView) {
    this.slots = slots;
    this.shard = shard;
  }

  view(): SlotsView | null {
    this.#view ??= this.slots === null ? null : decodeSlots(this.slots);
    return this.#view;
  }
}

/** What an entry costs besides its texts, and a UTF-16 unit of these with what is decoded from it: about, and rather more. */
const entryBytes = 300;
const unitBytes = 10;

/**
 * The slots that were last read or pushed, by visitor: what a page gets while the state does not answer. A text that is still the same is not
 * decoded again. Bounded by number and by size; who was seen least recently is forgotten first, and gets fallbacks then.
 */
export class LastKnownSlots {
  readonly #known = new LRUCache<string, Entry>({
    max: limits.lastKnownVisitors,
    maxSize: limits.lastKnownBytes,
    sizeCalculation: ({ slots }, visitor) => entryBytes + unitBytes * (visitor.length + (slots?.length ?? 0)),
  });

  /**
   * Notes what was read, and answers it with what was decoded of it before. Of visitors who have no slots nothing is kept, or whoever makes up visitors would push out
   * the real ones.
   */
  read(visitor: string, slots: string | null, shard: ShardView): KnownSlots {
    const known = this.#known.get(visitor);
    const isOvertaken = known !== undefined && !isNewer(shard, known.shard);
    if (known !== undefined && known.slots === slots) {
      if (!isOvertaken) known.shard = shard;
      return known;
    }
    const entry = new Entry(slots, shard);
    if (!isOvertaken && (known !== undefined || slots !== null)) this.#known.set(visitor, entry);
    return entry;
  }

  /** What a commit changed; kept of those who are known here already, because most other visitors never ask this process. */
  pushed(visitor: string, slots: string | null, shard: ShardView): void {
    const known = this.#known.peek(visitor);
    if (known !== undefined && isNewer(shard, known.shard)) this.#known.set(visitor, new Entry(slots, shard));
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
