import { setTimeout as sleep } from 'node:timers/promises';
import { UsherError } from '../errors.ts';
import type { LogRecord } from '../model/record.ts';
import type { KafkaClient } from './client.ts';
import {
  errorTypeOf,
  FetchBatch,
  type FetchedMessage,
  type KafkaBroker,
  type KafkaCluster,
  type ProducedPartition,
  produce,
} from './internals.ts';
import { limits, timings } from './limits.ts';

/** What became of one partition's messages. */
export type Produced =
  | { readonly what: 'written'; readonly offset: number; readonly stamp: number }
  /** Surely not written. `again`: it may work a little later, when the cluster is known anew. */
  | { readonly what: 'refused'; readonly again: boolean; readonly message: string }
  | { readonly what: 'unknown'; readonly message: string };

/** The answers after which a record is surely not in the log, and another attempt makes sense. */
const refusedForNow = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'NOT_ENOUGH_REPLICAS',
  'KAFKA_STORAGE_ERROR',
]);
/** The answers that leave it open: it is on the leader, but not on as many others as asked for. */
const openEnded = new Set(['UNKNOWN', 'REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'NETWORK_EXCEPTION']);

const earliest = -2;
const latest = -1;
const readCommitted = 1;

/** The topic's partitions and their leaders: appends, offsets and single records. One for each log. */
export class Link {
  readonly #client: KafkaClient;
  readonly #topic: string;
  readonly #shards: number;
  #cluster: KafkaCluster;
  #fresh = false;
  #connecting: Promise<void> | null = null;

  constructor(client: KafkaClient, topic: string, shards: number) {
    this.#client = client;
    this.#topic = topic;
    this.#shards = shards;
    this.#cluster = client.cluster();
  }

  /** The leader of each partition, if all are known and connected. */
  leaders(): readonly KafkaBroker[] | null {
    if (!this.#fresh) return null;
    const { brokers } = this.#cluster.brokerPool;
    const leaders = new Array<KafkaBroker>(this.#shards);
    let found = 0;
    for (const { partitionId, leader } of this.#cluster.findTopicPartitionMetadata(this.#topic)) {
      const broker = brokers[leader];
      if (broker === undefined || !broker.isConnected()) return null;
      leaders[partitionId] = broker;
      found++;
    }
    return found === this.#shards ? leaders : null;
  }

  /** One attempt to know and reach all leaders; callers at the same time share it. */
  async connect(): Promise<void> {
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #connect(): Promise<void> {
    try {
      await this.#cluster.connect();
      await this.#cluster.addMultipleTargetTopics([this.#topic]);
      await this.#cluster.refreshMetadata();
      const leaders = new Set(this.#cluster.findTopicPartitionMetadata(this.#topic).map(({ leader }) => leader));
      for (const nodeId of leaders) await this.#cluster.findBroker({ nodeId });
      this.#fresh = true;
    } catch (error) {
      // kafkajs keeps brokers that are gone and a seed that cannot be left; a new one costs a millisecond.
      this.#renew();
      throw error;
    }
  }

  #renew(): void {
    this.#fresh = false;
    const old = this.#cluster;
    this.#cluster = this.#client.cluster();
    // It may wait for answers for ever (a timer it needs is stopped first); nobody waits for it.
    old.disconnect().catch(() => {});
  }

  /** Learn the leaders again before the next use. */
  stale(): void {
    this.#fresh = false;
  }

  /** Sends to one broker, which must be the leader of these partitions. Never rejects. */
  async produce(broker: KafkaBroker, partitions: readonly ProducedPartition[]): Promise<ReadonlyMap<number, Produced>> {
    try {
      const reply = await produce(broker, this.#topic, partitions, timings.requestMs - 1_000);
      const answers = new Map<number, Produced>();
      for (const answer of reply.topics.flatMap((topic) => topic.partitions)) {
        answers.set(answer.partition, outcomeOf(answer));
      }
      if ([...answers.values()].some((answer) => answer.what === 'refused' && answer.again)) this.stale();
      return answers;
    } catch (error) {
      this.#gaveUp(broker, error);
      const message = `the broker did not answer: ${(error as Error).message}; the record may still be written`;
      return new Map(partitions.map(({ partition }) => [partition, { what: 'unknown', message }]));
    }
  }

  #gaveUp(broker: KafkaBroker, error: unknown): void {
    const { host, port } = broker.connectionPool;
    // After a timeout the connection may be half open, which kafkajs never finds out.
    if ((error as Error).name === 'KafkaJSRequestTimeoutError') this.#client.cut({ host, port });
    this.stale();
  }

  /** Offset of the first record still there and of the next one, of each of these shards. */
  async bounds(shards: readonly number[], deadlineMs: number): Promise<Map<number, { low: number; end: number }>> {
    return this.#read(deadlineMs, async (leaders) => {
      const bounds = new Map(shards.map((shard) => [shard, { low: 0, end: 0 }]));
      for (const [broker, partitions] of byLeader(leaders, shards)) {
        const [low, end] = await Promise.all([
          this.#offsets(broker, partitions, earliest),
          this.#offsets(broker, partitions, latest),
        ]);
        for (const shard of partitions) bounds.set(shard, { low: low.get(shard)!, end: end.get(shard)! });
      }
      return bounds;
    });
  }

  async #offsets(broker: KafkaBroker, shards: readonly number[], timestamp: number): Promise<Map<number, number>> {
    const { responses } = await broker.listOffsets({
      isolationLevel: 0,
      topics: [{ topic: this.#topic, partitions: shards.map((partition) => ({ partition, timestamp })) }],
    });
    return new Map(
      responses.flatMap(({ partitions }) => partitions.map(({ partition, offset }) => [partition, Number(offset)])),
    );
  }

  /** The record at exactly this offset; null if there is none, or it is a transaction's marker or of an aborted one. */
  async readAt(shard: number, offset: number, deadlineMs: number): Promise<LogRecord | null> {
    return this.#read(deadlineMs, async (leaders) => {
      try {
        const { responses } = await leaders[shard]!.fetch({
          maxWaitTime: 0,
          minBytes: 0,
          // A broker sends the first batch whole, however large.
          maxBytes: 1,
          isolationLevel: readCommitted,
          topics: [
            { topic: this.#topic, partitions: [{ partition: shard, fetchOffset: String(offset), maxBytes: 1 }] },
          ],
        });
        const fetched = responses[0]?.partitions[0];
        if (fetched === undefined) return null;
        const { messages } = new FetchBatch(this.#topic, String(offset), fetched);
        const message = messages.find((one) => one.offset === String(offset));
        return message === undefined ? null : recordOf(shard, message);
      } catch (error) {
        if ((error as Error).name === 'KafkaJSOffsetOutOfRange') return null;
        throw error;
      }
    });
  }

  /** Records from `offset` on, as many as one answer of the broker has, and where to read on; none when the end is reached. */
  async readFrom(
    shard: number,
    offset: number,
    deadlineMs: number,
  ): Promise<{ readonly messages: readonly FetchedMessage[]; readonly next: number }> {
    return this.#read(deadlineMs, async (leaders) => {
      const { responses } = await leaders[shard]!.fetch({
        maxWaitTime: 0,
        minBytes: 0,
        maxBytes: limits.fetchPartitionBytes,
        isolationLevel: readCommitted,
        topics: [
          {
            topic: this.#topic,
            partitions: [{ partition: shard, fetchOffset: String(offset), maxBytes: limits.fetchPartitionBytes }],
          },
        ],
      });
      const fetched = responses[0]?.partitions[0];
      if (fetched === undefined || fetched.messages.length === 0) return { messages: [], next: offset };
      const batch = new FetchBatch(this.#topic, String(offset), fetched);
      const messages = batch.messages.filter((message) => Number(message.offset) >= offset);
      return { messages, next: Math.max(offset, Number(batch.lastOffset()) + 1) };
    });
  }

  /** Repeats a reading, which is safe to repeat, until it succeeds or the deadline has passed. */
  async #read<Answer>(
    deadlineMs: number,
    attempt: (leaders: readonly KafkaBroker[]) => Promise<Answer>,
  ): Promise<Answer> {
    const end = performance.now() + deadlineMs;
    for (let failures = 0; ; failures++) {
      try {
        return await within(end - performance.now(), async () => {
          if (this.leaders() === null) await this.connect();
          const leaders = this.leaders();
          if (leaders === null) throw new Error('not every partition has a leader that answers');
          return attempt(leaders);
        });
      } catch (error) {
        this.stale();
        const wait = backoffMs(failures);
        if (performance.now() + wait >= end) {
          throw new UsherError('LOG_UNAVAILABLE', `Kafka did not answer in ${deadlineMs} ms: ${messageOf(error)}`, {
            cause: error,
          });
        }
        await sleep(wait);
      }
    }
  }

  async close(): Promise<void> {
    this.#fresh = false;
    await within(timings.leaveMs, () => this.#cluster.disconnect()).catch(() => {});
  }
}

function outcomeOf(answer: { errorCode: number; baseOffset: string; logAppendTime: string }): Produced {
  if (answer.errorCode === 0) {
    const stamp = Number(answer.logAppendTime);
    if (stamp >= 0) return { what: 'written', offset: Number(answer.baseOffset), stamp };
    return { what: 'unknown', message: 'the record is written, but the topic no longer has LogAppendTime' };
  }
  const { type, message } = errorTypeOf(answer.errorCode);
  const text = `the broker answered ${type}: ${message}`;
  if (openEnded.has(type)) return { what: 'unknown', message: text };
  return { what: 'refused', again: refusedForNow.has(type), message: text };
}

export function recordOf(shard: number, { offset, timestamp, key, value }: FetchedMessage): LogRecord {
  return {
    shard,
    offset: Number(offset),
    stamp: Number(timestamp),
    key: key === null ? null : key.toString(),
    // Another program may have written a record without a value; it reads as text that is no JSON.
    value: value === null ? '' : value.toString(),
  };
}

export function byLeader(leaders: readonly KafkaBroker[], shards: Iterable<number>): Map<KafkaBroker, number[]> {
  const groups = new Map<KafkaBroker, number[]>();
  for (const shard of shards) {
    const broker = leaders[shard]!;
    const group = groups.get(broker);
    if (group === undefined) groups.set(broker, [shard]);
    else group.push(shard);
  }
  return groups;
}

/** Jitter, so that many processes do not come back at the same moment. */
export function backoffMs(failures: number): number {
  return Math.min(timings.backoffMostMs, timings.backoffFirstMs * 2 ** failures) * (0.5 + Math.random() / 2);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Rejects when the work has not ended in time; the work itself goes on, and is not heard of any more. */
export async function within<Answer>(ms: number, work: () => Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${Math.ceil(ms)} ms`)), Math.max(0, ms));
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
