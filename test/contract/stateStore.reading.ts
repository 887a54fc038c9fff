import { expect } from 'vitest';
import { compareUtf8 } from '../../src/model/shard.ts';
import type { StateStore, Wakeup } from '../../src/state/stateStore.ts';
import { commitAfter, failedEvent, outboxEntry, write } from './commits.ts';
import type { ContractCase } from './contract.ts';
import type { StateStoreSubject } from './stateStore.contract.ts';

const shards = 4;
/** UTF-16 order puts U+FF5E after the surrogates of U+1F600; UTF-8 order does not. */
const inUtf8Order = ['dev:alice', 'u:1', 'u:10', 'u:2', 'u:Z', 'u:a', 'u:é', 'u:\uff5e', 'u:\u{1f600}'];

async function withVisitors(
  store: StateStore,
  timers: (visitor: string, n: number) => { wakeAt?: number; historicDue?: number },
) {
  const meta = await store.own(1, 'owner a', shards);
  const visitors = inUtf8Order.map((visitor, n) => write(visitor, 'x', timers(visitor, n))).reverse();
  expect(await store.commit(commitAfter(meta, { visitors }))).toBe('DONE');
}

/** All pages, each asked for with the last of the one before. */
async function pages<T>(read: (after: T | null) => Promise<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for (let page = await read(null); page.length > 0; page = await read(all[all.length - 1]!)) all.push(...page);
  return all;
}

export const readingCases: readonly ContractCase<StateStoreSubject>[] = [
  {
    name: 'reads visitors in the order asked, and null for one that is not there',
    async run({ store }) {
      await withVisitors(store, () => ({}));
      const { profiles } = await store.load(1, ['u:2', 'u:nobody', 'u:1', 'u:2']);
      expect(profiles.map((one) => one?.slots ?? null)).toEqual(['slots x', null, 'slots x', 'slots x']);
      expect(await store.readProfile(1, 'u:nobody')).toBeNull();
      expect(await store.readProfile(2, 'u:1')).toBeNull();
      expect((await store.load(1, [])).profiles).toEqual([]);
    },
  },
  {
    name: 'reads slots with the meta of their shard, in the order asked',
    async run({ store }) {
      await withVisitors(store, () => ({}));
      const meta = await store.readMeta(1);
      expect(
        await store.readSlots([
          { shard: 2, visitor: 'u:1' },
          { shard: 1, visitor: 'u:1' },
          { shard: 1, visitor: 'u:nobody' },
        ]),
      ).toEqual([
        { meta: null, slots: null },
        { meta, slots: 'slots x' },
        { meta, slots: null },
      ]);
    },
  },
  {
    name: 'finds timers by time, then by the UTF-8 bytes of their visitor, in pages',
    async run({ store }) {
      await withVisitors(store, (_, n) => ({ wakeAt: 100 + (n % 3) }));
      const expected: Wakeup[] = inUtf8Order
        .map((visitor, n) => ({ at: 100 + (n % 3), visitor }))
        .sort((a, b) => a.at - b.at || compareUtf8(a.visitor, b.visitor));
      for (const limit of [1, 2, 4, 100]) {
        expect(await pages<Wakeup>((after) => store.wakeups(1, { by: 'wall', upTo: 102, after, limit }))).toEqual(
          expected,
        );
      }
      expect(await store.wakeups(1, { by: 'wall', upTo: 100, after: null, limit: 100 })).toEqual(expected.slice(0, 3));
      expect(await store.wakeups(1, { by: 'wall', upTo: 99, after: null, limit: 100 })).toEqual([]);
      expect(await store.wakeups(2, { by: 'wall', upTo: 102, after: null, limit: 100 })).toEqual([]);
    },
  },
  {
    name: 'keeps the timers of historic visitors apart, times before 1970 included',
    async run({ store }) {
      await withVisitors(store, (_, n) => (n % 2 === 0 ? { historicDue: n - 5 } : { wakeAt: n }));
      const historic = inUtf8Order.map((visitor, n) => ({ at: n - 5, visitor })).filter((_, n) => n % 2 === 0);
      expect(await pages<Wakeup>((after) => store.wakeups(1, { by: 'historic', upTo: 100, after, limit: 2 }))).toEqual(
        historic,
      );
      expect(await store.wakeups(1, { by: 'wall', upTo: 100, after: null, limit: 1 })).toEqual([
        { at: 1, visitor: 'u:1' },
      ]);
    },
  },
  {
    name: 'tells the earliest timer of a shard, or that there is none',
    async run({ store }) {
      expect(await store.nextWakeup(1)).toBeNull();
      await withVisitors(store, (_, n) => (n < 4 ? {} : { wakeAt: 1_000 - n }));
      expect(await store.nextWakeup(1)).toBe(1_000 - (inUtf8Order.length - 1));
      expect(await store.nextWakeup(2)).toBeNull();
    },
  },
  {
    name: 'lists visitors by the UTF-8 bytes of their ids, in pages',
    async run({ store }) {
      await withVisitors(store, () => ({}));
      for (const limit of [1, 4, 100]) {
        expect(await pages<string>((after) => store.listVisitors(1, after, limit))).toEqual(inUtf8Order);
      }
      expect(await store.listVisitors(2, null, 10)).toEqual([]);
    },
  },
  {
    name: 'reads the outbox in the order of writing, in pages, and removes what was delivered',
    async run({ store }) {
      const ids = ['0-2', '0-10', '9-0', '10-1', '10-2', '10-11', '100-0'];
      let meta = await store.own(1, 'owner a', shards);
      for (const batch of [ids.slice(0, 3), ids.slice(3)]) {
        const commit = commitAfter(meta, { outbox: batch.map(outboxEntry) });
        expect(await store.commit(commit)).toBe('DONE');
        meta = commit.meta;
      }
      for (const limit of [1, 3, 100]) {
        const found: string[] = await pages<string>(async (after) =>
          (await store.readOutbox(1, after, limit)).map(({ id }) => id),
        );
        expect(found).toEqual(ids);
      }
      expect(await store.drained(1, 'owner a', ['0-10', '10-1'])).toBe(true);
      expect(await store.drained(1, 'owner a', ['0-10'])).toBe(true);
      const left = ids.filter((id) => id !== '0-10' && id !== '10-1');
      expect((await store.readOutbox(1, null, 100)).map(({ id }) => id)).toEqual(left);
      // After an entry that is gone, the next one follows all the same.
      expect((await store.readOutbox(1, '10-1', 1)).map(({ id }) => id)).toEqual(['10-2']);
    },
  },
  {
    name: 'lets only the owner remove outbox entries',
    async run({ store }) {
      const meta = await store.own(1, 'owner a', shards);
      expect(await store.commit(commitAfter(meta, { outbox: [outboxEntry('0-0')] }))).toBe('DONE');
      await store.own(1, 'owner b', shards);
      expect(await store.drained(1, 'owner a', ['0-0'])).toBe(false);
      expect(await store.readOutbox(1, null, 10)).toEqual([outboxEntry('0-0')]);
      expect(await store.drained(1, 'owner b', ['0-0'])).toBe(true);
      expect(await store.readOutbox(1, null, 10)).toEqual([]);
    },
  },
  {
    name: 'reads failed events newest first, in pages',
    async run({ store }) {
      let meta = await store.own(1, 'owner a', shards);
      const positions = ['1:9', '1:10', '1:10#1', '1:11', '1:100'];
      for (const position of positions) {
        const commit = commitAfter(meta, { failed: [failedEvent(position)] });
        expect(await store.commit(commit)).toBe('DONE');
        meta = commit.meta;
      }
      for (const limit of [1, 2, 100]) {
        const found = await pages<string>(async (before) =>
          (await store.readFailed({ shard: 1, before, limit })).map(({ position }) => position),
        );
        expect(found).toEqual(positions.toReversed());
      }
      expect(await store.readFailed({ shard: 2, before: null, limit: 10 })).toEqual([]);
    },
  },
  {
    name: 'finds a failed event by its position, until a commit says that it was retried',
    async run(subject) {
      const { store } = subject;
      const owned = await store.own(1, 'owner a', shards);
      const positions = ['1:9', '1:10', '1:10#1', '1:11'];
      const failing = commitAfter(owned, { failed: positions.map(failedEvent) });
      expect(await store.commit(failing)).toBe('DONE');
      expect(await store.readFailedAt(1, '1:10')).toEqual(failedEvent('1:10'));
      expect(await store.readFailedAt(1, '1:1')).toBeNull();
      expect(await store.readFailedAt(2, '1:10')).toBeNull();
      // What was never there, or was retried before, is no mistake; a failed event of the same commit comes after.
      const retrying = commitAfter(failing.meta, {
        retried: ['1:10', '1:11', '1:500'],
        failed: [failedEvent('1:12'), failedEvent('1:11')],
      });
      expect(await store.commit(retrying)).toBe('DONE');
      expect(await store.commit(retrying)).toBe('ALREADY');
      const again = await subject.reopen();
      expect(await again.readFailedAt(1, '1:10')).toBeNull();
      const left = await again.readFailed({ shard: 1, before: null, limit: 10 });
      expect(left.map(({ position }) => position)).toEqual(['1:11', '1:12', '1:10#1', '1:9']);
      expect(await again.readFailed({ shard: 1, before: '1:12', limit: 1 })).toEqual([failedEvent('1:10#1')]);
    },
  },
  {
    name: 'keeps bundles by their hash, and the first text when one is put again',
    async run({ store }) {
      expect(await store.readBundle('h1')).toBeNull();
      const text = `${'x'.repeat(300_000)} 👩‍🚀`;
      await store.putBundle('h1', text);
      await store.putBundle('h2', 'two');
      await store.putBundle('h1', text);
      expect(await store.readBundle('h1')).toBe(text);
      expect(await store.readBundle('h2')).toBe('two');
      expect(await store.readBundle('h3')).toBeNull();
    },
  },
];
