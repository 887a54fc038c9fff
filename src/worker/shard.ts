import type { ActionRunner } from '../actions/runner.ts';
import type { ShardActions } from '../actions/shardActions.ts';
import { isUsherError, type UsherError } from '../errors.ts';
import { foldRecord } from '../fold/fold.ts';
import { type ReadRecord, readRecord } from '../fold/record.ts';
import { type FoldSettings, ShardWork } from '../fold/work.ts';
import type { EventLog, ShardFeed } from '../log/eventLog.ts';
import { actionsTopic } from '../model/action.ts';
import { decodeVisitor } from '../model/codec.ts';
import type { Commit, OutboxEntry } from '../model/commit.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import { actionsAgainTopic } from '../model/storedAction.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { ActiveBundles } from '../playbook/playbook.ts';
import type { StateStore, Wakeup } from '../state/stateStore.ts';
import { CommitSize } from './commitSize.ts';
import { Fenced } from './fenced.ts';
import type { OutputEvent } from './lanes.ts';
import { backoffMs, type Machine } from './machine.ts';
import type { CopiesLost, OutputLimits, OutputServices, OutputWriters } from './outputWriters.ts';
import { checkLog, type OwnedShard, ownShard } from './ownership.ts';
import type { RestoredShard } from './rebuild.ts';
import type { SnapshotEvent } from './snapshotWriter.ts';
import { writeOf } from './visitorWrite.ts';

export interface ShardServices {
  readonly log: EventLog;
  readonly store: StateStore;
  /** Where outputs go; absent: nowhere, and `fold.outputs` names none. */
  readonly outputs?: OutputServices;
  /** Who delivers messages; absent: nobody, and what rules send waits in the outbox. */
  readonly actions?: Pick<ActionRunner, 'open'>;
  readonly bundles: Bundles;
  readonly fold: FoldSettings;
  readonly limits: WorkerLimits;
  readonly machine: Machine;
  readonly report: (shard: number, event: ShardEvent) => void;
}

export interface WorkerLimits extends OutputLimits {
  /** Records taken from the log at once. */
  readonly batchRecords: number;
  readonly batchBytes: number;
  /** A commit is cut when it reaches either (semantics 4.3: at most 256 visitors and 512 kB; bytes are guessed from below). */
  readonly commitVisitors: number;
  readonly commitBytes: number;
  /** Visitors a shard keeps in memory between batches. */
  readonly cachedVisitors: number;
  /** Timers fired between two commits, and wake-ups read at once. */
  readonly timers: number;
}

export const workerLimits: WorkerLimits = {
  batchRecords: 1_024,
  batchBytes: 2_000_000,
  commitVisitors: 256,
  commitBytes: 250_000,
  cachedVisitors: 10_000,
  timers: 128,
  outputBatch: 500,
  outputBatchSize: 400_000,
  outboxEntries: 10_000,
  outboxSize: 16_000_000,
  copiedRecords: 4_096,
  copiedSize: 8_000_000,
  snapshotEveryMs: 10_000,
  snapshotVisitors: 200,
  snapshotReachEveryMs: 60_000,
};

export type ShardEvent =
  | { readonly what: 'owned'; readonly meta: ShardMeta }
  | {
      readonly what: 'committed';
      readonly meta: ShardMeta;
      readonly visitors: number;
      readonly foldMs: number;
      readonly commitMs: number;
    }
  | { readonly what: 'fenced' }
  /** The state went back in time; it is folded on from there, and readers are told to trust no cursor of before. */
  | { readonly what: 'rolledBack'; readonly from: number; readonly to: number }
  /** The state is made anew: from a snapshot, then the log from there on. */
  | { readonly what: 'rebuilding'; readonly from: number; readonly to: number }
  | { readonly what: 'retrying'; readonly error: Error; readonly afterMs: number }
  | { readonly what: 'stopped'; readonly error: UsherError }
  | OutputEvent
  | SnapshotEvent
  | CopiesLost;

/** Reasons that time alone does not mend: the shard stands still and says so, until someone has acted. */
const finalCodes = new Set([
  'BUNDLE_MISSING',
  'FOLD_VERSION',
  'LOG_MISMATCH',
  'LOG_NO_LONGER_REACHES',
  'SHARDS_MISMATCH',
]);
const retryMs = { first: 50, most: 5_000 };
/** How often it is looked whether somebody has. */
const stoppedRetryMs = 10_000;
/** The longest wait for records; a stop or a due timer ends it earlier. */
const idleWaitMs = 1_000;

/** Serves one shard for as long as it is assigned: own, open, then take → fold → commit. Never rejects. */
export async function serveShard(feed: ShardFeed, services: ShardServices): Promise<void> {
  let failures = 0;
  let last: ShardMeta | null = null;
  while (!feed.signal.aborted) {
    try {
      const loop: ShardLoop = new ShardLoop(feed, services, await ownShard(feed, services, last));
      failures = 0;
      try {
        // A state that was made anew is served by a new loop from when it is whole.
        while (!feed.signal.aborted && !loop.isRestored) await loop.step();
      } finally {
        last = loop.meta;
        await loop.end();
      }
    } catch (error) {
      if (feed.signal.aborted) return;
      if (isUsherError(error) && finalCodes.has(error.code)) {
        services.report(feed.shard, { what: 'stopped', error });
        await untilMended(feed, services);
        continue;
      }
      // Everything not committed is dropped with the loop; the log still has it.
      const afterMs = backoffMs(failures, retryMs, services.machine);
      failures++;
      services.report(
        feed.shard,
        error instanceof Fenced ? { what: 'fenced' } : { what: 'retrying', error: error as Error, afterMs },
      );
      await services.machine.sleep(afterMs, feed.signal).catch(() => {});
      // A process that woke up after its session ended would take the shard back from its new owner: first the log must confirm that
      // the shard is still ours (semantics 4.2).
      if (error instanceof Fenced) await feed.confirmed?.();
    }
  }
}

/** Looks without owning: should the settings be wrong, and the shard another cluster's, that one must not be fenced again and again. */
async function untilMended({ shard, signal }: ShardFeed, services: ShardServices): Promise<void> {
  const { store, log, bundles, machine } = services;
  while (!signal.aborted) {
    await machine.sleep(stoppedRetryMs, signal).catch(() => {});
    try {
      const meta = await store.readMeta(shard);
      if (meta === null || meta.rebuilding) return;
      await checkLog(shard, meta, log);
      if (meta.active !== null) await bundles.load(meta.active.playbook, meta.active.catalog);
      return;
    } catch {
      // Not yet, or not to be seen.
    }
  }
}

/** One ownership of one shard. The cache in `work` is right because nobody else writes; a fence ends the ownership and the cache. */
class ShardLoop {
  readonly #feed: ShardFeed;
  readonly #services: ShardServices;
  readonly #work: ShardWork;
  readonly #writers: OutputWriters;
  readonly #actions: ShardActions | null;
  /** Records below were folded before, by a state that is lost: what they send may have been sent. */
  readonly #againBelow: number;
  #meta: ShardMeta;
  /** What the tail of the log must bring before the state is whole; null: it is. */
  readonly #restored: RestoredShard | null;
  #takenAt = 0;
  /** Before the numbers of this owner's commits, so that no other commit ever has the id of one of them. */
  readonly #commitPrefix: string;
  readonly #size: CommitSize;
  #tickNotBefore = 0;
  /** Of the activation that is folded next: other shards may load more catalogs than are kept before it is. */
  #next: { readonly playbook: string; readonly catalog: string; readonly bundles: ActiveBundles } | null = null;

  constructor(feed: ShardFeed, services: ShardServices, owned: OwnedShard) {
    const { meta, active, writers, actions, restored, againBelow } = owned;
    this.#actions = actions;
    this.#againBelow = againBelow;
    this.#restored = meta.rebuilding ? restored : null;
    this.#feed = feed;
    this.#services = services;
    this.#meta = meta;
    this.#writers = writers;
    this.#commitPrefix = services.machine.randomId();
    this.#size = new CommitSize(2 * services.limits.cachedVisitors);
    this.#work = new ShardWork({
      meta,
      active,
      bundles: (playbook, catalog) => this.#bundles(playbook, catalog),
      settings: services.fold,
    });
  }

  /** Folds and commits what the log has; waits for it, or for the next timer, when it has nothing. */
  async step(): Promise<void> {
    const { limits, machine } = this.#services;
    await this.#writers.room();
    if (this.#writers.isFenced) throw new Fenced('another owner takes the outputs from the state');
    if (this.#actions?.isFenced) throw new Fenced('another owner has the actions');
    const batch = { records: limits.batchRecords, bytes: limits.batchBytes };
    let records = await this.#feed.take(batch, 0);
    let wakeAt: number | null = null;
    if (records.length === 0) {
      wakeAt = await this.#services.store.nextWakeup(this.#feed.shard);
      const tickAt = wakeAt === null ? Number.POSITIVE_INFINITY : Math.max(wakeAt, this.#tickNotBefore);
      const waitMs = Math.max(0, Math.min(idleWaitMs, Math.ceil(tickAt - machine.now())));
      records = await this.#feed.take(batch, waitMs);
    }
    if (this.#feed.signal.aborted) return;
    if (records.length === 0) {
      if (wakeAt !== null && machine.now() >= Math.max(wakeAt, this.#tickNotBefore)) return this.#tick(wakeAt);
      // What was acknowledged since the last commit need not be copied again.
      if (this.#copiedTo > this.#meta.copied) return this.#commit();
      return this.#checkState();
    }
    this.#takenAt = machine.now();
    const taken = records.map(readRecord);
    this.#writers.taken(taken);
    const reads = taken.filter((read) => read.log.offset >= this.#meta.position).map((read) => this.#unlessNewer(read));
    if (reads.length === 0) return;
    for (const part of partsOf(reads)) {
      // An activation can stop the shard; what came before it must stand by then.
      if (part[0]!.record?.kind === 'activate') await this.#commit();
      await this.#foldPart(part);
    }
    await this.#commit();
    this.#work.evict(limits.cachedVisitors);
    this.#feed.folded(this.#meta.position);
  }

  /**
   * Who has nothing to commit is not told by the fence that the state failed over to a copy without its last commits, or that
   * another took the shard. What was lost must be folded again, also if no record ever comes.
   */
  async #checkState(): Promise<void> {
    const stands = await this.#services.store.readMeta(this.#feed.shard);
    if (stands?.commit !== this.#meta.commit) throw new Fenced('another commit stands');
  }

  get meta(): ShardMeta {
    return this.#meta;
  }

  /** The state was not whole, and now it is. */
  get isRestored(): boolean {
    return this.#restored !== null && !this.#meta.rebuilding;
  }

  /** A visitor that the snapshot has from later on has this record in it: then it is worth its time alone, as a tick is. */
  #unlessNewer(read: ReadRecord): ReadRecord {
    const from = read.visitor === null ? undefined : this.#restored?.newer.get(read.visitor);
    if (from === undefined || read.log.offset >= from) return read;
    const record = { v: 1, kind: 'tick', id: read.id ?? '' } as const;
    return { ...read, record, failure: null, visitor: null, number: null, isEvent: false };
  }

  /** What is on its way to other systems stays in the store, for whoever owns next. */
  async end(): Promise<void> {
    await this.#writers.end();
    await this.#actions?.end();
  }

  get #copiedTo(): number {
    return this.#writers.copiedTo(this.#work.position);
  }

  /**
   * Asks the log for its time (semantics 3.6). The next tick waits until this one has come; should the log's clock be behind ours, for
   * the difference.
   */
  async #tick(dueAt: number): Promise<void> {
    const { log, machine } = this.#services;
    const value = JSON.stringify({ v: 1, kind: 'tick', id: machine.randomId() });
    const [outcome] = await log.append([{ shard: this.#feed.shard, key: null, value }]);
    const behindMs = outcome?.ok ? dueAt - outcome.stamp : 0;
    this.#tickNotBefore = machine.now() + Math.max(behindMs, retryMs.first);
  }

  /** Records that can be prepared together: an activation or an advance stands alone, because it needs other things loaded. */
  async #foldPart(reads: readonly ReadRecord[]): Promise<void> {
    const { limits } = this.#services;
    await this.#load(reads.map((read) => read.visitor).filter((visitor) => visitor !== null));
    await this.#loadTimers(reads);
    for (const read of reads) {
      while (foldRecord(this.#work, read, { timers: this.#timersLeft() }) === 'more') {
        await this.#commit();
        // An advance goes through all visitors of the shard; it stands alone, so what it is done with may go.
        if (read.record?.kind === 'advance') this.#work.evict(limits.cachedVisitors);
        await this.#loadTimers([read]);
      }
      if (read.visitor !== null) this.#size.touch(read.visitor, read.bytes);
      const bytes = this.#size.bytes + this.#work.outputSize;
      if (this.#work.changed >= limits.commitVisitors - 1 || bytes >= limits.commitBytes) {
        await this.#commit();
      }
    }
  }

  /** Each timer may change another visitor, and the record one more. */
  #timersLeft(): number {
    const { timers, commitVisitors } = this.#services.limits;
    return Math.max(1, Math.min(timers, commitVisitors - this.#work.changed - 1));
  }

  async #load(visitors: readonly string[]): Promise<void> {
    const missing = [...new Set(visitors)].filter((visitor) => !this.#work.has(visitor));
    if (missing.length === 0) return;
    const { commit, profiles } = await this.#services.store.load(this.#feed.shard, missing);
    if (commit !== this.#meta.commit) throw new Fenced('another owner committed');
    missing.forEach((visitor, i) => {
      const stored = profiles[i] ?? null;
      if (stored !== null) this.#size.stored(visitor, stored.profile.length + stored.slots.length);
      this.#work.setVisitor(visitor, stored === null ? null : decodeVisitor(stored.profile, stored.slots));
    });
  }

  /** Hands the fold the stored timers that these records may fire. */
  async #loadTimers(reads: readonly ReadRecord[]): Promise<void> {
    const shard = this.#feed.shard;
    const { store, limits, bundles } = this.#services;
    const first = reads[0]?.record;
    if (first?.kind === 'activate') {
      const { playbook, catalog } = first;
      this.#next = { playbook, catalog, bundles: await bundles.load(playbook, catalog) };
    }
    const upTo = reads.reduce((most, read) => Math.max(most, read.log.stamp), this.#meta.appendTime);
    const query = { by: 'wall', upTo, after: null, limit: limits.timers } as const;
    const wall = await store.wakeups(shard, query);
    await this.#load(wall.map((wakeup) => wakeup.visitor));
    for (const { visitor } of wall) this.#size.touch(visitor, 0);
    this.#work.setWakeups(wall, horizonOf(wall, limits.timers), upTo);
    if (first?.kind === 'advance') {
      const historic = await store.wakeups(shard, { ...query, by: 'historic', upTo: Math.min(first.to, upTo) });
      await this.#load(historic.map((wakeup) => wakeup.visitor));
      for (const { visitor } of historic) this.#size.touch(visitor, 0);
      this.#work.setHistoric(historic, horizonOf(historic, limits.timers));
    }
  }

  #bundles(playbook: string, catalog: string): ActiveBundles | null {
    const next = this.#next;
    return next?.playbook === playbook && next.catalog === catalog ? next.bundles : null;
  }

  async #commit(): Promise<void> {
    const { machine, outputs, report } = this.#services;
    const changes = this.#work.takeChanges();
    const outbox = withOrdersAgain(changes.outbox, this.#againBelow);
    const foldedAt = machine.now();
    const visitors = [...changes.visitors].map(([visitor, state]) => writeOf(visitor, state));
    for (const { visitor, profile, slots } of visitors) {
      this.#size.stored(visitor, (profile?.length ?? 0) + (slots?.length ?? 0));
    }
    const meta: ShardMeta = {
      ...this.#meta,
      ...changes.meta,
      copied: this.#copiedTo,
      commits: this.#meta.commits + 1,
      rebuilding: this.#restored !== null && this.#work.position < this.#restored.until,
      commit: `${this.#commitPrefix}-${this.#meta.commits + 1}`,
    };
    const commit: Commit = {
      meta,
      previous: this.#meta.commit,
      visitors,
      outbox,
      failed: changes.failed,
      retried: changes.retried,
      ...(outputs?.snapshots && { changed: true }),
      message: {
        shard: meta.shard,
        commit: meta.commit,
        lineage: meta.lineage,
        position: meta.position,
        appendTime: meta.appendTime,
        visitors: visitors.map((write) => ({
          visitor: write.visitor,
          version: changes.visitors.get(write.visitor)?.version ?? 0,
          slots: write.slots,
        })),
        activity: changes.activity,
        takenAt: this.#takenAt,
        foldedAt,
      },
    };
    await this.#write(commit);
    this.#meta = meta;
    this.#writers.committed(meta, outbox);
    this.#size.committed();
    const doneAt = machine.now();
    report(meta.shard, {
      what: 'committed',
      meta,
      visitors: visitors.length,
      foldMs: foldedAt - this.#takenAt,
      commitMs: doneAt - foldedAt,
    });
  }

  /** A store that fails may have written: the same commit is tried again until it answers, and answers ALREADY if it had. */
  async #write(commit: Commit): Promise<void> {
    const { machine, store, report } = this.#services;
    for (let failures = 0; ; failures++) {
      try {
        if ((await store.commit(commit)) === 'FENCED') throw new Fenced('another owner committed');
        return;
      } catch (error) {
        if (error instanceof Fenced || this.#feed.signal.aborted) throw error;
        if (isUsherError(error) && !error.retryable) throw error;
        const afterMs = backoffMs(failures, retryMs, machine);
        report(commit.meta.shard, { what: 'retrying', error: error as Error, afterMs });
        await machine.sleep(afterMs, this.#feed.signal);
      }
    }
  }
}

/** Orders of records that were folded before leave by a topic of their own, so that whoever takes them knows. */
function withOrdersAgain(entries: readonly OutboxEntry[], below: number): readonly OutboxEntry[] {
  const isAgain = ({ topic, id }: OutboxEntry) => topic === actionsTopic && Number.parseInt(id, 10) < below;
  return entries.some(isAgain)
    ? entries.map((entry) => (isAgain(entry) ? { ...entry, topic: actionsAgainTopic } : entry))
    : entries;
}

function horizonOf(page: readonly Wakeup[], limit: number): Wakeup | null {
  return page.length < limit ? null : page[page.length - 1]!;
}

function* partsOf(reads: readonly ReadRecord[]): Generator<readonly ReadRecord[]> {
  let from = 0;
  for (let i = 0; i < reads.length; i++) {
    const kind = reads[i]!.record?.kind;
    if (kind !== 'activate' && kind !== 'advance') continue;
    if (i > from) yield reads.slice(from, i);
    yield [reads[i]!];
    from = i + 1;
  }
  if (from < reads.length) yield reads.slice(from);
}
