import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runScript, scripts } from '../../src/redis/scripts.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';

/** RESP3 is the client's default and has types that RESP2 lacks: what we read must look the same either way. */
describe.skipIf(!hasRedisServer)('replies as the store reads them', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
    const { admin } = server;
    await admin.zadd('timers', 5, 'b', 1_700_000_000_123, 'c', -3, 'a');
    await admin.xadd('outbox', '1-0', 'topic', 't', 'key', 'k', 'value', 'v');
    await admin.hset('failed', 'p', '{}');
    await admin.zadd('failed:order', 1, 'p');
    await admin.set('text', 'x');
  });
  afterAll(() => server.close());

  it.each([2, 3] as const)('have the same shape under RESP%i', async (protocol) => {
    const client = new Redis(server.port, '127.0.0.1', { protocol });
    try {
      expect(await client.call('CLIENT', 'LIST', 'ID', String(await client.client('ID')))).toContain(
        `resp=${protocol}`,
      );
      expect({
        earliest: await client.zrange('timers', 0, '0', 'WITHSCORES'),
        none: await client.zrange('nothing', 0, '0', 'WITHSCORES'),
        wakeups: await runScript(client, scripts.wakeups, ['timers'], [1_700_000_000_123, 10]),
        after: await runScript(client, scripts.wakeups, ['timers'], [1e13, 10, 5, 'b']),
        outbox: await client.xrange('outbox', '-', '+', 'COUNT', 10),
        failed: await runScript(client, scripts.failed, ['failed', 'failed:order'], [10, '']),
        read: await client.mget('text', 'nothing'),
        fenced: await runScript(client, scripts.drained, ['nothing', 'outbox'], ['owner']),
        made: await client.set('made', protocol, 'NX', 'GET'),
        remade: await client.set('text', 'y', 'NX', 'GET'),
        scanned: (await client.scan('0', 'MATCH', 'text', 'COUNT', 1_000))[1],
      }).toEqual({
        earliest: ['a', '-3'],
        none: [],
        wakeups: ['a', '-3', 'b', '5', 'c', '1700000000123'],
        after: ['c', '1700000000123'],
        outbox: [['1-0', ['topic', 't', 'key', 'k', 'value', 'v']]],
        failed: ['{}'],
        read: ['x', null],
        fenced: 0,
        made: null,
        remade: 'x',
        scanned: ['text'],
      });
      await client.del('made');
    } finally {
      client.disconnect();
    }
  });

  it('have a script run that Redis has forgotten', async () => {
    await server.admin.script('FLUSH');
    expect(await runScript(server.admin, scripts.wakeups, ['timers'], [0, 10])).toEqual(['a', '-3']);
    expect(await server.admin.script('EXISTS', scripts.wakeups.sha)).toEqual([1]);
  });
});
