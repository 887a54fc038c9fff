import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, loadConfig } from '../../src/config.ts';
import { defaultFoldSettings } from '../../src/fold/work.ts';
import { type Gateway, startGateway } from '../../src/gateway/gateway.ts';
import { openKafkaLog } from '../../src/log/kafkaLog.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { Hub } from '../../src/push/hub.ts';
import { redisBroadcast } from '../../src/push/redisBroadcast.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import { activate } from '../../src/worker/activate.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { workerLimits } from '../../src/worker/shard.ts';
import { Worker } from '../../src/worker/worker.ts';
import { kafkaLogOptions } from '../contract/kafkaSubjects.ts';
import type { GraphQLAnswer } from './startUsher.ts';

const shards = 2;

export interface TestCluster extends Gateway {
  readonly config: Config;
  query(document: string, variables?: object, token?: string): Promise<GraphQLAnswer>;
  /** Folds on connections of its own, as another process does. */
  startWorker(): Promise<{ stop(): Promise<void> }>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A gateway over this Redis and this Kafka, with a topic of its own and the playbook activated. */
export async function startCluster(engines: {
  readonly redisUrl: string;
  readonly kafka: string;
  readonly playbook: string;
  readonly config?: Partial<Config>;
}): Promise<TestCluster> {
  const data = await mkdtemp(join(tmpdir(), 'usher-cluster-'));
  const closers: (() => Promise<void>)[] = [() => rm(data, { recursive: true, force: true })];
  const config: Config = {
    ...loadConfig({}).config,
    port: 0,
    watch: false,
    logLevel: 'silent',
    data,
    ...engines.config,
  };
  const logOptions = kafkaLogOptions(engines.kafka, { shards, appendDeadlineMs: config.appendDeadlineMs });
  const retentionMs = config.visitorRetentionDays * 86_400_000;
  const openState = async () => {
    const redis = await openRedis({ url: engines.redisUrl, shards, visitorRetentionMs: retentionMs });
    return { redis, store: redisStore(redis) };
  };

  const { redis, store } = await openState();
  closers.push(() => redis.close());
  const log = await openKafkaLog(logOptions);
  closers.push(() => log.close());
  const broadcast = await redisBroadcast(redis);
  closers.push(() => broadcast.close());
  const hub = new Hub({ broadcast, store, shards });
  await hub.start();
  closers.push(() => hub.stop());
  const read = await readPlaybook(engines.playbook);
  await activate({ log, store }, read, [...Array(shards).keys()]);
  const gateway = await startGateway({
    config,
    log,
    store,
    hub,
    bundles: new Bundles((hash) => store.readBundle(hash)),
    playbook: () => read.playbook!,
    playbookFolder: engines.playbook,
    assetsFolder: data,
    logger: createLogger(config),
    metrics: createMetrics(),
    secrets: { visitSecret: 'x'.repeat(32), keys: [] },
  });
  closers.push(() => gateway.stop());

  return {
    ...gateway,
    config,
    async query(document, variables = {}, token = 'dev:alice') {
      const response = await fetch(`${gateway.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify({ query: document, variables }),
      });
      return (await response.json()) as GraphQLAnswer;
    },
    async startWorker() {
      const state = await openState();
      const workerLog = await openKafkaLog(logOptions);
      const worker = new Worker({
        log: workerLog,
        store: state.store,
        bundles: new Bundles((hash) => state.store.readBundle(hash)),
        fold: { ...defaultFoldSettings, visitorRetentionMs: retentionMs },
        limits: workerLimits,
        machine: thisMachine,
        report: () => {},
      });
      await worker.start();
      return {
        async stop() {
          await worker.stop();
          await workerLog.close();
          await state.redis.close();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const close of closers.reverse()) await close();
    },
  };
}
