import type { FoldSettings } from '../../src/fold/work.ts';
import type { EventLog } from '../../src/log/eventLog.ts';
import { decodeVisitor, encodeProfile, encodeSlots, wakeAtOf } from '../../src/model/codec.ts';
import { type Commit, movesTopic, type VisitorWrite } from '../../src/model/commit.ts';
import type { CommitResult, StateStore, StoredVisitor } from '../../src/state/stateStore.ts';
import { smallSettings } from '../support/logs.ts';
import { SimulatedState, type StoredTexts, withWrites } from './state.ts';

/** A fault put into one part of the cluster, to see that the simulation finds it. */
export interface Plant {
  /** Another engine of the state. */
  readonly State?: typeof SimulatedState;
  /** What stands between one process and the engine. */
  readonly store?: (store: StateStore) => StateStore;
  /** What stands between one process and the log. */
  readonly log?: (log: EventLog) => EventLog;
  readonly fold?: Partial<FoldSettings>;
}

/** A commit is taken from the owner whatever it follows: the fence is half of what it must be. */
class NoPreviousCommitCheck extends SimulatedState {
  override commit(commit: Commit): CommitResult {
    return super.commit({ ...commit, previous: this.standing(commit.meta.shard)?.meta.commit ?? commit.previous });
  }
}

/** A script that does not roll back: it writes the visitors, then finds that the owner is another and refuses. */
class OwnerCheckedAfterTheWrite extends SimulatedState {
  override commit(commit: Commit): CommitResult {
    const result = super.commit(commit);
    const stands = this.standing(commit.meta.shard);
    if (result === 'FENCED' && stands !== null) {
      this.write({ ...stands, visitors: withWrites(stands.visitors, commit), message: null });
    }
    return result;
  }
}

/** A commit that arrives a second time is known, and its outputs are put into the outbox all the same: also those that have left it. */
class OutboxDrainedTwice extends SimulatedState {
  override commit(commit: Commit): CommitResult {
    const result = super.commit(commit);
    const stands = this.standing(commit.meta.shard);
    if (result === 'ALREADY' && stands !== null) {
      const outbox = new Map([...stands.outbox, ...commit.outbox.map((entry) => [entry.id, entry] as const)]);
      this.write({ ...stands, outbox, message: null });
    }
    return result;
  }
}

/** A timer that was cancelled before it was due stays in the state; in its owner's memory it is gone. */
class TimerCancelLost extends SimulatedState {
  override commit(commit: Commit): CommitResult {
    const stored = this.standing(commit.meta.shard)?.visitors;
    const visitors = commit.visitors.map((write) => withCancelled(write, stored?.get(write.visitor), commit));
    return super.commit({ ...commit, visitors });
  }
}

function withCancelled(write: VisitorWrite, before: StoredTexts | undefined, { meta }: Commit): VisitorWrite {
  if (write.profile === null || before === undefined) return write;
  const visitor = decodeVisitor(write.profile, write.slots!);
  const nameOf = (timer: { readonly what: string; readonly key: readonly string[] }) =>
    [timer.what, ...timer.key].join();
  const kept = new Set(visitor.timers.map(nameOf));
  const cancelled = decodeVisitor(before.profile, before.slots).timers.filter(
    (timer) =>
      !kept.has(nameOf(timer)) && timer.what === 'slot' && timer.due! > visitor.now && timer.wallDue! > meta.appendTime,
  );
  const after = { ...visitor, timers: [...visitor.timers, ...cancelled] };
  return { ...write, profile: encodeProfile(after), wakeAt: wakeAtOf(after) };
}

/** Held events live in the memory of whoever held them: a new owner finds none in the state. */
function holdBufferLostAtTakeover(store: StateStore): StateStore {
  const known = new Set<string>();
  return {
    ...store,
    own: (shard, owner, shards) => {
      known.clear();
      return store.own(shard, owner, shards);
    },
    load: async (shard, visitors) => {
      const { commit, profiles } = await store.load(shard, visitors);
      return {
        commit,
        profiles: profiles.map((stored, i) => (known.has(visitors[i]!) ? stored : withoutHeld(stored))),
      };
    },
    commit: (commit) => {
      for (const { visitor } of commit.visitors) known.add(visitor);
      return store.commit(commit);
    },
  };
}

function withoutHeld(stored: StoredVisitor | null): StoredVisitor | null {
  if (stored === null) return null;
  const visitor = decodeVisitor(stored.profile, stored.slots);
  const after = {
    ...visitor,
    sources: visitor.sources.map((source) => ({ ...source, held: [] })),
    timers: visitor.timers.filter(({ what }) => what !== 'hold'),
  };
  return { profile: encodeProfile(after), slots: encodeSlots(after) };
}

/** A commit in two calls: first the position, then what was folded up to it. */
function positionWrittenBeforeState(store: StateStore): StateStore {
  return {
    ...store,
    commit: async (commit) => {
      const { meta, message } = commit;
      const id = `${meta.commit}-position`;
      await store.commit({
        ...commit,
        meta: { ...meta, commit: id },
        visitors: [],
        outbox: [],
        failed: [],
        retried: [],
        message: { ...message, commit: id, visitors: [], activity: [] },
      });
      return store.commit({ ...commit, previous: id });
    },
  };
}

/** A cache between process and state that nobody empties when the process is fenced: what it folded in vain stays in it. */
function cacheKeptAfterAFence(store: StateStore): StateStore {
  const cache = new Map<string, StoredVisitor | null>();
  return {
    ...store,
    load: async (shard, visitors) => {
      const { commit, profiles } = await store.load(shard, visitors);
      return {
        commit,
        profiles: profiles.map((stored, i) => (cache.has(visitors[i]!) ? cache.get(visitors[i]!)! : stored)),
      };
    },
    commit: (commit) => {
      for (const { visitor, profile, slots } of commit.visitors) {
        cache.set(visitor, profile === null ? null : { profile, slots: slots! });
      }
      return store.commit(commit);
    },
  };
}

/** What a user took is known to whoever owned its shard when it took it, and to nobody after. */
function takenForgottenAtTakeover(store: StateStore): StateStore {
  return {
    ...store,
    load: async (shard, visitors) => {
      const { commit, profiles } = await store.load(shard, visitors);
      return { commit, profiles: profiles.map((stored) => (stored === null ? null : withoutTaken(stored))) };
    },
  };
}

function withoutTaken({ profile, slots }: StoredVisitor): StoredVisitor {
  return { profile: encodeProfile({ ...decodeVisitor(profile, slots), taken: [] }), slots };
}

/** Who comes after a crash delivers what other systems are to be told, and forgets the users. */
function movesLeftToTheDead(store: StateStore): StateStore {
  return {
    ...store,
    readOutbox: async (...asked) => (await store.readOutbox(...asked)).filter(({ topic }) => topic !== movesTopic),
  };
}

/** What the log did not take counts as written. */
function refusedAppendsCount(log: EventLog): EventLog {
  return {
    ...log,
    append: async (entries) =>
      (await log.append(entries)).map((outcome) => (outcome.ok ? outcome : { ok: true, offset: 0, stamp: 0 })),
  };
}

/** What the simulation must find, each by 5 seeds of 5. */
export const plants: { readonly [name: string]: Plant } = {
  'no previous-commit check': { State: NoPreviousCommitCheck },
  'owner checked after the write': { State: OwnerCheckedAfterTheWrite },
  'hold buffer lost at takeover': { store: holdBufferLostAtTakeover },
  'timer cancel lost': { State: TimerCancelLost },
  'outbox drained twice': { State: OutboxDrainedTwice },
  'dedupe off by one': { fold: { recentIds: smallSettings.recentIds - 1 } },
  'position written before state': { store: positionWrittenBeforeState },
  'cache kept after a fence': { store: cacheKeptAfterAFence },
  'forward twice': { store: takenForgottenAtTakeover },
  'merge lost at crash': { store: movesLeftToTheDead },
  'a refused append taken for written': { log: refusedAppendsCount },
};
