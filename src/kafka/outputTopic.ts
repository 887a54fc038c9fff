import type { Admin } from 'kafkajs';
import { UsherError } from '../errors.ts';
import { withAdmin } from './admin.ts';
import type { KafkaClient } from './client.ts';
import { messageOf } from './link.ts';
import { onceHosted } from './topic.ts';

/** How a topic for other systems is made. One that is there is taken as it is: it may have other owners and settings by now. */
export interface OutputTopicOptions {
  readonly topic: string;
  readonly partitions: number;
  readonly replication: number;
  /** Settings of the topic besides LogAppendTime. */
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * Makes the topic if it is not there; answers how many partitions it has.
 * @throws UsherError OUTPUT_UNAVAILABLE
 */
export async function ensureOutputTopic(client: KafkaClient, options: OutputTopicOptions): Promise<number> {
  const { topic } = options;
  try {
    const { topics } = await withAdmin(client, (admin) =>
      onceHosted(async () => {
        if (!(await admin.listTopics()).includes(topic)) await create(admin, options);
        return admin.fetchTopicMetadata({ topics: [topic] });
      }),
    );
    const partitions = topics[0]?.partitions.length ?? 0;
    if (partitions === 0) throw new Error('it has no partitions');
    return partitions;
  } catch (error) {
    throw new UsherError('OUTPUT_UNAVAILABLE', `topic ${topic} could not be made or read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function create(admin: Admin, { topic, partitions, replication, settings }: OutputTopicOptions): Promise<void> {
  // False: another process was first.
  await admin.createTopics({
    waitForLeaders: true,
    topics: [
      {
        topic,
        numPartitions: partitions,
        replicationFactor: replication,
        configEntries: Object.entries({ 'message.timestamp.type': 'LogAppendTime', ...settings }).map(
          ([name, value]) => ({ name, value }),
        ),
      },
    ],
  });
}
