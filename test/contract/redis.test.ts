import { afterAll, beforeAll, describe } from 'vitest';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { broadcastContract } from './broadcast.contract.ts';
import { openRedisBroadcast, openRedisStore } from './redisSubjects.ts';
import { stateStoreContract } from './stateStore.contract.ts';

describe.skipIf(!hasRedisServer)('on a real Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.close());

  stateStoreContract('redisStore', () => openRedisStore(server));
  broadcastContract('redisBroadcast', () => openRedisBroadcast(server));
});
