import { join } from 'node:path';
import { loadConfig } from '../src/config.ts';
import { defaultFoldSettings } from '../src/fold/work.ts';
import { startGateway } from '../src/gateway/gateway.ts';
import { sqliteLog } from '../src/log/sqliteLog.ts';
import { createLogger } from '../src/observe/logger.ts';
import { createMetrics } from '../src/observe/metrics.ts';
import { Bundles } from '../src/playbook/bundles.ts';
import { readPlaybook } from '../src/playbook/read.ts';
import { Hub } from '../src/push/hub.ts';
import { redisBroadcast } from '../src/push/redisBroadcast.ts';
import { openRedis } from '../src/redis/connection.ts';
import { openSqlite } from '../src/sqlite/sqlite.ts';
import { redisStore } from '../src/state/redisStore.ts';
import { activate } from '../src/worker/activate.ts';
import { thisMachine } from '../src/worker/machine.ts';
import { workerLimits } from '../src/worker/shard.ts';
import { Worker } from '../src/worker/worker.ts';

/**
 * A gateway over a state in Redis, as a cluster has it, with a worker beside it for the one event that decides the slots. Prints its port.
 * Arguments: the folder for the log, the URL of Redis; `yoga` turns the fast lane off.
 */
const [folder = '', redisUrl = '', lane = 'fast'] = process.argv.slice(2);
const { config: defaults } = loadConfig({});
const config = {
  ...defaults,
  port: 0,
  mode: 'production' as const,
  logLevel: 'warn' as const,
  fastLane: lane === 'fast',
};
const shards = config.shards;
const file = await openSqlite({ folder, shards, appendDeadlineMs: 5_000, retention: { ageMs: 1e12, bytes: 1e12 } });
const log = sqliteLog(file);
const redis = await openRedis({ namespace: 'bench', url: redisUrl, shards, visitorRetentionMs: 90 * 86_400_000 });
const store = redisStore(redis);
const hub = new Hub({ broadcast: await redisBroadcast(redis), store, shards });
await hub.start();
const bundles = new Bundles((hash) => store.readBundle(hash));
const worker = new Worker({
  log,
  store,
  bundles,
  fold: defaultFoldSettings,
  limits: workerLimits,
  machine: thisMachine,
  report: () => {},
});
await worker.start();
const playbookFolder = join(import.meta.dirname, 'slotsPlaybook');
const read = await readPlaybook(playbookFolder);
await activate({ log, store }, read, [...Array(shards).keys()]);
const gateway = await startGateway({
  config,
  log,
  store,
  hub,
  bundles,
  playbook: () => read.playbook!,
  playbookFolder,
  assetsFolder: folder,
  logger: createLogger(config),
  metrics: createMetrics(),
  engineFaults: async () => [],
  rebuildShard: async () => {},
  secrets: { visitSecret: 'a secret of at least thirty-two characters', keys: [], devKey: null },
});
console.log(`127.0.0.1:${gateway.port}`);
process.once('SIGTERM', () => process.exit());
