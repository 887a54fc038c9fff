import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BundleTopic } from '../../src/kafka/bundleTopic.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import { type Engines, freshNamespace, removeNamespace, sharedEngines, whyNoEngines } from '../support/engines.ts';

const reason = await whyNoEngines();

describe.skipIf(reason !== null)(reason === null ? 'the bundles beside the log' : `skipped: ${reason}`, () => {
  const namespace = freshNamespace();
  let engines: Engines;
  let topic: BundleTopic;
  const open = () =>
    BundleTopic.open({
      connection: { brokers: [engines.kafka], clientId: 'test' },
      topic: `${namespace}.g1.bundles`,
      replication: 1,
      minInsyncReplicas: 1,
      deadlineMs: 10_000,
    });
  beforeAll(async () => {
    engines = await sharedEngines();
    topic = await open();
  }, 120_000);
  afterAll(async () => {
    await topic?.close();
    if (engines !== undefined) await removeNamespace(engines, namespace);
  });

  it('are read back by another process, also those larger than a record may be', async () => {
    const large = randomBytes(1_200_000).toString('hex');
    await topic.put('aaaa', '{"files":{}}');
    await topic.put('bbbb', large);
    const other = await open();
    try {
      expect(await other.read('aaaa')).toBe('{"files":{}}');
      expect((await other.read('bbbb')) === large).toBe(true);
      expect(await other.read('cccc')).toBeNull();
    } finally {
      await other.close();
    }
  });

  it('are put back into a Redis that lost them', async () => {
    const redis = await openRedis({ url: engines.redisUrl, namespace, shards: 1, visitorRetentionMs: 86_400_000 });
    try {
      const store = redisStore(redis, topic);
      await store.putBundle('dddd', 'a playbook');
      const [key] = await redis.client.keys(`${namespace}:*dddd`);
      await redis.client.del(key!);
      expect(await store.readBundle('dddd')).toBe('a playbook');
      expect(await redis.client.get(key!)).toBe('a playbook');
      expect(await store.readBundle('eeee')).toBeNull();
    } finally {
      await redis.close();
    }
  });
});
