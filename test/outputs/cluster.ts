import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { readRecord } from '../../src/fold/record.ts';
import { defaultFoldSettings, type FoldSettings } from '../../src/fold/work.ts';
import { kafkaClient } from '../../src/kafka/client.ts';
import { Link } from '../../src/kafka/link.ts';
import type { EventLog } from '../../src/log/eventLog.ts';
import { openKafkaLog } from '../../src/log/kafkaLog.ts';
import { kafkaOutputs } from '../../src/log/kafkaOutputs.ts';
import { openKafkaSnapshots } from '../../src/log/kafkaSnapshots.ts';
import type { Outputs } from '../../src/log/outputs.ts';
import type { Snapshots } from '../../src/log/snapshots.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { shardOf } from '../../src/model/shard.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { type ShardEvent, type WorkerLimits, workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';
import { kafkaLogOptions } from '../contract/kafkaSubjects.ts';
import { redisSettings } from '../contract/redisSubjects.ts';
import { TestBundles } from '../support/bundles.ts';
import { FoldShard } from '../support/foldShard.ts';
import { asAdmin } from '../support/kafkaBroker.ts';
import { seededRandom } from '../support/random.ts';
import type { RedisServer } from '../support/redisServer.ts';

export const shards = 2;
const dayMs = 86_400_000;
export const partitions = 3;
const fold: FoldSettings = { ...defaultFoldSettings, outputs: ['decisions', 'failed'] };
const bundles = new TestBundles();
const playbook = bundles.addPlaybook(readFileSync(new URL('../vectors/playbooks/shop.yaml', import.meta.url), 'utf8'));
const catalog = bundles.addCatalog([{ id: 'p1', price: 8000 }]);

/** What one topic got. */
export interface Written {
  readonly key: string;
  readonly value: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly partition: number;
}

/** A worker as another process would be: with connections of its own. */
export interface TestWorker {
  readonly worker: Worker;
  readonly events: (ShardEvent & { readonly shard: number })[];
  stop(): Promise<void>;
}

export type Cluster = Awaited<ReturnType<typeof openCluster>>;

/** A log and topics of its own on this Kafka, its state in this Redis, which is emptied. */
export async function openCluster(server: RedisServer, address: string) {
  await server.flush();
  const namespace = `t${randomUUID()}`;
  const options = kafkaLogOptions(address, { shards, topic: `${namespace}.g1.events`, groupId: namespace });
  const log = await openKafkaLog(options);
  const redis = await openRedis(redisSettings(server.url, { shards }));
  const store = redisStore(redis);
  for (const hash of [playbook, catalog]) await store.putBundle(hash, bundles.text(hash)!);
  const closers: (() => Promise<void>)[] = [];
  const append = async (records: readonly { shard: number; key: string | null; value: string }[]) => {
    for (const outcome of await log.append(records)) if (!outcome.ok) throw new Error(outcome.message);
  };
  await append(
    Array.from({ length: shards }, (_, shard) => {
      const record = { v: 1, kind: 'activate', id: `a${shard}`, playbook, catalog, foldVersion: 1 };
      return { shard, key: null, value: JSON.stringify(record) };
    }),
  );
  return {
    log,
    store,
    redis,
    namespace,
    /** The log of a shard, from its beginning. */
    records: (shard: number) => readLog(log, shard),
    append,
    async startWorker(
      with_: {
        readonly outputs?: (outputs: Outputs) => Outputs;
        readonly store?: (store: StateStore) => StateStore;
        readonly limits?: Partial<WorkerLimits>;
        readonly copiedTypes?: readonly string[];
        readonly snapshots?: true | ((snapshots: Snapshots) => Snapshots);
        /** How long a topic may take to answer before what was sent to it is sent again. */
        readonly deadlineMs?: number;
      } = {},
    ): Promise<TestWorker> {
      const own = await openKafkaLog(options);
      const connection = await openRedis(redisSettings(server.url, { shards }));
      const deadlineMs = with_.deadlineMs ?? 3_000;
      const topics = { partitions, replication: 1, minInsyncReplicas: 1, retentionMs: dayMs, deadlineMs };
      const outputs = kafkaOutputs({ ...topics, connection: options.connection, namespace });
      const part = { ...topics, connection: options.connection, topic: `${namespace}.profiles`, shards };
      const opened = with_.snapshots === undefined ? null : await openKafkaSnapshots(part);
      const snapshots = typeof with_.snapshots === 'function' ? with_.snapshots(opened!) : opened;
      const state = redisStore(connection);
      const events: TestWorker['events'] = [];
      const worker = new Worker({
        log: own,
        store: with_.store?.(state) ?? state,
        outputs: {
          outputs: with_.outputs?.(outputs) ?? outputs,
          copiedTypes: with_.copiedTypes ?? [],
          ...(snapshots && { snapshots }),
        },
        bundles: new Bundles((hash) => state.readBundle(hash)),
        fold,
        limits: { ...workerLimits, ...with_.limits },
        machine: thisMachine,
        report: (shard, event) => events.push({ ...event, shard }),
      });
      await worker.start();
      let stopped: Promise<void> | null = null;
      const stop = async () => {
        await worker.stop();
        await outputs.close();
        await opened?.close();
        await connection.close();
        await own.close();
      };
      closers.push(() => (stopped ??= stop()));
      return { worker, events, stop: () => (stopped ??= stop()) };
    },
    /** All that the log has, folded by one who was never interrupted: what the topics must tell. */
    async foldAnew(): Promise<readonly FoldShard[]> {
      const logs = [...Array(shards).keys()].map((shard) => readLog(log, shard));
      return foldAlone((await Promise.all(logs)).flat());
    },
    fold: foldAlone,
    read: (topic: string) => readTopic(address, `${namespace}.${topic}`),
    async topics(): Promise<readonly string[]> {
      const all = await asAdmin(address, (admin) => admin.listTopics());
      return all.filter((topic) => topic.startsWith(`${namespace}.`)).sort();
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers.splice(0)) await close();
      await redis.close();
      await log.close();
      const mine = await this.topics();
      await asAdmin(address, (admin) => admin.deleteTopics({ topics: [...mine] }));
    },
  };
}

async function readLog(log: EventLog, shard: number): Promise<LogRecord[]> {
  const { low, end } = await log.bounds(shard);
  const records: LogRecord[] = [];
  for (let offset = low; offset < end; offset++) records.push((await log.readAt(shard, offset))!);
  return records;
}

/** All that a topic has. */
export async function readTopic(address: string, topic: string): Promise<readonly Written[]> {
  const offsets = await asAdmin(address, (admin) => admin.fetchTopicOffsets(topic));
  const client = kafkaClient({ brokers: [address], clientId: 'reader' });
  const link = new Link(client, topic, offsets.length);
  const written: Written[] = [];
  for (const { partition, low, high } of offsets) {
    for (let offset = Number(low); offset < Number(high); ) {
      const { messages, next } = await link.readFrom(partition, offset, 5_000);
      for (const { key, value, headers = {} } of messages) {
        const texts = Object.entries(headers).map(([name, text]) => [name, text.toString()]);
        written.push({ key: String(key), value: String(value), headers: Object.fromEntries(texts), partition });
      }
      offset = Math.max(next, offset + 1);
    }
  }
  await link.close();
  client.cut();
  return written;
}

function foldAlone(records: readonly LogRecord[]): readonly FoldShard[] {
  return [...Array(shards).keys()].map((shard) => {
    const alone = new FoldShard(bundles, { shard, shards, settings: fold });
    alone.log.push(...records.filter((record) => record.shard === shard));
    return alone.fold();
  });
}

/** Shoppers who look, search and buy; numbers that come late and are held; what cannot be folded; and who is nobody. */
export function shopping(seed: number, count: number): { shard: number; key: string | null; value: string }[] {
  const random = seededRandom(seed);
  const numbers = new Map<string, number>();
  const records: { shard: number; key: string | null; value: string }[] = [];
  for (let n = 0; n < count; n++) {
    const visitor = `shopper ${Math.floor(random() * 12)}`;
    const shard = shardOf(visitor, shards);
    const what = random();
    const [type, properties] =
      what < 0.4
        ? ['product_viewed', { productId: `p${Math.floor(random() * 5)}` }]
        : what < 0.7
          ? ['search_performed', { query: `q${n}` }]
          : what < 0.85
            ? ['product_clicked', { productId: 'p1' }]
            : ['cart_item_added', { productId: what < 0.9 ? 'unknown' : 'p1' }];
    const record: Record<string, unknown> = { v: 1, kind: 'event', id: `${seed}-${n}`, visitor, type, properties };
    if (random() < 0.5) {
      const source = `s${seed}`;
      const next = (numbers.get(visitor) ?? 0) + (random() < 0.1 ? 2 : 1);
      numbers.set(visitor, next);
      Object.assign(record, { source, sequence: next });
    }
    records.push({ shard, key: visitor, value: JSON.stringify(record) });
    if (random() < 0.05) records.push({ shard, key: null, value: '{"v":1,"kind":"event","id":"?"}' });
  }
  return records;
}

/** Each type's topic has what the log has of it, and, repeats apart, in the log's order for every visitor. @returns what it has */
export async function copiesAsAppended(cluster: Cluster): Promise<ReadonlyMap<string, readonly Written[]>> {
  const appended: { type: string; key: string; copy: object }[] = [];
  for (let shard = 0; shard < shards; shard++) {
    for (const { offset, stamp, value } of await cluster.records(shard)) {
      const { record } = readRecord({ shard, offset, stamp, key: null, value });
      if (record?.kind !== 'event' || !/^\w+$/.test(record.type)) continue;
      const headers = { position: `${shard}:${offset}`, appendTime: String(stamp) };
      appended.push({ type: record.type, key: record.visitor, copy: { value, headers } });
    }
  }
  const topics = new Map<string, readonly Written[]>();
  for (const [type, expected] of Map.groupBy(appended, (one) => one.type)) {
    const written = await cluster.read(`events.${type}`);
    const firsts = new Map(written.toReversed().map((one) => [one.headers['position'], one]));
    const inOrder = written.filter((one) => firsts.get(one.headers['position']) === one);
    const ofKeys = (entries: readonly { readonly key: string; readonly copy: object }[]) =>
      Object.fromEntries(
        [...Map.groupBy(entries, ({ key }) => key)]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, of]) => [key, of.map(({ copy }) => copy)]),
      );
    const copies = inOrder.map(({ key, value, headers }) => ({ key, copy: { value, headers } }));
    expect(ofKeys(copies)).toEqual(ofKeys(expected));
    topics.set(type, written);
  }
  return topics;
}
