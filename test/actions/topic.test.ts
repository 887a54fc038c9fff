import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { topicDestination, topicNeedsKafka } from '../../src/actions/topic.ts';
import { kafkaOutputs } from '../../src/log/kafkaOutputs.ts';
import { shardOf } from '../../src/model/shard.ts';
import { runCase, runContract } from '../contract/contract.ts';
import { readTopic } from '../outputs/cluster.ts';
import { freshNamespace, removeNamespace, sharedEngine } from '../support/engines.ts';
import { asAdmin, whyNoKafka } from '../support/kafkaBroker.ts';
import { type DestinationSubject, destinationCases } from './destination.contract.ts';
import { attempt, message } from './messages.ts';

const reason = await whyNoKafka();
const path = new URL('../../schema/outputs/actions.v1.json', import.meta.url);
const fits = new Ajv2020({ strict: true, allErrors: true }).compile(JSON.parse(readFileSync(path, 'utf8')));
const partitions = 3;

describe.skipIf(reason !== null)(reason === null ? 'a topic on Kafka' : `skipped: ${reason}`, () => {
  let kafka: string;
  beforeAll(async () => {
    kafka = await sharedEngine('kafka');
  }, 120_000);
  const namespaces: string[] = [];
  afterAll(async () => {
    for (const namespace of namespaces) await removeNamespace({ kafka }, namespace);
  });

  async function open(partitions = 1): Promise<DestinationSubject & { records(): ReturnType<typeof readTopic> }> {
    const namespace = freshNamespace();
    namespaces.push(namespace);
    const topic = `${namespace}.actions`;
    const outputs = kafkaOutputs({
      connection: { brokers: [kafka], clientId: 'test' },
      namespace,
      partitions,
      replication: 1,
      minInsyncReplicas: 1,
      retentionMs: 3_600_000,
      deadlineMs: 10_000,
    });
    const destination = topicDestination(outputs);
    const records = async () => {
      const topics = await asAdmin(kafka, (admin) => admin.listTopics());
      return topics.includes(topic) ? readTopic(kafka, topic) : [];
    };
    const taken = async () => (await records()).map(({ headers }) => headers['id']!);
    return {
      destination,
      records,
      taken,
      begun: async () => (await taken()).length,
      // Those of the outputs, which are not the destination's.
      connections: async () => 0,
      async behave() {
        throw new Error('a topic takes what it gets');
      },
      async close() {
        await destination.close();
        await outputs.close();
      },
    };
  }

  const cases = destinationCases.filter(({ needs }) => needs === undefined);
  describe('the contract', () => runContract(cases, () => open()));

  it('gets a record for each message as its schema says, by visitor, with the id in a header', async () => {
    await runCase(
      {
        name: 'records',
        async run({ destination, records }) {
          for (let n = 1; n <= 6; n++) await destination.deliver(message(n), attempt);
          const written = await records();
          expect(written.length).toBe(6);
          for (const { key, value, headers, partition } of written) {
            const record = JSON.parse(value);
            expect([fits(record), fits.errors]).toEqual([true, null]);
            expect([record.visitor, record.id]).toEqual([key, headers['id']]);
            expect(partition).toBe(shardOf(key, partitions));
          }
          const first = written.find(({ headers }) => headers['id'] === message(1).id)!;
          const { payload, to } = message(1);
          expect(JSON.parse(first.value)).toMatchObject({ v: 1, action: 'cart_mail', payload, to });
        },
      },
      () => open(partitions),
    );
  });

  it('gets it again under the same id', async () => {
    await runCase(
      {
        name: 'repeat',
        async run({ destination, taken }) {
          for (let n = 0; n < 2; n++) await destination.deliver(message(1), attempt);
          expect(await taken()).toEqual([message(1).id, message(1).id]);
        },
      },
      () => open(),
    );
  });
});

describe('a topic whose Kafka', () => {
  it('does not answer is tried again, and says why', async () => {
    const outputs = kafkaOutputs({
      connection: { brokers: ['127.0.0.1:1'], clientId: 'test' },
      namespace: 'usher',
      partitions,
      replication: 1,
      minInsyncReplicas: 1,
      retentionMs: 3_600_000,
      deadlineMs: 200,
    });
    const destination = topicDestination(outputs);
    const outcome = await destination.deliver(message(1), attempt);
    expect(outcome).toMatchObject({ kind: 'retry', detail: expect.stringContaining('topic usher.actions') });
    await destination.close();
    await outputs.close();
  });

  it('is not there refuses every message, and says what to do', async () => {
    const destination = topicDestination(null);
    expect(await destination.deliver(message(1), attempt)).toEqual({ kind: 'refused', detail: topicNeedsKafka });
    await destination.close();
  });
});
