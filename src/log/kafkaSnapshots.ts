import { UsherError } from '../errors.ts';
import { type KafkaClient, type KafkaConnection, kafkaClient } from '../kafka/client.ts';
import type { ProducedMessage } from '../kafka/internals.ts';
import { Link, messageOf, within } from '../kafka/link.ts';
import { fitting } from '../kafka/produceAll.ts';
import { ensureTopic } from '../kafka/topic.ts';
import type { SnapshotEntry, Snapshots, SnapshotWritten } from './snapshots.ts';

export interface KafkaSnapshotsOptions {
  readonly connection: KafkaConnection;
  readonly topic: string;
  readonly shards: number;
  readonly replication: number;
  readonly minInsyncReplicas: number;
  /** A visitor whose newest entry is older than this is gone, ms: longer than the retention of visitors. */
  readonly retentionMs: number;
  readonly deadlineMs: number;
}

/** Old entries stay readable for this long, so that an overwritten one is mended in time. */
const compactionLagMs = 3_600_000;
/** Kafka compacts closed segments only; these are closed in time for a rebuild not to read much twice. */
const segment = { ms: 6 * 3_600_000, bytes: 128_000_000 };

/**
 * A compacted topic with a partition a shard: a visitor's partition is its shard, since both are murmur2 over the same number (semantics
 * 1.1), so a rebuild reads one partition.
 * @throws UsherError SHARDS_MISMATCH, LOG_TOPIC_UNSUITABLE, LOG_UNAVAILABLE
 */
export async function openKafkaSnapshots(options: KafkaSnapshotsOptions): Promise<Snapshots> {
  await ensureTopic(kafkaClient(options.connection), {
    ...options,
    cleanup: 'compact,delete',
    settings: {
      'min.compaction.lag.ms': String(compactionLagMs),
      'segment.ms': String(segment.ms),
      'segment.bytes': String(segment.bytes),
    },
  });
  return new KafkaSnapshots(options);
}

class KafkaSnapshots implements Snapshots {
  readonly #client: KafkaClient;
  readonly #link: Link;
  readonly #topic: string;
  readonly #deadlineMs: number;

  constructor({ connection, topic, shards, deadlineMs }: KafkaSnapshotsOptions) {
    this.#client = kafkaClient(connection);
    this.#link = new Link(this.#client, topic, shards);
    this.#topic = topic;
    this.#deadlineMs = deadlineMs;
  }

  async write(shard: number, from: number, entries: readonly SnapshotEntry[]): Promise<SnapshotWritten> {
    let rest: readonly ProducedMessage[] = entries.map(({ key, value }) => ({
      key: Buffer.from(key),
      value: Buffer.from(value),
    }));
    const foreign: string[] = [];
    let end = from;
    while (rest.length > 0) {
      const messages = rest.slice(0, fitting(rest));
      const offset = await this.#produce(shard, messages);
      for (; end < offset; ) {
        const { messages: others, next } = await this.#link.readFrom(shard, end, this.#deadlineMs);
        foreign.push(...others.filter((one) => Number(one.offset) < offset).map(({ key }) => String(key)));
        // Compaction and transactions leave gaps, at the end of which nothing comes.
        end = next > end ? Math.min(next, offset) : offset;
      }
      end = offset + messages.length;
      rest = rest.slice(messages.length);
    }
    return { end, foreign };
  }

  /** @returns where they begin */
  async #produce(shard: number, messages: readonly ProducedMessage[]): Promise<number> {
    try {
      return await within(this.#deadlineMs, async () => {
        if (this.#link.leaders() === null) await this.#link.connect();
        const leader = this.#link.leaders()?.[shard];
        if (leader === undefined) throw new Error('not every partition has a leader that answers');
        const produced = (await this.#link.produce(leader, [{ partition: shard, messages }])).get(shard);
        if (produced?.what === 'written') return produced.offset;
        throw new Error(produced?.message ?? 'the broker did not tell of this partition');
      });
    } catch (error) {
      const message = `topic ${this.#topic} did not take a write of shard ${shard}: ${messageOf(error)}`;
      throw new UsherError('OUTPUT_UNAVAILABLE', message, { cause: error });
    }
  }

  async *read(shard: number): AsyncGenerator<{ readonly entries: readonly SnapshotEntry[]; readonly end: number }> {
    const { low, end } = (await this.#link.bounds([shard], this.#deadlineMs)).get(shard)!;
    for (let offset = low; offset < end; ) {
      const { messages, next } = await this.#link.readFrom(shard, offset, this.#deadlineMs);
      const entries = messages
        .filter((one) => Number(one.offset) < end)
        .map(({ key, value }) => ({ key: String(key), value: String(value) }));
      yield { entries, end: Math.min(next, end) };
      if (next === offset) return;
      offset = next;
    }
  }

  async close(): Promise<void> {
    await this.#link.close();
    this.#client.close();
  }
}
