import type { ReadRecord } from '../fold/record.ts';
import type { Outputs } from '../log/outputs.ts';
import { formatPosition } from '../model/record.ts';
import { shardOf } from '../model/shard.ts';
import type { LaneLimits } from './lane.ts';
import { Lanes, type OutputEvent } from './lanes.ts';
import type { Machine } from './machine.ts';

export interface CopiesLimits extends LaneLimits {
  /** Records of a shard on their way to the topics of their types, and UTF-16 units of them; above either the shard takes no more. */
  readonly copiedRecords: number;
  readonly copiedSize: number;
}

export interface CopiesOptions {
  readonly shard: number;
  readonly shards: number;
  /** Types that are copied; `*`: all. */
  readonly types: readonly string[];
  /** Everything below is in the topics. */
  readonly from: number;
  readonly outputs: Outputs;
  readonly limits: CopiesLimits;
  readonly machine: Machine;
  readonly signal: AbortSignal;
  readonly report: (event: OutputEvent) => void;
}

/** A record on its way. */
interface Copy {
  readonly offset: number;
  written: boolean;
}

/** Other programs may write events of any type; one that would make no name of a topic has no topic. */
const topicPart = /^[A-Za-z0-9_-]{1,100}$/;

/**
 * Copies the events of a shard's log into one topic a type (semantics 1.4): the records as they were appended, in the log's order.
 * They follow from the log alone, so no outbox is needed: the next commit notes the position below which all are acknowledged, and
 * whoever owns next copies from there on.
 */
export class Copies {
  readonly #options: CopiesOptions;
  readonly #lanes: Lanes<Copy>;
  /** In offset order; the first is not written yet. */
  readonly #onTheirWay: Copy[] = [];
  #next: number;

  constructor(options: CopiesOptions) {
    const { copiedRecords: entries, copiedSize: size } = options.limits;
    this.#options = options;
    this.#next = options.from;
    this.#lanes = new Lanes({
      ...options,
      queue: 'copies',
      most: { entries, size },
      written: async (_topic, copies) => {
        for (const copy of copies) copy.written = true;
        const first = this.#onTheirWay.findIndex((copy) => !copy.written);
        this.#onTheirWay.splice(0, first === -1 ? this.#onTheirWay.length : first);
      },
    });
  }

  /** Everything below is in the topics. */
  get position(): number {
    return this.#onTheirWay[0]?.offset ?? this.#next;
  }

  /** Records as the log handed them over; those that were copied before are passed over. */
  add(reads: readonly ReadRecord[]): void {
    const { shard, shards } = this.#options;
    for (const { log, record } of reads) {
      if (log.offset < this.#next) continue;
      this.#next = log.offset + 1;
      if (record?.kind !== 'event' || !this.#isChosen(record.type) || shardOf(record.visitor, shards) !== shard)
        continue;
      const copy: Copy = { offset: log.offset, written: false };
      this.#onTheirWay.push(copy);
      this.#lanes.add(`events.${record.type}`, {
        id: copy,
        key: record.visitor,
        value: log.value,
        headers: { position: formatPosition(shard, log.offset), appendTime: String(log.stamp) },
      });
    }
  }

  #isChosen(type: string): boolean {
    const { types } = this.#options;
    return (types.includes('*') || types.includes(type)) && topicPart.test(type);
  }

  /** Resolves when the shard may take more, or the copies have ended. */
  room(): Promise<void> {
    return this.#lanes.room();
  }

  /** Writes no more; resolves after what is in flight. */
  end(): Promise<void> {
    return this.#lanes.end();
  }
}
