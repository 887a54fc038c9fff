import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ShardMeta } from '../../src/model/shardMeta.ts';
import type { RedisLimits } from '../../src/redis/limits.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import { commitAfter, write } from '../contract/commits.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { Connections } from './support.ts';

describe.skipIf(!hasRedisServer)('what the snapshot lacks', () => {
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

  async function open(limits: Partial<RedisLimits> = {}) {
    const store = redisStore(await connections.redis(server.url, { limits }));
    let meta: ShardMeta = await store.own(1, 'owner', 4);
    const change = async (visitors: readonly string[], isNoted = true) => {
      const { commits } = meta;
      const commit = commitAfter(meta, {
        visitors: visitors.map((visitor) => write(visitor, `of ${commits + 1}`)),
        meta: { commits: commits + 1, position: 7 },
      });
      expect(await store.commit({ ...commit, ...(isNoted && { changed: true }) })).toBe('DONE');
      meta = commit.meta;
    };
    const changed = async (limit = 100) =>
      (await store.snapshots!.readChanged(1, limit)).visitors.map((one) => [
        one.visitor,
        one.change,
        one.stored?.profile,
      ]);
    return { store, change, changed };
  }

  it('is every visitor that a commit noted, once, with what it is now, the longest changed first', async () => {
    const { change, changed, store } = await open();
    await change(['a', 'b']);
    await change(['c'], false);
    await change(['b', 'd']);
    expect(await changed()).toEqual([
      ['a', 1, 'profile of 1'],
      ['b', 3, 'profile of 3'],
      ['d', 3, 'profile of 3'],
    ]);
    expect(await changed(1)).toEqual([['a', 1, 'profile of 1']]);
    expect((await store.snapshots!.readChanged(1, 10)).meta?.commits).toBe(3);
  });

  it('stays what was changed again meanwhile, also by a commit of the same position', async () => {
    const { change, changed, store } = await open();
    await change(['a', 'b']);
    const { visitors: written } = await store.snapshots!.readChanged(1, 10);
    await change(['b']);
    expect(await store.snapshots!.noteSnapshot(1, 'owner', { written, again: [], change: 1 })).toBe(true);
    expect(await changed()).toEqual([['b', 2, 'profile of 2']]);
  });

  it('is packed when the snapshot has it, and keeps what it says and its end of life', async () => {
    const { change, store } = await open();
    await change(['a', 'b']);
    const { visitors: written } = await store.snapshots!.readChanged(1, 10);
    await change(['b']);
    const keysOf = async (visitor: string) => (await server.admin.keys(`*:[vs]:${visitor}`)).toSorted();
    const textsOf = async (visitor: string) =>
      Promise.all((await keysOf(visitor)).map(async (key) => String(await server.admin.getBuffer(key))));
    expect(await textsOf('a')).toEqual(['slots of 1', 'profile of 1']);
    expect(await store.snapshots!.noteSnapshot(1, 'owner', { written, again: [], change: 1 })).toBe(true);
    for (const text of await textsOf('a')) expect(text).not.toContain(' of 1');
    expect(await store.readProfile(1, 'a')).toEqual({ profile: 'profile of 1', slots: 'slots of 1' });
    for (const key of await keysOf('a')) expect(await server.admin.ttl(key)).toBeGreaterThan(0);
    // Changed meanwhile: what was read of it is old.
    expect(await store.readProfile(1, 'b')).toEqual({ profile: 'profile of 2', slots: 'slots of 2' });
  });

  it('is left as it is when more is noted at once than a quiet shop changes', async () => {
    const { change, store } = await open({ packedVisitors: 1 });
    await change(['a', 'b']);
    const { visitors: written } = await store.snapshots!.readChanged(1, 10);
    expect(await store.snapshots!.noteSnapshot(1, 'owner', { written, again: [], change: 1 })).toBe(true);
    const texts = await Promise.all((await server.admin.keys('*:[vs]:a')).map((key) => server.admin.get(key)));
    expect(texts.sort()).toEqual(['profile of 1', 'slots of 1']);
  });

  it('is noted again, and the marker kept, for the owner alone', async () => {
    const { change, changed, store } = await open();
    await change(['a']);
    const note = { written: [{ visitor: 'a', change: 1, stored: null }], again: ['x'], change: 1, marker: '{"end":3}' };
    expect(await store.snapshots!.noteSnapshot(1, 'another', note)).toBe(false);
    expect([await changed(), await store.snapshots!.readMarker(1)]).toEqual([[['a', 1, 'profile of 1']], null]);
    expect(await store.snapshots!.noteSnapshot(1, 'owner', note)).toBe(true);
    // Nobody of that name is in the state: the snapshot is told so.
    expect([await changed(), await store.snapshots!.readMarker(1)]).toEqual([[['x', 1, undefined]], '{"end":3}']);
    expect(await store.snapshots!.noteSnapshot(1, 'owner', { written: [], again: [], change: 1 })).toBe(true);
    expect(await store.snapshots!.readMarker(1)).toBe('{"end":3}');
  });
});
