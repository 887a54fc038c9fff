import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningUsher, startUsher } from '../../src/compose.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { type Engines, freshNamespace } from './engines.ts';
import { queryOf, type TestUsher } from './startUsher.ts';

export interface TestCluster extends Pick<TestUsher, 'url' | 'config' | 'query' | 'caughtUp' | 'stop'> {
  /** One more worker, in this process, on connections of its own. */
  startWorker(): Promise<RunningUsher>;
  /** One more gateway, likewise. */
  startGateway(): Promise<RunningUsher>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Settings of an Usher over these engines that shares nothing with any other test. */
export function clusterConfig(engines: Engines, overrides: Partial<Config> = {}): Partial<Config> {
  return {
    kafkaBrokers: [engines.kafka],
    redisUrl: engines.redisUrl,
    namespace: freshNamespace(),
    sessionTimeoutMs: 6_000,
    shards: 2,
    ...overrides,
  };
}

/** A gateway over this Redis and this Kafka, with the playbook published, and no worker until one is started. */
export async function startCluster(engines: {
  readonly redisUrl: string;
  readonly kafka: string;
  readonly playbook: string;
  readonly config?: Partial<Config>;
}): Promise<TestCluster> {
  const data = await mkdtemp(join(tmpdir(), 'usher-cluster-'));
  const config: Config = {
    ...loadConfig({}).config,
    ...clusterConfig(engines),
    playbook: engines.playbook,
    port: 0,
    watch: false,
    logLevel: 'silent',
    data,
    ...engines.config,
  };
  const running: RunningUsher[] = [];
  const start = async (role: Config['role']) => {
    const usher = await startUsher({ ...config, role }, { logger: createLogger(config) });
    running.push(usher);
    return usher;
  };
  const publisher = await start('worker');
  const gateway = await start('gateway');
  await publisher.stop();
  return {
    url: gateway.url,
    config,
    query: queryOf(gateway.url),
    caughtUp: () => gateway.caughtUp(),
    stop: () => gateway.stop(),
    startWorker: () => start('worker'),
    startGateway: () => start('gateway'),
    async [Symbol.asyncDispose]() {
      await Promise.all(running.map((usher) => usher.stop()));
      await rm(data, { recursive: true, force: true });
    },
  };
}
