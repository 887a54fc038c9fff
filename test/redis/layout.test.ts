import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { redisBroadcast } from '../../src/push/redisBroadcast.ts';
import { openRedis } from '../../src/redis/connection.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import { commitAfter, failedEvent, outboxEntry, write } from '../contract/commits.ts';
import { until } from '../contract/contract.ts';
import { redisSettings } from '../contract/redisSubjects.ts';
import { action } from '../contract/stateStore.actions.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { Connections, hear } from './support.ts';

const shards = 4;
const dayMs = 86_400_000;

describe.skipIf(!hasRedisServer)('the state in Redis, as it lies there', () => {
  let server: RedisServer;
  let connections: Connections;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    connections = new Connections();
    await server.flush();
  });
  afterEach(() => connections.close());

  const open = async (...more: Parameters<Connections['redis']> extends [string, ...infer Rest] ? Rest : never) =>
    redisStore(await connections.redis(server.url, ...more));

  it('has these keys, types and lives', async () => {
    const store = await open({ visitorRetentionMs: 90 * dayMs });
    const meta = await store.own(1, 'owner', shards);
    const commit = commitAfter(meta, {
      visitors: [write('u:a', 'first', { wakeAt: 1_700_000_000_123 }), write('u:b', 'first', { historicDue: -5 })],
      outbox: [outboxEntry('0-0'), outboxEntry('41-2')],
      failed: [failedEvent('1:0#1')],
    });
    expect(await store.commit(commit)).toBe('DONE');
    await store.putBundle('hash', 'text');
    const letters = [action(2, { state: 'dead', told: true }), action(3, { state: 'done', told: true })];
    await store.actions.accept(1, 'owner', [action(1), ...letters]);

    const { admin } = server;
    const keys = (await admin.keys('*')).toSorted();
    const layout = await Promise.all(
      keys.map(async (key) => `${key} ${await admin.type(key)} ${Math.round((await admin.ttl(key)) / 86_400)} d`),
    );
    expect(layout).toMatchInlineSnapshot(`
      [
        "usher:g1:bundle:hash string 0 d",
        "usher:g1:shards string 0 d",
        "usher:g1:{1296}:actions hash 0 d",
        "usher:g1:{1296}:actions:dead zset 0 d",
        "usher:g1:{1296}:actions:done zset 0 d",
        "usher:g1:{1296}:actions:pending set 0 d",
        "usher:g1:{1296}:failed hash 0 d",
        "usher:g1:{1296}:failed:order zset 0 d",
        "usher:g1:{1296}:historic zset 0 d",
        "usher:g1:{1296}:meta string 0 d",
        "usher:g1:{1296}:outbox stream 0 d",
        "usher:g1:{1296}:s:u:a string 97 d",
        "usher:g1:{1296}:s:u:b string 97 d",
        "usher:g1:{1296}:timers zset 0 d",
        "usher:g1:{1296}:v:u:a string 97 d",
        "usher:g1:{1296}:v:u:b string 97 d",
      ]
    `);
    const [tag] = /\{.*\}/.exec(keys.find((key) => key.endsWith(':meta'))!)!;
    expect(JSON.parse((await admin.get(`usher:g1:${tag}:meta`))!)).toEqual(commit.meta);
    expect(await admin.xrange(`usher:g1:${tag}:outbox`, '-', '+')).toEqual([
      ['1-0', ['topic', 'usher.actions', 'key', 'u:1', 'value', '{"entry":"0-0"}']],
      ['42-2', ['topic', 'usher.actions', 'key', 'u:1', 'value', '{"entry":"41-2"}']],
    ]);
    expect(await admin.zscore(`usher:g1:${tag}:timers`, 'u:a')).toBe('1700000000123');
  });

  it('lets the keys of a visitor go with the visitor, and its timers', async () => {
    const store = await open();
    const meta = await store.own(1, 'owner', shards);
    const first = commitAfter(meta, { visitors: [write('u:a', 'first', { wakeAt: 1, historicDue: 2 })] });
    expect(await store.commit(first)).toBe('DONE');
    expect(await server.admin.keys('*u:a')).toHaveLength(2);
    const gone = { visitor: 'u:a', profile: null, slots: null, wakeAt: null, historicDue: null };
    expect(await store.commit(commitAfter(first.meta, { visitors: [gone] }))).toBe('DONE');
    expect((await server.admin.keys('*')).toSorted()).toEqual([
      'usher:g1:shards',
      expect.stringMatching(/^usher:g1:\{\d+\}:meta$/),
    ]);
  });

  it.each(['meta', 'timers', 'historic', 'outbox', 'failed', 'failed:order', 'v:u:b', 's:u:a'])(
    'refuses a commit when %s holds another type, before anything is written',
    async (name) => {
      const redis = await connections.redis(server.url);
      const store = redisStore(redis);
      const meta = await store.own(1, 'owner', shards);
      const key = redis.keys[1]!.meta.replace('meta', name);
      await server.admin.del(key);
      // What no key of ours is.
      await server.admin.sadd(key, 'foreign');
      const before = await dump(server);
      const commit = commitAfter(meta, {
        visitors: [write('u:a', 'first', { wakeAt: 1, historicDue: 2 }), write('u:b', 'first')],
        outbox: [outboxEntry('0-0')],
        failed: [failedEvent('1:0')],
      });
      await expect(store.commit(commit)).rejects.toMatchObject({
        code: 'DATA_DAMAGED',
        message: expect.stringContaining(`${key} holds a set`),
      });
      expect(await dump(server)).toEqual(before);
      await server.admin.del(key);
      if (name !== 'meta') expect(await store.commit(commit)).toBe('DONE');
    },
  );

  it('refuses outbox entries that a stream would refuse half-way, before anything is written', async () => {
    const store = await open();
    const first = commitAfter(await store.own(1, 'owner', shards), { outbox: [outboxEntry('5-3')] });
    expect(await store.commit(first)).toBe('DONE');
    expect(await store.drained(1, 'owner', ['5-3'])).toBe(true);
    const before = await dump(server);
    const again = commitAfter(first.meta, { visitors: [write('u:a', 'x')], outbox: ['6-0', '5-3'].map(outboxEntry) });
    await expect(store.commit(again)).rejects.toMatchObject({ code: 'DATA_DAMAGED', message: /ends at 6-3/ });
    expect(await dump(server)).toEqual(before);
    expect(await store.commit({ ...again, outbox: [outboxEntry('6-0'), outboxEntry('5-4')] })).toBe('DONE');
    expect((await store.readOutbox(1, null, 10)).map(({ id }) => id)).toEqual(['5-4', '6-0']);
  });

  it('takes a commit of 256 visitors and 512,000 bytes, and refuses a larger one', async () => {
    const store = await open();
    const meta = await store.own(1, 'owner', shards);
    const visitors = Array.from({ length: 257 }, (_, n) => write(`u:${n}`, 'x'));
    await expect(store.commit(commitAfter(meta, { visitors }))).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE' });
    const full = commitAfter(meta, { visitors: visitors.slice(0, 256) });
    expect(await store.commit(full)).toBe('DONE');
    const next = commitAfter(full.meta, { visitors: [write('u:big', '')] });
    const [big] = next.visitors;
    const withBytes = (bytes: number) => ({ ...next, visitors: [{ ...big!, profile: 'é'.repeat(bytes / 2) }] });
    await expect(store.commit(withBytes(512_000))).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE' });
    expect(await store.commit(withBytes(511_000))).toBe('DONE');
  });

  it('packs a visitor that has come to rest, and leaves others as they are', async () => {
    const store = await open();
    const meta = await store.own(1, 'owner', shards);
    const visitors = [
      { ...write('u:1', 'rests'), atRest: true },
      { ...write('u:2', 'is awake'), atRest: false },
    ];
    expect(await store.commit(commitAfter(meta, { visitors }))).toBe('DONE');
    for (const { visitor, profile, slots, atRest } of visitors) {
      const keys = await server.admin.keys(`*:[vs]:${visitor}`);
      const stored = await Promise.all(keys.map((key) => server.admin.getBuffer(key).then(String)));
      if (atRest) for (const text of stored) expect([profile, slots]).not.toContain(text);
      else expect(stored.sort()).toEqual([profile, slots].sort());
      expect(await store.readProfile(1, visitor)).toEqual({ profile, slots });
      expect((await store.readSlots([{ shard: 1, visitor }]))[0]?.slots).toBe(slots);
    }
  });

  it('keeps the newest failed events of a shard, as many as the limit', async () => {
    const store = await open({ limits: { failedEvents: 3 } });
    let meta = await store.own(1, 'owner', shards);
    for (const positions of [['1:0', '1:1'], ['1:2', '1:3', '1:3#1'], ['1:3']]) {
      const commit = commitAfter(meta, { failed: positions.map(failedEvent) });
      expect(await store.commit(commit)).toBe('DONE');
      meta = commit.meta;
    }
    const read = await store.readFailed({ shard: 1, before: null, limit: 10 });
    expect(read.map(({ position }) => position)).toEqual(['1:3#1', '1:3', '1:2']);
    expect(await server.admin.hlen((await server.admin.keys('*:failed'))[0]!)).toBe(3);
  });

  it('keeps the newest dead letters of a shard, and ids of done actions, as many as the limits', async () => {
    const store = await open({ limits: { deadLetters: 3, doneActions: 2 } });
    await store.own(1, 'owner', shards);
    const ended = (state: 'dead' | 'done') => (n: number) =>
      action(n, { state, told: true, changedAt: 1_000 + n, reason: state === 'dead' ? 'REFUSED' : null });
    await store.actions.accept(1, 'owner', [1, 2, 3, 4, 5].map(ended('dead')));
    await store.actions.accept(1, 'owner', [11, 12, 13, 14].map(ended('done')));
    const query = { shard: 1, destination: null, before: null, limit: 10 };
    expect(await store.actions.readDead(query)).toEqual([5, 4, 3].map(ended('dead')));
    const [texts] = await server.admin.keys('*:actions');
    expect((await server.admin.hkeys(texts!)).toSorted()).toEqual([3, 4, 5, 13, 14].map((n) => action(n).order.id));
    // Nothing but the id.
    expect(await server.admin.hget(texts!, action(14).order.id)).toBe('done 0 shop_mail ');
  });

  it('tells a message that is too large without its visitors, as a gap', async () => {
    const redis = await connections.redis(server.url, { limits: { messageBytes: 1_000 } });
    const store = redisStore(redis);
    const heard = await hear(connections.add(await redisBroadcast(redis)), 1);
    const small = commitAfter(await store.own(1, 'owner', shards), { visitors: [write('u:a', 'small')] });
    expect(await store.commit(small)).toBe('DONE');
    const large = commitAfter(small.meta, { visitors: [write('u:a', 'é'.repeat(400))] });
    expect(await store.commit(large)).toBe('DONE');
    expect(await store.commit(commitAfter(large.meta))).toBe('DONE');
    await until('the last message has come', () => heard.includes(3));
    expect(heard).toEqual([1, 2, 'gap', 3]);
  });

  it('lists visitors over several walks through the keys', async () => {
    const store = await open({ limits: { listedVisitors: 7, scanKeys: 10 } });
    const names = Array.from({ length: 50 }, (_, n) => `u:${String(n).padStart(2, '0')}`);
    const meta = await store.own(1, 'owner', shards);
    expect(await store.commit(commitAfter(meta, { visitors: names.map((name) => write(name, 'x')) }))).toBe('DONE');
    for (const limit of [3, 7, 20, 100]) {
      const found: string[] = [];
      let page: readonly string[];
      do {
        page = await store.listVisitors(1, found.at(-1) ?? null, limit);
        found.push(...page);
        // Whoever reads pages takes a short one for the last.
      } while (page.length === limit);
      expect(found).toEqual(names);
    }
  });
});

describe.skipIf(!hasRedisServer)('a Redis that is not fit for the state', () => {
  it('is refused when it may throw keys away', async () => {
    const server = await startRedis('--maxmemory-policy', 'allkeys-lru');
    try {
      await expect(openRedis(redisSettings(server.url))).rejects.toMatchObject({
        code: 'REDIS_UNSUITABLE',
        message: 'expected maxmemory-policy noeviction, this Redis has allkeys-lru',
      });
      await server.admin.config('SET', 'maxmemory-policy', 'noeviction');
      await (await openRedis(redisSettings(server.url))).close();
      await expect(openRedis(redisSettings(server.url, { shards: 8 }))).rejects.toMatchObject({
        code: 'SHARDS_MISMATCH',
        message: 'the state was made with 4 shards, this Usher is set to 8',
      });
    } finally {
      await server.close();
    }
    await expect(openRedis(redisSettings(server.url))).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
  });
});

async function dump({ admin }: RedisServer): Promise<readonly string[]> {
  const keys = (await admin.keys('*')).toSorted();
  return Promise.all(keys.map(async (key) => `${key} ${(await admin.dumpBuffer(key))?.toString('hex')}`));
}
