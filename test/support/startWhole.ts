import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningUsher, startUsher } from '../../src/compose.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/observe/logger.ts';
import { removeNamespace, sharedEngines } from './engines.ts';
import { adapters } from './pair.ts';
import { clusterConfig } from './startCluster.ts';
import { queryOf, startTestUsher, type TestUsher } from './startUsher.ts';
import { openStoppedCluster, openStoppedFolder, type StoppedEngines } from './stoppedEngines.ts';

/** All of an Usher, however many processes it is. */
export interface WholeUsher
  extends Pick<TestUsher, 'url' | 'config' | 'devKey' | 'query' | 'caughtUp' | 'reload' | 'stop'> {
  /** Of every gateway; `url` is the first, and `query` asks them in turn. */
  readonly urls: readonly string[];
  /** Starts again over what it left, after a `stop`. */
  restart(): Promise<WholeUsher>;
  /** What it left, after a `stop`. */
  openStopped(): Promise<StoppedEngines>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Over this project's pair of adapters: one process over a file, or two workers and two gateways over Kafka and Redis. */
export async function startWhole(overrides: Partial<Config> = {}): Promise<WholeUsher> {
  return adapters === 'embedded' ? wholeOf(await startTestUsher(overrides)) : startWholeCluster(overrides);
}

function wholeOf(usher: TestUsher): WholeUsher {
  return {
    ...usher,
    urls: [usher.url],
    restart: async () => wholeOf(await usher.restart()),
    openStopped: () => openStoppedFolder(usher.config),
    [Symbol.asyncDispose]: () => usher[Symbol.asyncDispose](),
  };
}

async function startWholeCluster(overrides: Partial<Config>): Promise<WholeUsher> {
  const engines = await sharedEngines();
  const data = overrides.data ?? (await mkdtemp(join(tmpdir(), 'usher-cluster-')));
  const config: Config = {
    ...loadConfig({}).config,
    ...clusterConfig(engines),
    port: 0,
    watch: false,
    logLevel: 'silent',
    data,
    ...overrides,
  };
  const running: RunningUsher[] = [];
  const start = async (role: Config['role']) => {
    const usher = await startUsher({ ...config, role }, { logger: createLogger(config) });
    running.push(usher);
    return usher;
  };
  const stop = async () => void (await Promise.all(running.splice(0).map((usher) => usher.stop())));
  try {
    const worker = await start('worker');
    const first = await start('gateway');
    const [second] = await Promise.all([start('gateway'), start('worker')]);
    const ask = [first, second].map(({ url }) => queryOf(url));
    let asked = 0;
    return {
      url: first.url,
      urls: [first.url, second.url],
      devKey: first.devKey,
      config,
      query: (...args) => ask[asked++ % ask.length]!(...args),
      caughtUp: () => first.caughtUp(),
      reload: () => worker.reload(),
      stop,
      restart: () => startWholeCluster(config),
      openStopped: () => openStoppedCluster(config),
      async [Symbol.asyncDispose]() {
        await stop();
        if (overrides.namespace !== undefined) return;
        await removeNamespace(engines, config.namespace);
        await rm(data, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
