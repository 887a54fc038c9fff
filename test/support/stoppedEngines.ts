import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config.ts';
import type { EventLog } from '../../src/log/eventLog.ts';
import { openKafkaLog } from '../../src/log/kafkaLog.ts';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { openSqlite } from '../../src/sqlite/sqlite.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { freshNamespace, removeNamespace } from './engines.ts';

const appendDeadlineMs = 5_000;
const retention = { ageMs: 1e12, bytes: 1e12 };

/** What a stopped Usher left: its log, and the state that its own run made. */
export interface StoppedEngines {
  readonly shards: number;
  readonly store: StateStore;
  /** The log for one fold, which shares it with nobody. */
  openLog(): Promise<EventLog>;
  /** A state of the same kind with nothing in it. */
  openEmpty(): Promise<{ readonly store: StateStore; remove(): Promise<void> }>;
  close(): Promise<void>;
}

type Settings = Pick<Config, 'data' | 'shards' | 'kafkaBrokers' | 'redisUrl' | 'namespace'>;

export async function openStoppedFolder({ data, shards }: Pick<Settings, 'data' | 'shards'>): Promise<StoppedEngines> {
  const open = (folder: string) => openSqlite({ folder, shards, appendDeadlineMs, retention });
  const file = await open(data);
  return {
    shards,
    store: sqliteStore(file, localBroadcast()),
    openLog: async () => sqliteLog(file),
    async openEmpty() {
      const folder = await mkdtemp(join(tmpdir(), 'usher-refold-'));
      const empty = await open(folder);
      const remove = async () => {
        await empty.close();
        await rm(folder, { recursive: true });
      };
      return { store: sqliteStore(empty, localBroadcast()), remove };
    },
    close: () => file.close(),
  };
}

export async function openStoppedCluster({
  shards,
  kafkaBrokers,
  redisUrl,
  namespace,
}: Settings): Promise<StoppedEngines> {
  const open = (name: string) =>
    openRedis({ url: redisUrl!, namespace: name, shards, visitorRetentionMs: retention.ageMs });
  const redis = await open(namespace);
  const logs: EventLog[] = [];
  return {
    shards,
    store: redisStore(redis),
    async openLog() {
      const log = await openKafkaLog({
        connection: { brokers: kafkaBrokers, clientId: 'refold' },
        topic: `${namespace}.g1.events`,
        groupId: freshNamespace(),
        shards,
        replication: 1,
        minInsyncReplicas: 1,
        appendDeadlineMs,
      });
      logs.push(log);
      return log;
    },
    async openEmpty() {
      const name = freshNamespace();
      const empty = await open(name);
      const remove = async () => {
        await empty.close();
        await removeNamespace({ redisUrl: redisUrl! }, name);
      };
      return { store: redisStore(empty), remove };
    },
    async close() {
      for (const log of logs) await log.close();
      await redis.close();
    },
  };
}
