import kafkajs from 'kafkajs';
import { beforeAll, describe, expect, it } from 'vitest';
import { openKafkaLog } from '../../src/log/kafkaLog.ts';
import { kafkaLogOptions } from '../contract/kafkaSubjects.ts';
import { sharedEngine } from '../support/engines.ts';
import { asAdmin, whyNoKafka } from '../support/kafkaBroker.ts';

const reason = await whyNoKafka();

describe.skipIf(reason !== null)(reason === null ? 'the topic' : `skipped: ${reason}`, () => {
  let address: string;
  beforeAll(async () => {
    address = await sharedEngine('kafka');
  }, 120_000);

  const made = async (numPartitions: number, settings: Readonly<Record<string, string>>) => {
    const options = kafkaLogOptions(address);
    const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
    await asAdmin(address, (admin) =>
      admin.createTopics({ topics: [{ topic: options.topic!, numPartitions, configEntries }] }),
    );
    return options;
  };

  it('is made as configured, and found again', async () => {
    const options = kafkaLogOptions(address, { shards: 6, retentionMs: 86_400_000 });
    await (await openKafkaLog(options)).close();
    await asAdmin(address, async (admin) => {
      const { topics } = await admin.fetchTopicMetadata({ topics: [options.topic!] });
      expect(topics[0]!.partitions).toHaveLength(6);
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: options.topic! }],
      });
      const values = Object.fromEntries(
        resources[0]!.configEntries.map((entry) => [entry.configName, entry.configValue]),
      );
      expect(values).toMatchObject({
        'message.timestamp.type': 'LogAppendTime',
        'min.insync.replicas': '1',
        'cleanup.policy': 'delete',
        'retention.ms': '86400000',
      });
    });
    const log = await openKafkaLog(options);
    expect(log.shards).toBe(6);
    await log.close();
  });

  it('refuses another number of shards with SHARDS_MISMATCH', async () => {
    const options = await made(3, {});
    await expect(openKafkaLog(options)).rejects.toMatchObject({
      code: 'SHARDS_MISMATCH',
      message: expect.stringContaining('3 partitions'),
    });
  });

  it.each([
    ['message.timestamp.type', 'CreateTime', {}, 'message.timestamp.type is CreateTime, and must be LogAppendTime'],
    ['cleanup.policy', 'compact', {}, 'cleanup.policy is compact, and must be delete'],
    [
      'min.insync.replicas',
      '1',
      { replication: 2, minInsyncReplicas: 2 },
      'min.insync.replicas is 1, and must be at least 2',
    ],
    ['min.insync.replicas', '1', { replication: 2 }, 'replication is 1, and must be at least 2'],
  ])('refuses %s=%s with LOG_TOPIC_UNSUITABLE when %o is asked for', async (setting, value, wanted, message) => {
    const options = await made(4, { 'message.timestamp.type': 'LogAppendTime', [setting]: value });
    await expect(openKafkaLog({ ...options, ...wanted })).rejects.toMatchObject({
      code: 'LOG_TOPIC_UNSUITABLE',
      message: expect.stringContaining(message),
    });
  });

  it('refuses to ask for more replicas in sync than there are copies', async () => {
    await expect(openKafkaLog(kafkaLogOptions(address, { minInsyncReplicas: 2 }))).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  it('answers LOG_UNAVAILABLE when no broker is there', async () => {
    await expect(openKafkaLog(kafkaLogOptions('127.0.0.1:1'))).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  });
});
