import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventLog } from '../src/log/eventLog.ts';
import { openKafkaLog } from '../src/log/kafkaLog.ts';
import { shardOf } from '../src/model/shard.ts';
import { openRedis, type RedisConnection } from '../src/redis/connection.ts';
import { type Cluster, clusterSettings, startRole } from './cluster.ts';
import { poster } from './measure.ts';
import { sendVisits, visitorsOfVisits } from './visits.ts';

const { shards } = clusterSettings;

export function openLog(
  cluster: Cluster,
  namespace: string,
  shards: number = clusterSettings.shards,
): Promise<EventLog> {
  return openKafkaLog({
    connection: { brokers: [cluster.kafka.address], clientId: 'bench' },
    topic: `${namespace}.g1.events`,
    shards,
    replication: 1,
    minInsyncReplicas: 1,
    appendDeadlineMs: 60_000,
  });
}

export function openState(
  cluster: Cluster,
  namespace: string,
  shards: number = clusterSettings.shards,
): Promise<RedisConnection> {
  return openRedis({ url: cluster.redis.url, namespace, shards, visitorRetentionMs: 90 * 86_400_000 });
}

/** How far each shard is folded. */
export async function positionsOf({ client, keys }: RedisConnection): Promise<number[]> {
  const metas = await client.mget(keys.map(({ meta }) => meta));
  return metas.map((text) => (text === null ? 0 : (JSON.parse(text) as { position: number }).position));
}

/** What Redis itself says that a visitor takes, on average, after a visit of 20 events to the demo store. */
export interface ClusterStateResult {
  /** The keys of profile and slots, names and values and what Redis keeps beside them. */
  readonly profileBytes: number;
  readonly slotsBytes: number;
}

export async function clusterState(cluster: Cluster): Promise<ClusterStateResult> {
  const namespace = 'visits';
  const start = (role: 'gateway' | 'worker') => startRole(cluster, role, '0,1', 'playbooks/demo-store', namespace);
  const worker = start('worker');
  await worker.saying(/runs after/);
  const gateway = start('gateway');
  const state = await openState(cluster, namespace);
  try {
    const port = Number((await gateway.saying(/127\.0\.0\.1:(\d+)\/graphql/))[1]);
    const key = readFileSync(join(cluster.folder, 'data', 'dev-key'), 'utf8').trim();
    await sendVisits(poster(port, '/graphql', 1, key));
    await untilPacked(state);
    const usage = async (of: 'profiles' | 'slots') => {
      const names = visitorsOfVisits.map((visitor) => state.keys[shardOf(visitor, shards)]![of] + visitor);
      const sizes = await Promise.all(names.map((name) => state.client.memory('USAGE', name)));
      return sizes.reduce<number>((sum, size) => sum + Number(size), 0) / sizes.length;
    };
    return { profileBytes: await usage('profiles'), slotsBytes: await usage('slots') };
  } finally {
    await Promise.all([gateway.stop(), worker.stop(), state.close()]);
  }
}

/** Visitors of a quiet shop are packed with the next snapshot. */
async function untilPacked({ client, keys }: RedisConnection): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 100) {
    const changed = await Promise.all(keys.map((of) => client.zcard(of.changed)));
    if (changed.every((count) => count === 0)) return;
    await sleep(100);
  }
  throw new Error('the snapshot lacked visitors for a minute');
}

export function printClusterState({ profileBytes, slotsBytes }: ClusterStateResult): void {
  const [profile, slots, both] = [profileBytes, slotsBytes, profileBytes + slotsBytes].map(Math.round);
  console.log(`Redis holds ${both} bytes a visitor after 20 events: profile ${profile}, slots ${slots} (aim: 860)`);
}
