import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'vitest';
import type { CommitMessage } from '../../src/model/commit.ts';
import type { ShardMeta } from '../../src/model/shardMeta.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { commitAfter, failedEvent, outboxEntry, write } from './commits.ts';
import { type ContractCase, until } from './contract.ts';
import type { StateStoreSubject } from './stateStore.contract.ts';

const shards = 4;

/** Commits and answers the meta that stands after it. */
async function committed(
  store: StateStore,
  before: ShardMeta,
  changes: Parameters<typeof commitAfter>[1],
): Promise<ShardMeta> {
  const commit = commitAfter(before, changes);
  expect(await store.commit(commit)).toBe('DONE');
  return commit.meta;
}

export const writingCases: readonly ContractCase<StateStoreSubject>[] = [
  {
    name: 'writes all of a commit: meta, visitors, timers, outbox, failed events',
    async run({ store }) {
      const owned = await store.own(1, 'owner a', shards);
      const meta = await committed(store, owned, {
        visitors: [write('u:a', 'first', { wakeAt: 100 }), write('u:b', 'first', { historicDue: 200 })],
        outbox: [outboxEntry('0-0'), outboxEntry('0-1')],
        failed: [failedEvent('1:0')],
      });
      expect(await store.readMeta(1)).toEqual(meta);
      expect(await store.load(1, ['u:a', 'u:b'])).toEqual({
        commit: meta.commit,
        profiles: [
          { profile: 'profile first', slots: 'slots first' },
          { profile: 'profile first', slots: 'slots first' },
        ],
      });
      const timers = { upTo: 1_000, after: null, limit: 10 };
      expect(await store.wakeups(1, { by: 'wall', ...timers })).toEqual([{ at: 100, visitor: 'u:a' }]);
      expect(await store.wakeups(1, { by: 'historic', ...timers })).toEqual([{ at: 200, visitor: 'u:b' }]);
      expect(await store.readOutbox(1, null, 10)).toEqual([outboxEntry('0-0'), outboxEntry('0-1')]);
      expect(await store.readFailed({ shard: 1, before: null, limit: 10 })).toEqual([failedEvent('1:0')]);
    },
  },
  {
    name: 'keeps texts as they are, and visitors apart by shard and by every byte of their id',
    async run({ store }) {
      const visitors = ['u:a', 'u:A', 'u:a ', 'u:na\u00efve', 'u:nai\u0308ve', 'u:👩‍🚀', 'u:\u{10ffff}', "u:'"];
      for (const shard of [0, 1, 2, 3]) {
        const meta = await store.own(shard, 'owner', shards);
        await committed(store, meta, {
          visitors: visitors.map((visitor) => write(visitor, `"${visitor}" \\ of ${shard} 👩‍🚀`)),
        });
      }
      for (const shard of [0, 1, 2, 3]) {
        const { profiles } = await store.load(shard, visitors);
        expect(profiles.map((one) => one?.profile)).toEqual(
          visitors.map((visitor) => `profile "${visitor}" \\ of ${shard} 👩‍🚀`),
        );
      }
    },
  },
  {
    name: 'replaces a visitor, timers included, and removes one whose profile is null',
    async run({ store }) {
      const timers = { by: 'wall', upTo: 1_000, after: null, limit: 10 } as const;
      let meta = await store.own(1, 'owner a', shards);
      meta = await committed(store, meta, {
        visitors: [
          write('u:a', 'first', { wakeAt: 100 }),
          write('u:b', 'first', { wakeAt: 101 }),
          write('u:c', 'first', { wakeAt: 102 }),
        ],
      });
      meta = await committed(store, meta, {
        visitors: [
          write('u:a', 'second', { wakeAt: 300 }),
          write('u:b', 'second'),
          { visitor: 'u:c', profile: null, slots: null, wakeAt: null, historicDue: null },
        ],
      });
      expect((await store.load(1, ['u:a', 'u:b', 'u:c'])).profiles).toEqual([
        { profile: 'profile second', slots: 'slots second' },
        { profile: 'profile second', slots: 'slots second' },
        null,
      ]);
      expect(await store.wakeups(1, timers)).toEqual([{ at: 300, visitor: 'u:a' }]);
      // Removing what is not there is no mistake: the writes are absolute.
      await committed(store, meta, {
        visitors: [{ visitor: 'u:c', profile: null, slots: null, wakeAt: null, historicDue: null }],
      });
      expect(await store.listVisitors(1, null, 10)).toEqual(['u:a', 'u:b']);
    },
  },
  {
    name: 'keeps every timer of a commit of 256 visitors',
    async run({ store }) {
      const meta = await store.own(3, 'owner a', shards);
      const visitors = Array.from({ length: 256 }, (_, n) =>
        write(`u:${n}`, 'x', { wakeAt: 1_000 + ((n * 37) % 256) }),
      );
      await committed(store, meta, { visitors });
      const found = await store.wakeups(3, { by: 'wall', upTo: 2_000, after: null, limit: 1_000 });
      const expected = visitors.map(({ visitor, wakeAt }) => ({ at: wakeAt!, visitor })).sort((a, b) => a.at - b.at);
      expect(found).toEqual(expected);
      expect(await store.nextWakeup(3)).toBe(1_000);
    },
  },
  {
    name: 'shows no reader half of a commit',
    async run({ store }) {
      const visitors = Array.from({ length: 40 }, (_, n) => `u:${n}`);
      let meta = await store.own(1, 'owner a', shards);
      meta = await committed(store, meta, {
        visitors: visitors.map((visitor) => write(visitor, String(meta.position + 1))),
      });
      let done = false;
      const writing = (async () => {
        for (let n = 0; n < 30; n++) {
          const text = String(meta.position + 1);
          meta = await committed(store, meta, {
            visitors: visitors.map((visitor) => write(visitor, text)),
            outbox: [outboxEntry(`${text}-0`)],
          });
        }
      })().finally(() => {
        done = true;
      });
      const torn: unknown[] = [];
      const commits = new Map<string, string>();
      while (!done) {
        const { commit, profiles } = await store.load(1, visitors);
        const texts = [...new Set(profiles.map((one) => one?.profile))];
        if (texts.length !== 1 || (commits.get(commit) ?? texts[0]) !== texts[0]) torn.push({ commit, texts });
        commits.set(commit, texts[0]!);
        for (const { meta: read, slots } of await store.readSlots(
          [0, 20, 39].map((n) => ({ shard: 1, visitor: visitors[n]! })),
        )) {
          if (slots !== `slots ${read?.position}`) torn.push({ position: read?.position, slots });
        }
        await turn();
      }
      await writing;
      expect(torn).toEqual([]);
      expect(commits.size).toBeGreaterThan(1);
    },
  },
  {
    name: 'publishes one message a commit, after it is written, also when no visitor changed',
    async run({ store, broadcast }) {
      const heard: CommitMessage[] = [];
      const read: Promise<string | null>[] = [];
      await broadcast.subscribe(1, {
        onMessage: (message) => {
          heard.push(message);
          read.push(
            store.readSlots([{ shard: 1, visitor: 'u:a' }]).then(([one]) => `${one?.meta?.position} ${one?.slots}`),
          );
        },
        onGap: () => {},
      });
      let meta = await store.own(1, 'owner a', shards);
      const commits: CommitMessage[] = [];
      for (let n = 1; n <= 10; n++) {
        const commit = commitAfter(meta, n % 2 === 1 ? { visitors: [write('u:a', String(n))] } : {});
        expect(await store.commit(commit)).toBe('DONE');
        await until('the message has come', () => heard.length >= n);
        await read[n - 1];
        meta = commit.meta;
        commits.push(commit.message);
      }
      expect(heard).toEqual(commits);
      expect(await Promise.all(read)).toEqual(
        [1, 1, 3, 3, 5, 5, 7, 7, 9, 9].map((text, i) => `${i + 1} slots ${text}`),
      );
    },
  },
  {
    name: 'keeps the commits of several shards apart when they come at the same time',
    async run({ store }) {
      const metas = await Promise.all([0, 1, 2, 3].map((shard) => store.own(shard, 'owner', shards)));
      await Promise.all(
        metas.map(async (first, shard) => {
          let meta = first;
          for (let n = 1; n <= 20; n++)
            meta = await committed(store, meta, { visitors: [write('u:a', `${shard}.${n}`)] });
        }),
      );
      const read = await store.readSlots([0, 1, 2, 3].map((shard) => ({ shard, visitor: 'u:a' })));
      expect(read.map(({ meta, slots }) => [meta?.shard, meta?.position, slots])).toEqual(
        [0, 1, 2, 3].map((shard) => [shard, 20, `slots ${shard}.20`]),
      );
    },
  },
  {
    name: 'keeps everything over a restart',
    async run(subject) {
      const owned = await subject.store.own(1, 'owner a', shards);
      const meta = await committed(subject.store, owned, {
        visitors: [write('u:a', 'first', { wakeAt: 100 })],
        outbox: [outboxEntry('0-0')],
        failed: [failedEvent('1:0')],
      });
      await subject.store.putBundle('hash', 'text');
      const store = await subject.reopen();
      expect(await store.readMeta(1)).toEqual(meta);
      expect(await store.readProfile(1, 'u:a')).toEqual({ profile: 'profile first', slots: 'slots first' });
      expect(await store.nextWakeup(1)).toBe(100);
      expect(await store.readOutbox(1, null, 10)).toEqual([outboxEntry('0-0')]);
      expect(await store.readFailed({ shard: 1, before: null, limit: 10 })).toEqual([failedEvent('1:0')]);
      expect(await store.readBundle('hash')).toBe('text');
      expect(await store.commit(commitAfter(meta))).toBe('DONE');
    },
  },
  {
    name: 'clears a shard for the owner that rebuilds it, and no other: all but its meta, and no other shard',
    async run({ store }) {
      const other = await store.own(2, 'owner', shards);
      await committed(store, other, { visitors: [write('u:a', 'other', { wakeAt: 5 })] });
      let meta = await store.own(1, 'owner', shards);
      const visitors = Array.from({ length: 200 }, (_, n) => write(`u:${n}`, 'x', { wakeAt: n, historicDue: n }));
      meta = await committed(store, meta, { visitors, outbox: [outboxEntry('0-0')], failed: [failedEvent('1:0')] });
      expect(await store.clear(1, 'owner')).toBe(false);
      expect(await store.listVisitors(1, null, 1_000)).toHaveLength(200);
      meta = await committed(store, meta, { meta: { rebuilding: true } });
      expect(await store.clear(1, 'another')).toBe(false);
      await expect(store.readSlots([{ shard: 1, visitor: 'u:1' }])).rejects.toMatchObject({
        code: 'STATE_UNAVAILABLE',
      });
      expect(await store.clear(1, 'owner')).toBe(true);
      expect(await store.listVisitors(1, null, 1_000)).toEqual([]);
      expect(await store.nextWakeup(1)).toBeNull();
      expect(await store.readOutbox(1, null, 10)).toEqual([]);
      expect(await store.readFailed({ shard: 1, before: null, limit: 10 })).toEqual([]);
      expect(await store.readMeta(1)).toEqual(meta);
      expect((await store.readProfile(2, 'u:a'))?.profile).toBe('profile other');
      expect(await store.nextWakeup(2)).toBe(5);
      // What an outbox had does not stand in the way of the same ids.
      await committed(store, meta, { outbox: [outboxEntry('0-0')], meta: { rebuilding: false } });
    },
  },
];
