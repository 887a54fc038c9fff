import { UsherError } from '../errors.ts';
import { type KafkaConnection, kafkaClient } from '../kafka/client.ts';
import { Gathering, type Parts } from '../kafka/gathering.ts';
import type { ProducedMessage } from '../kafka/internals.ts';
import { timings } from '../kafka/limits.ts';
import { byLeader, Link, messageOf, within } from '../kafka/link.ts';
import { ensureOutputTopic } from '../kafka/outputTopic.ts';
import { produceAll } from '../kafka/produceAll.ts';
import { shardOf } from '../model/shard.ts';
import type { OutputEntry, Outputs } from './outputs.ts';

export interface KafkaOutputsOptions {
  readonly connection: KafkaConnection;
  /** First part of the topics' names, before a dot. */
  readonly namespace: string;
  /** Of topics that are made here. */
  readonly partitions: number;
  readonly replication: number;
  readonly minInsyncReplicas: number;
  readonly retentionMs: number;
  /** A write is answered within this long, ms. */
  readonly deadlineMs: number;
}

/** Topics on Kafka, made when something is first written to them; a key's partition is that of Kafka's default partitioner. */
export function kafkaOutputs(options: KafkaOutputsOptions): Outputs {
  return new KafkaOutputs(options);
}

interface Topic {
  readonly link: Link;
  readonly partitions: number;
  readonly gathering: Gathering;
}

class KafkaOutputs implements Outputs {
  readonly #options: KafkaOutputsOptions;
  readonly #client;
  readonly #topics = new Map<string, Promise<Topic>>();
  readonly #writing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: KafkaOutputsOptions) {
    this.#options = options;
    this.#client = kafkaClient(options.connection);
  }

  async write(name: string, entries: readonly OutputEntry[]): Promise<void> {
    if (this.#closed) throw new UsherError('OUTPUT_UNAVAILABLE', 'the outputs are closed');
    const topic = `${this.#options.namespace}.${name}`;
    const writing = this.#write(topic, entries);
    this.#writing.add(writing);
    try {
      await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }

  async #write(name: string, entries: readonly OutputEntry[]): Promise<void> {
    const { deadlineMs } = this.#options;
    try {
      await within(deadlineMs, async () => {
        const { gathering, partitions } = await this.#topicOf(name);
        await gathering.write(partsOf(entries, partitions));
      });
    } catch (error) {
      throw new UsherError('OUTPUT_UNAVAILABLE', `topic ${name} did not take all of a write: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #topicOf(name: string): Promise<Topic> {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = this.#open(name);
      this.#topics.set(name, topic);
      topic.catch(() => this.#topics.delete(name));
    }
    return topic;
  }

  async #open(topic: string): Promise<Topic> {
    const { connection, partitions, replication, minInsyncReplicas, retentionMs } = this.#options;
    const settings = { 'min.insync.replicas': String(minInsyncReplicas), 'retention.ms': String(retentionMs) };
    const found = await ensureOutputTopic(kafkaClient(connection), { topic, partitions, replication, settings });
    const link = new Link(this.#client, topic, found);
    const gathering = new Gathering(timings.outputGatherMs, (parts) => produceParts(link, parts));
    return { link, partitions: found, gathering };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#writing);
    const topics = await Promise.allSettled(this.#topics.values());
    await Promise.all(topics.map(async (topic) => topic.status === 'fulfilled' && topic.value.link.close()));
    this.#client.close();
  }
}

function partsOf(entries: readonly OutputEntry[], partitions: number): Parts {
  const parts = new Map<number, ProducedMessage[]>();
  for (const { key, value, headers } of entries) {
    const partition = shardOf(key, partitions);
    const message = { key: Buffer.from(key), value: Buffer.from(value), ...(headers && { headers }) };
    const part = parts.get(partition);
    if (part === undefined) parts.set(partition, [message]);
    else part.push(message);
  }
  return parts;
}

async function produceParts(link: Link, parts: Parts): Promise<void> {
  if (link.leaders() === null) await link.connect();
  const leaders = link.leaders();
  if (leaders === null) throw new Error('not every partition has a leader that answers');
  await Promise.all([...byLeader(leaders, parts.keys())].map(([broker, of]) => produceAll(link, broker, of, parts)));
}
