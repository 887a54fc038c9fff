import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outputs } from '../../src/log/outputs.ts';
import { until } from '../contract/contract.ts';
import { type OwnBroker, ownBroker, whyNoKafka } from '../support/kafkaBroker.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { type Cluster, copiesAsAppended, openCluster, shards, shopping } from './cluster.ts';

const reason = (await whyNoKafka()) ?? (hasRedisServer ? null : 'redis-server is not installed');
const all = { copiedTypes: ['*'] };
const seconds = 1_000;

describe.skipIf(reason !== null)(reason === null ? 'a topic per event type' : `skipped: ${reason}`, () => {
  let broker: OwnBroker;
  let server: RedisServer;
  beforeAll(async () => {
    [broker, server] = await Promise.all([ownBroker(), startRedis()]);
  }, 120 * seconds);
  afterAll(async () => {
    await server?.close();
    await broker?.close();
  });

  it(
    'has the records of the log as they were appended, with position and time; none of what is no event',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      // A busy broker is nothing that happens.
      const { events } = await cluster.startWorker({ ...all, deadlineMs: 40 * seconds });
      await cluster.append(shopping(21, 300));
      const unfit = { v: 1, kind: 'event', id: 'x', visitor: 'shopper 1', type: '../no topic', properties: {} };
      await cluster.append([0, 1].map((shard) => ({ shard, key: null, value: JSON.stringify(unfit) })));
      await untilCopied(cluster);
      const topics = await copiesAsAppended(cluster);
      expect([...topics.keys()].sort()).toEqual([
        'cart_item_added',
        'product_clicked',
        'product_viewed',
        'search_performed',
      ]);
      expect(events.filter(({ what }) => what === 'outputFailing')).toEqual([]);
      for (const [type, written] of topics) {
        expect(written.length, `${type}: once each when nothing happens`).toBe(
          new Set(written.map(({ headers }) => headers['position'])).size,
        );
      }
      expect(await cluster.topics()).toHaveLength(7);
    },
    60 * seconds,
  );

  it(
    'is made for chosen types only',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      await cluster.startWorker({ copiedTypes: ['product_clicked', 'never_sent'] });
      await cluster.append(shopping(22, 60));
      await untilCopied(cluster);
      const topics = (await cluster.topics()).filter((topic) => topic.includes('.events.'));
      expect(topics).toEqual([`${cluster.namespace}.events.product_clicked`]);
    },
    60 * seconds,
  );

  it(
    'gets what it had not acknowledged from the next owner, records that are folded already included',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      const deaf = (outputs: Outputs): Outputs => ({
        // Written, and the answer never comes.
        write: async (topic, entries) => {
          await outputs.write(topic, entries);
          if (topic === 'events.search_performed') throw new Error('planted: no answer');
        },
        close: () => outputs.close(),
      });
      const first = await cluster.startWorker({ ...all, outputs: deaf });
      await cluster.append(shopping(23, 150));
      await until('all is folded', () => isFolded(cluster));
      await first.stop();
      for (let shard = 0; shard < shards; shard++) {
        const { copied, position } = (await cluster.store.readMeta(shard))!;
        expect(copied).toBeLessThan(position);
      }
      const second = await cluster.startWorker(all);
      await cluster.append(shopping(24, 150));
      await untilCopied(cluster);
      const topics = await copiesAsAppended(cluster);
      expect(topics.get('search_performed')!.length).toBeGreaterThan(
        new Set(topics.get('search_performed')!.map(({ headers }) => headers['position'])).size,
      );
      // What was only copied was not folded twice.
      const [alone] = await cluster.foldAnew();
      expect((await cluster.store.readMeta(0))!.counters).toEqual(alone!.meta.counters);
      await second.stop();
    },
    60 * seconds,
  );

  it(
    'is missed by these tests when it loses a record',
    async () => {
      await using cluster = await openCluster(server, broker.address);
      let isLost = false;
      const loses = (outputs: Outputs): Outputs => ({
        write: async (topic, entries) => {
          const loseNow = !isLost && topic === 'events.product_viewed';
          isLost ||= loseNow;
          await outputs.write(topic, loseNow ? entries.slice(1) : entries);
        },
        close: () => outputs.close(),
      });
      await cluster.startWorker({ ...all, outputs: loses });
      await cluster.append(shopping(25, 60));
      await untilCopied(cluster);
      await expect(copiesAsAppended(cluster)).rejects.toThrow(/expected/);
    },
    60 * seconds,
  );
});

async function isFolded(cluster: Cluster): Promise<boolean> {
  for (let shard = 0; shard < shards; shard++) {
    const end = (await cluster.log.bounds(shard)).end;
    if ((await cluster.store.readMeta(shard))?.position !== end) return false;
  }
  return true;
}

/** The state says that all is folded and copied, and no timer will append more soon. */
async function untilCopied(cluster: Cluster): Promise<void> {
  await until('all is folded and copied', async () => {
    for (let shard = 0; shard < shards; shard++) {
      const meta = await cluster.store.readMeta(shard);
      const wakeAt = await cluster.store.nextWakeup(shard);
      if (meta?.copied !== (await cluster.log.bounds(shard)).end) return false;
      if (wakeAt !== null && wakeAt <= Date.now()) return false;
    }
    return isFolded(cluster);
  });
}
