import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { redisBroadcast } from '../../src/push/redisBroadcast.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import { commitAfter, outboxEntry, write } from '../contract/commits.ts';
import { until } from '../contract/contract.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { startLossyProxy } from './lossyProxy.ts';
import { Connections, hear, untilAnswered } from './support.ts';

const shards = 4;

describe.skipIf(!hasRedisServer)('the state in Redis, when something breaks', () => {
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

  it('answers ALREADY to the repeat of a commit whose answer was lost, and has published it once', async () => {
    const direct = await connections.redis(server.url);
    const heard = await hear(connections.add(await redisBroadcast(direct)), 1);
    const proxy = connections.add(await startLossyProxy(server.port));
    const store = redisStore(await connections.redis(proxy.url));
    const owned = await store.own(1, 'owner', shards);
    await store.commit(commitAfter(owned));
    const stands = (await store.readMeta(1))!;

    const commit = commitAfter(stands, { visitors: [write('u:a', 'first')], outbox: [outboxEntry('7-0')] });
    proxy.loseNextAnswer();
    const before = performance.now();
    await expect(store.commit(commit)).rejects.toMatchObject({
      code: 'STATE_UNAVAILABLE',
      message: 'a commit of shard 1 was not answered: the connection was lost before the answer came',
    });
    // With the connection, not when the command would time out.
    expect(performance.now() - before).toBeLessThan(1_000);
    expect(proxy.lost).toBe(1);
    expect(await untilAnswered(() => store.commit(commit))).toBe('ALREADY');
    expect(await store.readProfile(1, 'u:a')).toEqual({ profile: 'profile first', slots: 'slots first' });
    expect(await store.readOutbox(1, null, 10)).toEqual([outboxEntry('7-0')]);
    expect(await store.commit(commitAfter(commit.meta))).toBe('DONE');
    await until('the last message has come', () => heard.includes(3));
    expect(heard).toEqual([1, 2, 3]);
  });

  it('takes a shard again when the answer of taking it was lost', async () => {
    const proxy = connections.add(await startLossyProxy(server.port));
    const store = redisStore(await connections.redis(proxy.url));
    await store.own(1, 'owner', shards);
    proxy.loseNextAnswer();
    await expect(store.own(1, 'owner', shards)).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
    const meta = await untilAnswered(() => store.own(1, 'owner', shards));
    expect(await store.commit(commitAfter(meta))).toBe('DONE');
  });

  it('lets one of two owners on two connections win each round, and writes nothing of the other', async () => {
    const stores = await Promise.all([0, 1].map(async () => redisStore(await connections.redis(server.url))));
    let fenced = 0;
    for (let round = 0; round < 20; round++) {
      const owned = await Promise.all(stores.map((store, n) => store.own(1, `owner ${n}`, shards)));
      const results = await Promise.all(
        stores.map((store, n) => store.commit(commitAfter(owned[n]!, { visitors: [write('u:a', `${round} ${n}`)] }))),
      );
      expect(results.toSorted()).toEqual(['DONE', 'FENCED']);
      fenced += results.filter((result) => result === 'FENCED').length;
      const winner = results.indexOf('DONE');
      expect((await stores[0]!.readProfile(1, 'u:a'))?.profile).toBe(`profile ${round} ${winner}`);
    }
    expect(fenced).toBe(20);
  });

  it('goes on after Redis was killed and came back: commits stand, and listeners hear of a gap', async () => {
    // With everysec an answered commit may be gone after kill -9: Redis puts off writing while an fsync is under way.
    await server.admin.config('SET', 'appendfsync', 'always');
    const events: string[] = [];
    const redis = await connections.redis(server.url, {
      report: ({ what, connection }) => events.push(`${connection} ${what}`),
    });
    const store = redisStore(redis);
    const broadcast = connections.add(await redisBroadcast(redis));
    const heard = await hear(broadcast, 1);
    const meta = await store.own(1, 'owner', shards);
    const first = commitAfter(meta, { visitors: [write('u:a', 'first')] });
    expect(await store.commit(first)).toBe('DONE');
    await until('the first message has come', () => heard.length === 1);

    await server.kill();
    const second = commitAfter(first.meta, { visitors: [write('u:a', 'second')] });
    const before = performance.now();
    await expect(store.commit(second)).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
    await expect(store.readSlots([{ shard: 1, visitor: 'u:a' }])).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
    await expect(store.readMeta(1)).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
    await expect(broadcast.subscribe(2, { onMessage() {}, onGap() {} })).rejects.toMatchObject({
      code: 'STATE_UNAVAILABLE',
    });
    // At once: nothing waits in a queue for Redis to come back.
    expect(performance.now() - before).toBeLessThan(500);

    await server.start();
    expect(await untilAnswered(() => store.readProfile(1, 'u:a'))).toEqual({
      profile: 'profile first',
      slots: 'slots first',
    });
    await until('the gap is told', () => heard.includes('gap'));
    expect(await untilAnswered(() => store.commit(second))).toBe('DONE');
    await until('the second message has come', () => heard.includes(2));
    expect(heard).toEqual([1, 'gap', 2]);
    expect(events.toSorted()).toEqual(['usher back', 'usher lost', 'usher-subscriber back', 'usher-subscriber lost']);
  });

  it('gives up a command that is not answered', async () => {
    const proxy = connections.add(await startLossyProxy(server.port));
    const limits = { commandTimeoutMs: 100, socketTimeoutMs: 60_000 };
    const store = redisStore(await connections.redis(proxy.url, { limits }));
    const first = commitAfter(await store.own(1, 'owner', shards));
    expect(await store.commit(first)).toBe('DONE');
    const commit = commitAfter(first.meta);
    proxy.stall();
    await expect(store.commit(commit)).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE', message: /timed out/ });
    proxy.resume();
    expect(await untilAnswered(() => store.commit(commit))).toBe('ALREADY');
  });

  it('cuts a silent connection and goes on over a new one', async () => {
    const proxy = connections.add(await startLossyProxy(server.port));
    const limits = { commandTimeoutMs: 60_000, socketTimeoutMs: 300 };
    const store = redisStore(await connections.redis(proxy.url, { limits }));
    const first = commitAfter(await store.own(1, 'owner', shards));
    expect(await store.commit(first)).toBe('DONE');
    const commit = commitAfter(first.meta);
    proxy.stall();
    await expect(store.commit(commit)).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE' });
    await until('the connection is made anew', () => proxy.opened > 1);
    proxy.resume();
    expect(await untilAnswered(() => store.commit(commit))).toBe('ALREADY');
  });

  it('notices by signs of life that the connection of subscribers is silent', async () => {
    const proxy = connections.add(await startLossyProxy(server.port));
    const limits = { commandTimeoutMs: 60_000, socketTimeoutMs: 300, pingEveryMs: 20 };
    const redis = await connections.redis(proxy.url, { limits });
    const heard = await hear(connections.add(await redisBroadcast(redis)), 1);
    expect(proxy.opened).toBe(2);
    proxy.stall();
    // Nobody asks anything over the other connection, so it is the subscriber's that is new.
    await until('the connection is made anew', () => proxy.opened > 2);
    proxy.resume();
    await until('the gap is told', () => heard.includes('gap'));
  });

  it('refuses a commit whole when memory is full, and takes it when there is room again', async () => {
    const store = redisStore(await connections.redis(server.url));
    const meta = await store.own(1, 'owner', shards);
    const commit = commitAfter(meta, { visitors: [write('u:a', 'first', { wakeAt: 5 }), write('u:b', 'first')] });
    await server.admin.config('SET', 'maxmemory', '1mb');
    try {
      await expect(store.commit(commit)).rejects.toMatchObject({ code: 'STATE_UNAVAILABLE', message: /OOM/ });
      expect(await store.load(1, ['u:a', 'u:b'])).toEqual({ commit: meta.commit, profiles: [null, null] });
      expect(await store.nextWakeup(1)).toBeNull();
    } finally {
      await server.admin.config('SET', 'maxmemory', '0');
    }
    expect(await store.commit(commit)).toBe('DONE');
  });

  it('finds an empty shard at position 0 after FLUSHALL; the old owner is fenced', async () => {
    const store = redisStore(await connections.redis(server.url));
    const meta = await store.own(1, 'owner', shards);
    const commit = commitAfter(meta, { visitors: [write('u:a', 'first')] });
    expect(await store.commit(commit)).toBe('DONE');
    await server.flush();
    expect(await store.commit(commitAfter(commit.meta))).toBe('FENCED');
    const empty = await store.own(1, 'owner', shards);
    expect(empty).toMatchObject({ position: 0, epoch: 1, lastId: null });
    expect(empty.lineage).not.toBe(meta.lineage);
    expect((await store.load(1, ['u:a'])).profiles).toEqual([null]);
  });
});
