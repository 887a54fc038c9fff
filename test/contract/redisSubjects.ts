import { redisBroadcast } from '../../src/push/redisBroadcast.ts';
import { openRedis, type RedisConnection, type RedisSettings } from '../../src/redis/connection.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import type { RedisServer } from '../support/redisServer.ts';
import type { BroadcastSubject } from './broadcast.contract.ts';
import { type StateStoreSubject, stateShards } from './stateStore.contract.ts';

export function redisSettings(url: string, more: Partial<RedisSettings> = {}): RedisSettings {
  return { url, namespace: 'usher', shards: stateShards, visitorRetentionMs: 90 * 86_400_000, ...more };
}

/** An empty state in this Redis, whatever was there before. */
export async function openRedisStore(server: RedisServer): Promise<StateStoreSubject> {
  await server.flush();
  let redis = await openRedis(redisSettings(server.url));
  const listening = await openRedis(redisSettings(server.url));
  const broadcast = await redisBroadcast(listening);
  return {
    store: redisStore(redis),
    broadcast,
    async reopen() {
      await redis.close();
      redis = await openRedis(redisSettings(server.url));
      return redisStore(redis);
    },
    async close() {
      await broadcast.close();
      await listening.close();
      await redis.close();
    },
  };
}

export async function openRedisBroadcast(server: RedisServer): Promise<BroadcastSubject> {
  const redis: RedisConnection = await openRedis(redisSettings(server.url));
  const broadcast = await redisBroadcast(redis, () => {});
  return {
    broadcast,
    publish: (message) => broadcast.publish(message),
    async close() {
      await broadcast.close();
      await redis.close();
    },
  };
}
