import { expect } from 'vitest';
import type { CommitMessage } from '../../src/model/commit.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { commitAfter, failedEvent, outboxEntry, write } from './commits.ts';
import { type ContractCase, until } from './contract.ts';
import type { StateStoreSubject } from './stateStore.contract.ts';

const shards = 4;

/** What a commit could have changed, of the visitors and shard that these cases use. */
async function everything(store: StateStore) {
  return {
    meta: await store.readMeta(1),
    loaded: await store.load(1, ['u:a', 'u:b', 'u:c']),
    wakeups: await store.wakeups(1, { by: 'wall', upTo: 1e12, after: null, limit: 100 }),
    outbox: await store.readOutbox(1, null, 100),
    failed: await store.readFailed({ shard: 1, before: null, limit: 100 }),
  };
}

const changes = {
  visitors: [write('u:b', 'second', { wakeAt: 50 }), write('u:c', 'second', { wakeAt: 60 })],
  outbox: [outboxEntry('1-0')],
  failed: [failedEvent('1:1')],
};

/** Hears the shard until `check`, which waits for the message of one more commit so that none is still under way. */
async function listening(subject: StateStoreSubject) {
  const heard: CommitMessage[] = [];
  await subject.broadcast.subscribe(1, { onMessage: (message) => void heard.push(message), onGap: () => {} });
  return heard;
}

export const ownershipCases: readonly ContractCase<StateStoreSubject>[] = [
  {
    name: 'owning a shard that is not there makes it, at position 0',
    async run({ store }) {
      expect(await store.readMeta(2)).toBeNull();
      const meta = await store.own(2, 'owner a', shards);
      expect(meta).toMatchObject({ shard: 2, shards, owner: 'owner a', epoch: 1, position: 0, outputs: 0 });
      expect(meta).toMatchObject({ appendTime: 0, active: null, lastId: null });
      expect(meta.lineage).not.toBe('');
      expect(meta.commit).not.toBe('');
      expect(await store.readMeta(2)).toEqual(meta);
    },
  },
  {
    name: 'owning it again raises the epoch, makes a new commit id and keeps the rest',
    async run({ store }) {
      const first = await store.own(1, 'owner a', shards);
      const commit = commitAfter(first, {
        meta: {
          lastId: 'x',
          active: { playbook: 'p', catalog: 'c', foldVersion: 1 },
          counters: { ...first.counters, folded: 3 },
        },
      });
      expect(await store.commit(commit)).toBe('DONE');
      const second = await store.own(1, 'owner b', shards);
      expect(second).toEqual({ ...commit.meta, owner: 'owner b', epoch: 2, commit: second.commit });
      expect(second.commit).not.toBe(commit.meta.commit);
      expect(await store.readMeta(1)).toEqual(second);
    },
  },
  {
    name: 'refuses to own with another number of shards',
    async run({ store }) {
      await store.own(1, 'owner a', shards);
      await expect(store.own(1, 'owner a', shards * 2)).rejects.toMatchObject({ code: 'SHARDS_MISMATCH' });
    },
  },
  {
    name: 'fences a commit of another owner: nothing changes, nothing is published',
    async run(subject) {
      const { store } = subject;
      const old = await store.own(1, 'owner a', shards);
      const first = commitAfter(old, { visitors: [write('u:a', 'first', { wakeAt: 40 })] });
      expect(await store.commit(first)).toBe('DONE');
      const now = await store.own(1, 'owner b', shards);
      const before = await everything(store);
      const heard = await listening(subject);

      expect(await store.commit(commitAfter(first.meta, changes))).toBe('FENCED');
      // It may know the id by now; it is still not the owner.
      expect(await store.commit(commitAfter({ ...first.meta, commit: now.commit }, changes))).toBe('FENCED');
      expect(await everything(store)).toEqual(before);
      const next = commitAfter(now);
      expect(await store.commit(next)).toBe('DONE');
      await until('the message has come', () => heard.length > 0);
      expect(heard).toEqual([next.message]);
    },
  },
  {
    name: 'fences a commit whose previous id is not the one that stands',
    async run({ store }) {
      const owned = await store.own(1, 'owner a', shards);
      const first = commitAfter(owned, { visitors: [write('u:a', 'first')] });
      expect(await store.commit(first)).toBe('DONE');
      const before = await everything(store);
      expect(await store.commit(commitAfter(owned, changes))).toBe('FENCED');
      expect(await store.commit(commitAfter({ ...first.meta, commit: 'never was' }, changes))).toBe('FENCED');
      expect(await everything(store)).toEqual(before);
    },
  },
  {
    name: 'fences a commit to a shard that nobody owned',
    async run({ store }) {
      const elsewhere = await store.own(2, 'owner a', shards);
      expect(await store.commit(commitAfter({ ...elsewhere, shard: 1 }, changes))).toBe('FENCED');
      expect(await store.readMeta(1)).toBeNull();
      expect((await store.load(1, ['u:b'])).profiles).toEqual([null]);
    },
  },
  {
    name: 'answers ALREADY to its own repeat: nothing changes, nothing is published twice',
    async run(subject) {
      const { store } = subject;
      const heard = await listening(subject);
      const first = commitAfter(await store.own(1, 'owner a', shards), {
        visitors: [write('u:a', 'first', { wakeAt: 40 })],
      });
      expect(await store.commit(first)).toBe('DONE');
      const before = await everything(store);
      expect(await store.commit(first)).toBe('ALREADY');
      expect(await store.commit({ ...first, ...changes })).toBe('ALREADY');
      expect(await everything(store)).toEqual(before);
      const next = commitAfter(first.meta);
      expect(await store.commit(next)).toBe('DONE');
      await until('both messages have come', () => heard.length > 1);
      expect(heard).toEqual([first.message, next.message]);
    },
  },
  {
    name: 'fences a repeat when something else was committed after it',
    async run({ store }) {
      const first = commitAfter(await store.own(1, 'owner a', shards));
      expect(await store.commit(first)).toBe('DONE');
      expect(await store.commit(commitAfter(first.meta))).toBe('DONE');
      expect(await store.commit(first)).toBe('FENCED');
    },
  },
  {
    name: 'lets one of two racing owners win, and fences the other',
    async run({ store }) {
      for (let round = 0; round < 10; round++) {
        const owned = await Promise.all(['owner a', 'owner b'].map((owner) => store.own(1, owner, shards)));
        const meta = await store.readMeta(1);
        const results = await Promise.all(
          owned.map((one) => store.commit(commitAfter(one, { visitors: [write('u:a', one.owner)] }))),
        );
        const winner = owned.findIndex(({ commit }) => commit === meta?.commit);
        expect(winner).toBeGreaterThanOrEqual(0);
        expect(results[winner]).toBe('DONE');
        expect(results[1 - winner]).toBe('FENCED');
        expect((await store.readProfile(1, 'u:a'))?.profile).toBe(`profile ${owned[winner]!.owner}`);
      }
    },
  },
  {
    name: 'gives two owners that race different epochs and ids',
    async run({ store }) {
      const owned = await Promise.all(Array.from({ length: 8 }, (_, n) => store.own(1, `owner ${n}`, shards)));
      expect(owned.map(({ epoch }) => epoch).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(new Set(owned.map(({ commit }) => commit)).size).toBe(8);
      expect(new Set(owned.map(({ lineage }) => lineage)).size).toBe(1);
    },
  },
  {
    name: 'owns each shard apart from the others',
    async run({ store }) {
      const metas = await Promise.all([0, 1, 2, 3].map((shard) => store.own(shard, `owner ${shard}`, shards)));
      await store.own(1, 'another', shards);
      const results = await Promise.all(metas.map((meta) => store.commit(commitAfter(meta))));
      expect(results).toEqual(['DONE', 'FENCED', 'DONE', 'DONE']);
    },
  },
];
