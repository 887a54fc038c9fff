import { afterAll, beforeAll, describe } from 'vitest';
import { runContract, until } from '../contract/contract.ts';
import { openRedisStore } from '../contract/redisSubjects.ts';
import { stateStoreCases } from '../contract/stateStore.contract.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';

/** A node of a cluster refuses commands and scripts whose keys are of several slots, also where it has all slots itself. */
describe.skipIf(!hasRedisServer)('the StateStore contract on a Redis that is a cluster node', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis('--cluster-enabled', 'yes');
    await server.admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    await until('all slots are served', async () => (await server.admin.cluster('INFO')).includes('cluster_state:ok'));
  });
  afterAll(() => server.close());

  runContract(stateStoreCases, () => openRedisStore(server.url));
});
