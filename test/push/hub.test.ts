import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Activity, CommitMessage } from '../../src/model/commit.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { ShardMeta } from '../../src/model/shardMeta.ts';
import type { Broadcast, BroadcastListener } from '../../src/push/broadcast.ts';
import { Hub, type VisitorChange } from '../../src/push/hub.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteFile } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { commitAfter, write } from '../contract/commits.ts';
import { temporaryFolder } from '../contract/sqliteSubjects.ts';
import { bound } from '../support/bound.ts';

const shards = 4;
const visitor = 'u:1';
const shard = shardOf(visitor, shards);

/** A local broadcast that can lose messages, as a network does, and say afterwards that it may have. */
function lossyBroadcast() {
  const inner = localBroadcast();
  const listeners: BroadcastListener[] = [];
  const lossy = {
    losing: false,
    gap: () => listeners.forEach((listener) => void listener.onGap()),
    publish: (message: CommitMessage) => lossy.losing || inner.publish(message),
    subscribe(ofShard: number, listener: BroadcastListener) {
      if (ofShard === shard) listeners.push(listener);
      return inner.subscribe(ofShard, listener);
    },
    close: () => inner.close(),
  };
  return lossy satisfies Broadcast;
}

let file: SqliteFile;
let remove: () => Promise<void>;
let store: StateStore;
let broadcast: ReturnType<typeof lossyBroadcast>;
let hub: Hub;
let meta: ShardMeta;
beforeEach(async () => {
  const temporary = await temporaryFolder();
  remove = temporary.remove;
  file = await openSqlite({
    folder: temporary.folder,
    shards,
    appendDeadlineMs: 5_000,
    retention: { ageMs: 1e12, bytes: 1e12 },
  });
  broadcast = lossyBroadcast();
  store = sqliteStore(file, broadcast);
  meta = await store.own(shard, 'owner', shards);
  hub = new Hub({ broadcast, store, shards, recheckMs: 1e9 });
  await hub.start();
});
afterEach(async () => {
  await hub.stop();
  await file.close();
  await remove();
});

/** Commits the visitor's slots; `activity` is told of those named. */
async function commit(slots: string, of = visitor, activity: readonly Activity[] = []): Promise<void> {
  const made = commitAfter(meta, { visitors: [write(of, slots)] });
  expect(await store.commit({ ...made, message: { ...made.message, activity } })).toBe('DONE');
  meta = made.meta;
}
function listen(of = visitor) {
  const changes: VisitorChange[] = [];
  return { changes, stop: hub.listen(of, (change) => changes.push(change)) };
}

describe('waiting for a position', () => {
  it('ends when the record there is folded', async () => {
    expect(await hub.waitFor(shard, 0, 0)).toBe(false);
    const waiting = hub.waitFor(shard, 1, 60_000);
    await commit('one');
    expect(await hub.waitFor(shard, 0, 0)).toBe(true);
    await commit('two');
    expect(await waiting).toBe(true);
  });
  it('ends unfolded when its time is over, or the hub stops', async () => {
    expect(await hub.waitFor(shard, 5, 5)).toBe(false);
    const waiting = hub.waitFor(shard, 5, 60_000);
    await hub.stop();
    expect(await waiting).toBe(false);
  });
  it('knows at its start what was folded before', async () => {
    await commit('one');
    const later = new Hub({ broadcast, store, shards, recheckMs: 1e9 });
    await later.start();
    expect(await later.waitFor(shard, 0, 0)).toBe(true);
    expect(later.view(shard)).toMatchObject({ position: 1, lineage: meta.lineage });
    await later.stop();
  });
  it('ends after a recheck when the message was lost', async () => {
    const waiting = hub.waitFor(shard, 0, 60_000);
    broadcast.losing = true;
    await commit('one');
    broadcast.gap();
    expect(await waiting).toBe(true);
  });
});

describe('listening to a visitor', () => {
  it('hears of that visitor’s commits alone, in order', async () => {
    const { changes } = listen();
    await commit('one');
    await commit('of another', 'somebody else of the shard');
    await commit('two');
    expect(changes.map(({ slots, shard: { position } }) => [slots, position])).toEqual([
      ['slots one', 1],
      ['slots two', 3],
    ]);
    expect(changes[0]!.times).toMatchObject({ foldedAt: 2 });
  });
  it('hears after a gap what it missed, once', async () => {
    const { changes } = listen();
    await commit('one');
    broadcast.losing = true;
    await commit('two');
    expect(changes).toHaveLength(1);
    await hub.recheck();
    expect(changes.map(({ slots }) => slots)).toEqual(['slots one', 'slots two']);
    expect(changes[1]).toMatchObject({ times: null, activity: [] });
    await hub.recheck();
    expect(changes).toHaveLength(2);
  });
  it('hears by itself of what it missed, after the time between two rechecks', async () => {
    const often = new Hub({ broadcast, store, shards, recheckMs: 5 });
    await often.start();
    const heard = new Promise<VisitorChange>((resolve) => often.listen(visitor, resolve));
    broadcast.losing = true;
    await commit('one');
    expect((await heard).slots).toBe('slots one');
    await often.stop();
  });
  it('is not told older slots that a recheck read before a message came', async () => {
    await commit('one');
    const [wasRead, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const read = store.readSlots.bind(store);
    const slow: StateStore = {
      ...bound(store),
      async readSlots(keys: Parameters<StateStore['readSlots']>[0]) {
        const result = await read(keys);
        wasRead.resolve();
        await answered.promise;
        return result;
      },
    };
    const other = new Hub({ broadcast, store: slow, shards, recheckMs: 1e9 });
    await other.start();
    const told: (string | null)[] = [];
    other.listen(visitor, ({ slots }) => told.push(slots));
    const rechecking = other.recheck();
    await wasRead.promise;
    await commit('two');
    answered.resolve();
    await rechecking;
    expect(told).toEqual(['slots two']);
    await other.stop();
  });
  it('tells who came later what the others know already, and who has nothing that it is nothing', async () => {
    const first = listen();
    const nobody = listen('u:nobody');
    await store.own(shardOf('u:nobody', shards), 'owner', shards);
    meta = await store.own(shard, 'owner', shards);
    await commit('one');
    const second = listen();
    await hub.recheck();
    expect(second.changes.map(({ slots }) => slots)).toEqual(['slots one']);
    expect(nobody.changes.map(({ slots }) => slots)).toEqual([null]);
    await hub.recheck();
    expect([first.changes.length, second.changes.length, nobody.changes.length]).toEqual([2, 1, 1]);
  });
  it('is told soon after the state is back, not at the next turn', async () => {
    await commit('one');
    let isAway = false;
    const read = store.readMeta.bind(store);
    const flaky: StateStore = {
      ...bound(store),
      readMeta: async (of: number) => {
        if (isAway) throw new Error('away');
        return read(of);
      },
    };
    const other = new Hub({ broadcast, store: flaky, shards, recheckMs: 1e9 });
    await other.start();
    const heard = new Promise<VisitorChange>((resolve) => other.listen(visitor, resolve));
    isAway = true;
    await other.recheck();
    isAway = false;
    expect((await heard).slots).toBe('slots one');
    await other.stop();
  });
  it('hears nothing after it stopped, and costs nothing', async () => {
    const { changes, stop } = listen();
    expect(hub.connectedVisitors).toBe(1);
    stop();
    await commit('one');
    expect(changes).toEqual([]);
    expect(hub.connectedVisitors).toBe(0);
  });
});

describe('watching what the fold does', () => {
  const line = (of: string): Activity => ({
    visitor: of,
    offset: 0,
    what: 'folded',
    eventId: 'e',
    type: 't',
    at: 0,
    appendTime: 0,
    receivedAt: null,
    rules: [],
    slots: [],
    segments: [],
    detail: null,
    properties: null,
  });
  it('shows one visitor’s lines to those who watch it, and all to those who watch everybody', async () => {
    const [mine, all]: [string[], string[]] = [[], []];
    hub.watch(visitor, ({ activity }) => mine.push(activity.visitor));
    const stop = hub.watch(null, ({ activity, slots }) => all.push(`${activity.visitor} ${slots}`));
    await commit('one', visitor, [line(visitor), line('other')]);
    expect(mine).toEqual([visitor]);
    expect(all).toEqual([`${visitor} slots one`, 'other null']);
    stop();
    await commit('two', visitor, [line(visitor)]);
    expect(all).toHaveLength(2);
    expect(mine).toHaveLength(2);
  });
});
