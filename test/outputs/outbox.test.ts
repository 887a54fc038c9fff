import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outputs } from '../../src/log/outputs.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { until } from '../contract/contract.ts';
import { type OwnBroker, ownBroker, whyNoKafka } from '../support/kafkaBroker.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { type Cluster, openCluster, partitions, shards, shopping, type TestWorker, type Written } from './cluster.ts';

const reason = (await whyNoKafka()) ?? (hasRedisServer ? null : 'redis-server is not installed');
const ajv = new Ajv2020({ strict: true, allErrors: true });
const schemas = Object.fromEntries(
  ['decisions', 'failed'].map((topic) => {
    const path = new URL(`../../schema/outputs/${topic}.v1.json`, import.meta.url);
    return [topic, ajv.compile(JSON.parse(readFileSync(path, 'utf8')))];
  }),
);

describe.skipIf(reason !== null)(reason === null ? 'decisions and failed events' : `skipped: ${reason}`, () => {
  let broker: OwnBroker;
  let server: RedisServer;
  beforeAll(async () => {
    [broker, server] = await Promise.all([ownBroker(), startRedis()]);
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await broker?.close();
  });

  it('come to their topics as the fold says, each once and in order when nothing happens', async () => {
    await using cluster = await openCluster(server, broker.address);
    await cluster.startWorker();
    await cluster.append(shopping(1, 300));
    await untilDelivered(cluster);
    const told = await toldAsFolded(cluster);
    for (const [topic, { written, expected }] of Object.entries(told)) {
      expect(expected.length).toBeGreaterThan(10);
      expect(written.length).toBe(expected.length);
      for (const { key, value, partition } of written) {
        const check = schemas[topic]!;
        expect([check(JSON.parse(value)), check.errors]).toEqual([true, null]);
        expect(partition).toBe(shardOf(key, partitions));
      }
    }
    expect(await cluster.topics()).toEqual([
      `${cluster.namespace}.decisions`,
      `${cluster.namespace}.failed`,
      `${cluster.namespace}.g1.events`,
    ]);
  });

  it('are written again by the next owner, when the first died between writing and noting it', async () => {
    await using cluster = await openCluster(server, broker.address);
    const dying = await cluster.startWorker({
      store: (store) => withDrained(store, () => Promise.reject(new Error('the process is gone'))),
    });
    await cluster.append(shopping(2, 120));
    await caughtUp(cluster, dying);
    await until('something was written, and could not be noted', () => count(dying, 'outputFailing') > 0);
    await dying.stop();
    expect((await cluster.store.readOutbox(0, null, 1_000)).length).toBeGreaterThan(0);
    await cluster.startWorker();
    await cluster.append(shopping(3, 120));
    await untilDelivered(cluster);
    const { decisions } = await toldAsFolded(cluster);
    expect(decisions!.written.length).toBeGreaterThan(decisions!.expected.length);
  });

  it('come at least once and in order through a broker that dies and comes back', async () => {
    await using cluster = await openCluster(server, broker.address);
    const worker = await cluster.startWorker({ limits: { outputBatch: 5, commitVisitors: 4 } });
    await cluster.append(shopping(4, 200));
    await until('the first are written', () => count(worker, 'outputsWritten') > 2);
    await broker.stop('SIGKILL');
    // Whichever notices first: the write, or the member of the group, which gives the shards back.
    const isFelt = () => count(worker, 'outputFailing') > 0 || worker.worker.states().size === 0;
    await until('a write has failed, or the shards are given back', isFelt);
    await broker.start();
    await untilDelivered(cluster);
    await toldAsFolded(cluster);
  }, 90_000);

  it('are all there when shards move to and fro while they are written', async () => {
    await using cluster = await openCluster(server, broker.address);
    let worker = await cluster.startWorker({ limits: { outputBatch: 3 } });
    for (let turn = 0; turn < 3; turn++) {
      await cluster.append(shopping(10 + turn, 100));
      await until('some are written', () => count(worker, 'outputsWritten') > 0);
      await worker.stop();
      worker = await cluster.startWorker({ limits: { outputBatch: 3 } });
    }
    await untilDelivered(cluster);
    await toldAsFolded(cluster);
  }, 60_000);

  it('hold the fold up when a topic takes nothing, and only then', async () => {
    await using cluster = await openCluster(server, broker.address);
    let isShut = true;
    const shut = (outputs: Outputs): Outputs => ({
      write: async (topic, entries) => {
        if (isShut && topic === 'decisions') throw new Error('planted: the topic takes nothing');
        await outputs.write(topic, entries);
      },
      close: () => outputs.close(),
    });
    const limits = { batchRecords: 10, outboxEntries: 20 };
    const worker = await cluster.startWorker({ outputs: shut, limits });
    await cluster.append(shopping(5, 400));
    await until('both shards wait', () => new Set(of(worker, 'outputsFull').map(({ shard }) => shard)).size === shards);
    // The other topic is not held up by it.
    await until('failed events are written', () =>
      of(worker, 'outputsWritten').some(({ topic }) => topic === 'failed'),
    );
    for (let shard = 0; shard < shards; shard++) {
      const standing = async () => (await cluster.store.readOutbox(shard, null, 1_000)).length;
      await until('the outbox is full of decisions', async () => (await standing()) > limits.outboxEntries);
      const waiting = await standing();
      // One batch on top: at most as many outputs as records, and those that had been held.
      expect(waiting).toBeLessThan(limits.outboxEntries + 2 * limits.batchRecords + 8);
    }
    isShut = false;
    await untilDelivered(cluster);
    await toldAsFolded(cluster);
  });

  it('are missed by these tests when one is lost, or comes too early', async () => {
    await using cluster = await openCluster(server, broker.address);
    let written = 0;
    const loses = (outputs: Outputs): Outputs => ({
      write: (topic, entries) => outputs.write(topic, ++written === 2 ? entries.slice(1) : entries),
      close: () => outputs.close(),
    });
    const first = await cluster.startWorker({ outputs: loses, limits: { outputBatch: 5 } });
    await cluster.append(shopping(6, 100));
    await untilDelivered(cluster);
    await expect(toldAsFolded(cluster)).rejects.toThrow(/expected/);
    // The next one has the same keys.
    await first.stop();

    await using other = await openCluster(server, broker.address);
    const swaps = (outputs: Outputs): Outputs => ({
      write: (topic, entries) => outputs.write(topic, entries.toReversed()),
      close: () => outputs.close(),
    });
    await other.startWorker({ outputs: swaps });
    await other.append(shopping(7, 100));
    await untilDelivered(other);
    await expect(toldAsFolded(other)).rejects.toThrow(/expected/);
  });
});

const of = <What extends TestWorker['events'][number]['what']>(worker: TestWorker, what: What) =>
  worker.events.filter((event) => event.what === what) as Extract<TestWorker['events'][number], { what: What }>[];
const count = (worker: TestWorker, what: TestWorker['events'][number]['what']) => of(worker, what).length;

function withDrained(store: StateStore, drained: StateStore['drained']): StateStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'drained') return drained;
      const value = target[name as keyof StateStore];
      return typeof value === 'function' ? (value as (...args: never[]) => unknown).bind(target) : value;
    },
  });
}

async function caughtUp(cluster: Cluster, { worker }: TestWorker): Promise<void> {
  await until('both shards are owned', () => worker.states().size === shards);
  await worker.caughtUp(AbortSignal.timeout(30_000));
  void cluster;
}

/** All is folded, and nothing waits in the outboxes. */
async function untilDelivered(cluster: Cluster): Promise<void> {
  const end = performance.now() + 60_000;
  for (let shard = 0; shard < shards; shard++) {
    for (;;) {
      const isAtEnd = (await cluster.store.readMeta(shard))?.position === (await cluster.log.bounds(shard)).end;
      // A held event waits for a tick, after which the log is longer.
      const isQuiet = isAtEnd && (await cluster.store.nextWakeup(shard).then((at) => at === null || at > Date.now()));
      if (isQuiet && (await cluster.store.readOutbox(shard, null, 1)).length === 0) break;
      if (performance.now() > end) throw new Error(`shard ${shard} was not delivered in 60 s`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** Each topic has all that folding the log anew tells, and, repeats apart, in the same order for every visitor. */
async function toldAsFolded(cluster: Cluster) {
  const folded = await cluster.foldAnew();
  const told: Record<string, { written: readonly Written[]; expected: readonly string[] }> = {};
  for (const topic of ['decisions', 'failed']) {
    const expected = folded.flatMap(({ outbox }) => outbox.filter((entry) => entry.topic === topic));
    const written = await cluster.read(topic);
    const firsts = new Map(written.toReversed().map((one) => [JSON.parse(one.value).id as string, one]));
    const inOrder = written.filter((one) => firsts.get(JSON.parse(one.value).id) === one);
    const byKey = (entries: readonly { readonly key: string; readonly value: string }[]) =>
      Object.fromEntries(
        [...Map.groupBy(entries, ({ key }) => key)]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, of]) => [key, of.map(({ value }) => ({ ...JSON.parse(value), lineage: '' }))]),
      );
    expect(byKey(inOrder)).toEqual(byKey(expected));
    told[topic] = { written, expected: expected.map(({ value }) => value) };
  }
  return told;
}
