import { redisBroadcast } from '../../src/push/redisBroadcast.ts';
import { openRedis, type RedisSettings } from '../../src/redis/connection.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import { freshNamespace, removeNamespace } from '../support/engines.ts';
import type { BroadcastSubject } from './broadcast.contract.ts';
import { type StateStoreSubject, stateShards } from './stateStore.contract.ts';

export function redisSettings(url: string, more: Partial<RedisSettings> = {}): RedisSettings {
  return { url, namespace: 'usher', shards: stateShards, visitorRetentionMs: 90 * 86_400_000, ...more };
}

/** An empty state in this Redis, beside whatever else is there; its keys go with it. */
export async function openRedisStore(url: string): Promise<StateStoreSubject> {
  const settings = redisSettings(url, { namespace: freshNamespace() });
  let redis = await openRedis(settings);
  const listening = await openRedis(settings);
  const broadcast = await redisBroadcast(listening);
  return {
    store: redisStore(redis),
    broadcast,
    async reopen() {
      await redis.close();
      redis = await openRedis(settings);
      return redisStore(redis);
    },
    async close() {
      await broadcast.close();
      await listening.close();
      await redis.close();
      await removeNamespace({ redisUrl: url }, settings.namespace);
    },
  };
}

export async function openRedisBroadcast(url: string): Promise<BroadcastSubject> {
  const settings = redisSettings(url, { namespace: freshNamespace() });
  const redis = await openRedis(settings);
  const broadcast = await redisBroadcast(redis, () => {});
  return {
    broadcast,
    publish: (message) => broadcast.publish(message),
    async close() {
      await broadcast.close();
      await redis.close();
      await removeNamespace({ redisUrl: url }, settings.namespace);
    },
  };
}
