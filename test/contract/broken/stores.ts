import { setTimeout as sleep } from 'node:timers/promises';
import type { Commit } from '../../../src/model/commit.ts';
import type { Broadcast } from '../../../src/push/broadcast.ts';
import type { ActionTable, CommitResult, StateStore } from '../../../src/state/stateStore.ts';

/** The store with another `commit`, or other actions. */
function changed(
  store: StateStore,
  commit: (commit: Commit) => Promise<CommitResult>,
  actions: ActionTable = store.actions,
): StateStore {
  return {
    actions,
    own: (shard, owner, shards) => store.own(shard, owner, shards),
    load: (shard, visitors) => store.load(shard, visitors),
    commit,
    wakeups: (shard, query) => store.wakeups(shard, query),
    nextWakeup: (shard) => store.nextWakeup(shard),
    readSlots: (keys) => store.readSlots(keys),
    readProfile: (shard, visitor) => store.readProfile(shard, visitor),
    readMeta: (shard) => store.readMeta(shard),
    listVisitors: (shard, after, limit) => store.listVisitors(shard, after, limit),
    readOutbox: (shard, after, limit) => store.readOutbox(shard, after, limit),
    clear: (shard, owner) => store.clear(shard, owner),
    drained: (shard, owner, ids) => store.drained(shard, owner, ids),
    readFailed: (query) => store.readFailed(query),
    readFailedAt: (shard, position) => store.readFailedAt(shard, position),
    putBundle: (hash, text) => store.putBundle(hash, text),
    readBundle: (hash) => store.readBundle(hash),
    products: store.products,
    close: () => store.close(),
  };
}

/** Writes a commit of several visitors in two steps, the second a moment later. */
export function commitsHalf(store: StateStore): StateStore {
  return changed(store, async (commit) => {
    const half = Math.floor(commit.visitors.length / 2);
    if (half === 0) return store.commit(commit);
    const between = `${commit.meta.commit} half`;
    const first = await store.commit({
      ...commit,
      meta: { ...commit.meta, commit: between },
      visitors: commit.visitors.slice(0, half),
    });
    if (first !== 'DONE') return first;
    await sleep(2);
    return store.commit({ ...commit, previous: between, visitors: commit.visitors.slice(half) });
  });
}

/** Writes for whoever asks, owner or not. */
export function ignoresTheFence(store: StateStore): StateStore {
  return changed(store, async (commit) => {
    const result = await store.commit(commit);
    if (result !== 'FENCED') return result;
    const stands = await store.readMeta(commit.meta.shard);
    if (stands === null) return result;
    return store.commit({ ...commit, previous: stands.commit, meta: { ...commit.meta, owner: stands.owner } });
  });
}

/** Forgets the timer of the last visitor of a commit. */
export function losesATimer(store: StateStore): StateStore {
  return changed(store, (commit) => {
    const last = commit.visitors.length - 1;
    const visitors = commit.visitors.map((write, i) => (i === last ? { ...write, wakeAt: null } : write));
    return store.commit({ ...commit, visitors });
  });
}

/** Tells the listeners before the commit stands; `store` publishes nothing by itself. */
export function publishesBeforeItCommits(store: StateStore, broadcast: Broadcast): StateStore {
  return changed(store, (commit) => {
    broadcast.publish(commit.message);
    return store.commit(commit);
  });
}

/** Takes an order again that comes again: a crash between taking it and removing it from the outbox sends a message twice. */
export function takesOrdersTwice(store: StateStore): StateStore {
  const { actions } = store;
  return withActions(store, {
    accept: async (shard, owner, orders) =>
      (await actions.write(shard, owner, orders)) ? orders.map(({ order }) => order.id) : null,
  });
}

/** Writes what becomes of a message for whoever asks, owner or not: two processes attempt the same one. */
export function attemptsForAnybody(store: StateStore): StateStore {
  const { actions } = store;
  return withActions(store, {
    write: async (shard, _owner, orders) => actions.write(shard, (await store.readMeta(shard))?.owner ?? '', orders),
  });
}

function withActions(store: StateStore, changes: Partial<ActionTable>): StateStore {
  const { actions } = store;
  return changed(store, (commit) => store.commit(commit), {
    accept: (shard, owner, orders) => actions.accept(shard, owner, orders),
    write: (shard, owner, orders) => actions.write(shard, owner, orders),
    readPending: (shard, after, limit) => actions.readPending(shard, after, limit),
    readDead: (query) => actions.readDead(query),
    readDeadOf: (shard, id) => actions.readDeadOf(shard, id),
    ...changes,
  });
}
