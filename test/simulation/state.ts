import type { Commit, CommitMessage, FailedEvent, OutboxEntry } from '../../src/model/commit.ts';
import { compareUtf8 } from '../../src/model/shard.ts';
import { noCounts, type ShardMeta } from '../../src/model/shardMeta.ts';
import type { StoredAction } from '../../src/model/storedAction.ts';
import type { CommitResult, ProductState, StateStore, Wakeup } from '../../src/state/stateStore.ts';
import { bundles } from '../support/logs.ts';
import { type Actions, actionsFor } from './actions.ts';
import type { Network } from './network.ts';
import type { SimulatedProcess } from './process.ts';

/** All that is stored of one visitor, as a commit wrote it. */
export interface StoredTexts {
  readonly profile: string;
  readonly slots: string;
  readonly wakeAt: number | null;
  readonly historicDue: number | null;
}

/** A shard's state at one moment: a value, so that going back to an older one is going back in a list. */
export interface ShardState {
  readonly meta: ShardMeta;
  readonly visitors: ReadonlyMap<string, StoredTexts>;
  readonly outbox: ReadonlyMap<string, OutboxEntry>;
  /** By position, the last failed first to leave. */
  readonly failed: ReadonlyMap<string, FailedEvent>;
  readonly actions: Actions;
  /** What the commit that made it so published; null: an ownership or the outbox's drainer made it so. */
  readonly message: CommitMessage | null;
}

/** Is told of each step. */
export interface Witness {
  /** @param earlier what stood before, the first first */
  wrote(earlier: readonly ShardState[], after: ShardState): void;
  refused(commit: Commit): void;
}

/**
 * The state's engine, as the port's promises say (src/state/stateStore.ts): each call is one step, and what stands is the last of the
 * steps. A failover forgets some of the last.
 */
export class SimulatedState {
  /** By shard, all states from the first on; the last stands. */
  readonly history: readonly ShardState[][];
  readonly #witness: Witness;

  constructor(shards: number, witness: Witness) {
    this.history = Array.from({ length: shards }, () => []);
    this.#witness = witness;
  }

  standing(shard: number): ShardState | null {
    return this.history[shard]!.at(-1) ?? null;
  }

  /** @returns how many steps were lost */
  failOver(shard: number, steps: number): number {
    const history = this.history[shard]!;
    return history.splice(Math.max(0, history.length - steps)).length;
  }

  own(shard: number, owner: string, commit: string): ShardMeta {
    const stands = this.standing(shard);
    const shards = this.history.length;
    const meta: ShardMeta =
      stands === null
        ? {
            shard,
            shards,
            owner,
            epoch: 1,
            lineage: commit,
            commit,
            position: 0,
            outputs: 0,
            copied: 0,
            commits: 0,
            rebuilding: false,
            appendTime: 0,
            active: null,
            lastId: null,
            counters: noCounts,
            segments: {},
          }
        : { ...stands.meta, owner, epoch: stands.meta.epoch + 1, commit };
    const { visitors, outbox, failed, actions } = stands ?? {
      visitors: new Map(),
      outbox: new Map(),
      failed: new Map(),
      actions: new Map(),
    };
    this.write({ meta, visitors, outbox, failed, actions, message: null });
    return meta;
  }

  commit(commit: Commit): CommitResult {
    const { meta, message } = commit;
    const stands = this.standing(meta.shard);
    if (stands?.meta.commit === meta.commit) return 'ALREADY';
    if (stands?.meta.owner !== meta.owner || stands.meta.commit !== commit.previous) {
      this.#witness.refused(commit);
      return 'FENCED';
    }
    const failed = new Map(stands.failed);
    for (const position of commit.retried) failed.delete(position);
    for (const event of commit.failed) {
      failed.delete(event.position);
      failed.set(event.position, event);
    }
    const outbox = new Map(stands.outbox);
    for (const entry of commit.outbox) outbox.set(entry.id, entry);
    const visitors = withWrites(stands.visitors, commit);
    this.write({ ...stands, meta, visitors, outbox, failed, message });
    return 'DONE';
  }

  clear(shard: number, owner: string): boolean {
    const stands = this.standing(shard);
    if (stands?.meta.owner !== owner || !stands.meta.rebuilding) return false;
    this.write({ ...stands, visitors: new Map(), outbox: new Map(), failed: new Map(), message: null });
    return true;
  }

  drained(shard: number, owner: string, ids: readonly string[]): boolean {
    const stands = this.standing(shard);
    if (stands?.meta.owner !== owner) return false;
    const outbox = new Map(stands.outbox);
    for (const id of ids) outbox.delete(id);
    this.write({ ...stands, outbox, message: null });
    return true;
  }

  /** @returns the ids of those that were set; null: not the owner any more */
  setActions(
    shard: number,
    owner: string,
    actions: readonly StoredAction[],
    isSet: (known: StoredAction | undefined, action: StoredAction) => boolean,
  ): readonly string[] | null {
    const stands = this.standing(shard);
    if (stands?.meta.owner !== owner) return null;
    const all = new Map(stands.actions);
    const set: string[] = [];
    for (const action of actions) {
      const { id } = action.order;
      if (!isSet(all.get(id), action)) continue;
      all.set(id, action);
      set.push(id);
    }
    this.write({ ...stands, actions: all, message: null });
    return set;
  }

  protected write(state: ShardState): void {
    const history = this.history[state.meta.shard]!;
    this.#witness.wrote(history, state);
    history.push(state);
  }
}

export function withWrites(visitors: ShardState['visitors'], commit: Commit): ReadonlyMap<string, StoredTexts> {
  const all = new Map(visitors);
  for (const { visitor, profile, slots, wakeAt, historicDue } of commit.visitors) {
    if (profile === null) all.delete(visitor);
    else all.set(visitor, { profile, slots: slots ?? '', wakeAt, historicDue });
  }
  return all;
}

/** The state as a process sees it. */
export function stateFor(process: SimulatedProcess, state: SimulatedState, network: Network): StateStore {
  const read = <T>(name: string, execute: () => T) => network.call(process, 'read', name, execute);
  const write = <T>(name: string, execute: () => T) => network.call(process, 'write', name, execute);
  const visitorsOf = (shard: number) => state.standing(shard)?.visitors ?? new Map<string, StoredTexts>();
  const wakeupsOf = (shard: number, by: 'wall' | 'historic'): Wakeup[] => {
    const all: Wakeup[] = [];
    for (const [visitor, { wakeAt, historicDue }] of visitorsOf(shard)) {
      const at = by === 'wall' ? wakeAt : historicDue;
      if (at !== null) all.push({ at, visitor });
    }
    return all.sort(compareWakeups);
  };
  return {
    own: (shard, owner) => write(`own of shard ${shard}`, () => state.own(shard, owner, process.machine.randomId())),
    load: (shard, visitors) =>
      read(`load of ${visitors.join(', ')}`, () => ({
        commit: state.standing(shard)?.meta.commit ?? '',
        profiles: visitors.map((visitor) => visitorsOf(shard).get(visitor) ?? null),
      })),
    commit: (commit) =>
      write(`commit ${commit.meta.commit} of shard ${commit.meta.shard} at ${commit.meta.position}`, () =>
        state.commit(commit),
      ),
    wakeups: (shard, { by, upTo, after, limit }) =>
      read(`wakeups of shard ${shard}`, () =>
        wakeupsOf(shard, by)
          .filter((wakeup) => wakeup.at <= upTo && (after === null || compareWakeups(wakeup, after) > 0))
          .slice(0, limit),
      ),
    nextWakeup: (shard) => read(`next wakeup of shard ${shard}`, () => wakeupsOf(shard, 'wall')[0]?.at ?? null),
    readSlots: (keys) =>
      read('slots', () =>
        keys.map(({ shard, visitor }) => ({
          meta: state.standing(shard)?.meta ?? null,
          slots: visitorsOf(shard).get(visitor)?.slots ?? null,
        })),
      ),
    readProfile: (shard, visitor) => read(`profile of ${visitor}`, () => visitorsOf(shard).get(visitor) ?? null),
    readMeta: (shard) => read(`meta of shard ${shard}`, () => state.standing(shard)?.meta ?? null),
    listVisitors: (shard, after, limit) =>
      read(`visitors of shard ${shard}`, () =>
        [...visitorsOf(shard).keys()]
          .filter((visitor) => after === null || compareUtf8(visitor, after) > 0)
          .sort(compareUtf8)
          .slice(0, limit),
      ),
    readOutbox: (shard, after, limit) =>
      read(`outbox of shard ${shard}`, () =>
        [...(state.standing(shard)?.outbox.values() ?? [])]
          .filter(({ id }) => after === null || compareOutboxIds(id, after) > 0)
          .sort((a, b) => compareOutboxIds(a.id, b.id))
          .slice(0, limit),
      ),
    drained: (shard, owner, ids) =>
      write(`drained ${ids.join(', ')} of shard ${shard}`, () => state.drained(shard, owner, ids)),
    clear: (shard, owner) => write(`clear of shard ${shard}`, () => state.clear(shard, owner)),
    readFailed: ({ shard, limit }) =>
      read(`failed events of shard ${shard}`, () =>
        [...(state.standing(shard)?.failed.values() ?? [])].reverse().slice(0, limit),
      ),
    actions: actionsFor(process, state, network),
    readFailedAt: (shard, position) =>
      read(`failed event ${position}`, () => state.standing(shard)?.failed.get(position) ?? null),
    // Bundles are named by their content and never lost; all worlds share the compiled ones.
    putBundle: async () => {},
    readBundle: async (hash) => bundles.text(hash),
    products: noProducts,
    close: async () => {},
  };
}

/** A world has the catalogs that it begins with. */
const none = async (): Promise<never> => {
  throw new Error('no world imports products');
};
const noProducts: ProductState = { put: none, read: none, readChanged: none, status: none, publish: none };

function compareWakeups(a: Wakeup, b: Wakeup): number {
  return a.at - b.at || compareUtf8(a.visitor, b.visitor);
}

/** By `<offset>-<n>`, with or without a shard in front. */
export function compareOutboxIds(a: string, b: string): number {
  const [offsetA, nA] = a.split(':').at(-1)!.split('-').map(Number) as [number, number];
  const [offsetB, nB] = b.split(':').at(-1)!.split('-').map(Number) as [number, number];
  return offsetA - offsetB || nA - nB;
}
