import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import { UsherError } from '../errors.ts';
import { withAdmin } from './admin.ts';
import type { KafkaClient } from './client.ts';
import { timings } from './limits.ts';
import { messageOf } from './link.ts';

const { ConfigResourceTypes } = kafkajs;

/** How a topic of ours is made, and what it must be at least when it is there. */
export interface TopicOptions {
  readonly topic: string;
  readonly shards: number;
  /** `delete` keeps records for `retentionMs`, `compact` the newest of each key, both together the newest of each key for as long. */
  readonly cleanup: 'delete' | 'compact' | 'compact,delete';
  readonly replication: number;
  readonly minInsyncReplicas: number;
  /** How long records are kept, ms; -1: for ever. What is trimmed can no longer be folded again (semantics 4.7). */
  readonly retentionMs: number;
  /** Further settings for making it. */
  readonly settings?: Readonly<Record<string, string>>;
}

const settingsToCheck = ['message.timestamp.type', 'min.insync.replicas', 'cleanup.policy'];

/**
 * Makes the topic if it is not there, and checks it.
 * @throws UsherError CONFIG_INVALID, SHARDS_MISMATCH, LOG_TOPIC_UNSUITABLE, LOG_UNAVAILABLE
 */
export async function ensureTopic(client: KafkaClient, options: TopicOptions): Promise<void> {
  const { topic, replication, minInsyncReplicas } = options;
  // Kafka 4 takes the smaller of the two without a word, which would be less than what was asked for.
  if (minInsyncReplicas > replication) {
    throw new UsherError(
      'CONFIG_INVALID',
      `minInsyncReplicas is ${minInsyncReplicas}, more than the ${replication} copies`,
    );
  }
  try {
    const copies = await withAdmin(client, (admin) =>
      onceHosted(async () => {
        await create(admin, options);
        await checkSettings(admin, options);
        return checkPartitions(admin, options);
      }),
    );
    if (copies < replication) throw unsuitable(topic, 'replication', copies, `at least ${replication}`);
  } catch (error) {
    if (error instanceof UsherError) throw error;
    throw new UsherError('LOG_UNAVAILABLE', `topic ${topic} could not be made or read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A broker may answer that it does not know a topic that another has just made: it learns of it a moment later. */
export async function onceHosted<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  const end = performance.now() + timings.hostedMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const isUnknown = error instanceof Error && 'type' in error && error.type === 'UNKNOWN_TOPIC_OR_PARTITION';
      if (!isUnknown || performance.now() > end) throw error;
      await sleep(timings.backoffFirstMs);
    }
  }
}

async function create(admin: Admin, options: TopicOptions): Promise<void> {
  const { topic, shards, cleanup, replication, minInsyncReplicas, retentionMs, settings = {} } = options;
  if ((await admin.listTopics()).includes(topic)) return;
  // False: another process was first. Then its topic is checked like any.
  await admin.createTopics({
    waitForLeaders: true,
    topics: [
      {
        topic,
        numPartitions: shards,
        replicationFactor: replication,
        configEntries: [
          { name: 'message.timestamp.type', value: 'LogAppendTime' },
          { name: 'min.insync.replicas', value: String(minInsyncReplicas) },
          { name: 'cleanup.policy', value: cleanup },
          { name: 'retention.ms', value: String(retentionMs) },
          ...Object.entries(settings).map(([name, value]) => ({ name, value })),
        ],
      },
    ],
  });
}

/** How many copies the least copied partition has. */
async function checkPartitions(admin: Admin, { topic, shards }: TopicOptions): Promise<number> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const partitions = topics[0]?.partitions ?? [];
  if (partitions.length !== shards) {
    throw new UsherError(
      'SHARDS_MISMATCH',
      `topic ${topic} has ${partitions.length} partitions, and this Usher was started with ${shards} shards`,
    );
  }
  return Math.min(...partitions.map(({ replicas }) => replicas.length));
}

async function checkSettings(admin: Admin, { topic, cleanup: wanted, minInsyncReplicas }: TopicOptions): Promise<void> {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: settingsToCheck }],
  });
  const values = new Map(
    resources[0]?.configEntries.map(({ configName, configValue }) => [configName, configValue] as const),
  );
  const stamps = values.get('message.timestamp.type');
  // The fold's time is the log's (semantics 3.1): with CreateTime it would be each gateway's own clock.
  if (stamps !== 'LogAppendTime') throw unsuitable(topic, 'message.timestamp.type', stamps, 'LogAppendTime');
  const insync = Number(values.get('min.insync.replicas'));
  if (!(insync >= minInsyncReplicas)) {
    throw unsuitable(topic, 'min.insync.replicas', insync, `at least ${minInsyncReplicas}`);
  }
  const cleanup = values.get('cleanup.policy');
  if (cleanup !== wanted) throw unsuitable(topic, 'cleanup.policy', cleanup, wanted);
}

function unsuitable(topic: string, setting: string, is: unknown, wanted: string): UsherError {
  return new UsherError('LOG_TOPIC_UNSUITABLE', `topic ${topic}: ${setting} is ${is}, and must be ${wanted}`);
}
