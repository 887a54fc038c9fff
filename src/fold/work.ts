import { UsherError } from '../errors.ts';
import { wakeAtOf } from '../model/codec.ts';
import type { Activity, FailedEvent, logTopic, movesTopic, OutboxEntry } from '../model/commit.ts';
import type { UsherRecord } from '../model/record.ts';
import { compareUtf8 } from '../model/shard.ts';
import { type Activation, noCounts, type ShardCounters, type ShardMeta } from '../model/shardMeta.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles } from '../playbook/playbook.ts';
import { Heap } from './heap.ts';
import type { FoldOutput } from './outputs.ts';
import type { FoldSettings } from './settings.ts';

export type { ActiveBundles } from '../playbook/playbook.ts';
export { defaultFoldSettings, type FoldSettings } from './settings.ts';

/** What the fold changed since the last `takeChanges`. */
export interface FoldChanges {
  /** null: the visitor is gone. */
  readonly visitors: ReadonlyMap<string, Visitor | null>;
  readonly failed: readonly FailedEvent[];
  readonly retried: readonly string[];
  readonly outbox: readonly OutboxEntry[];
  readonly activity: readonly Activity[];
  /** The part of the meta that folding changes. */
  readonly meta: Pick<ShardMeta, 'position' | 'outputs' | 'appendTime' | 'active' | 'lastId' | 'counters' | 'segments'>;
}

/** When a visitor must be looked at: `at` is its smallest wallDue, or historicDue where that is asked for. */
export interface KnownWakeup {
  readonly at: number;
  readonly visitor: string;
}

const none: Visitor['segments'] = {};

export type Bundles = (playbook: string, catalog: string) => ActiveBundles | null;

interface Entry {
  state: Visitor | null;
  changed: boolean;
  /** Read since eviction last came by: it stays until the next time. */
  used: boolean;
  /** The wakeup that stands for this visitor in the heap; none: Infinity. Others of it there are left-overs. */
  queuedAt: number;
}

/**
 * The working set of one shard: the visitors that are loaded, what was changed of them, and which of their timers comes next.
 * A plain structure without I/O; the worker fills it from the store and takes the changes out for a commit.
 */
export class ShardWork {
  readonly settings: FoldSettings;
  readonly counters: { -readonly [K in keyof ShardCounters]: number };
  readonly #bundles: Bundles;
  readonly #segments: { [segment: string]: number };
  readonly #cache = new Map<string, Entry>();
  readonly #wakeups = new Heap<KnownWakeup>(compareWakeups);
  readonly #owned: ShardMeta;
  #position: number;
  #appendTime: number;
  #lastId: string | null;
  #activation: Activation | null;
  #active: ActiveBundles | null;
  #changed = new Set<string>();
  #failed: FailedEvent[] = [];
  #retried: string[] = [];
  #outbox: OutboxEntry[] = [];
  #outputs: number;
  #outputSize = 0;
  #activity: Activity[] = [];
  /** Undefined: the caller has not said which stored wakeups there are. */
  #horizon: KnownWakeup | null | undefined;
  #knownUpTo = 0;
  #historicHorizon: KnownWakeup | null | undefined;

  /** @throws UsherError BUNDLE_MISSING when the meta names active bundles that are not given */
  constructor(options: {
    readonly meta: ShardMeta;
    readonly active: ActiveBundles | null;
    /** Bundles by their hashes; null: not there. */
    readonly bundles: Bundles;
    readonly settings: FoldSettings;
  }) {
    const { meta, active } = options;
    if (meta.active !== null && active === null) throw missingBundles(meta.active.playbook, meta.active.catalog);
    this.#owned = meta;
    this.#position = meta.position;
    this.#outputs = meta.outputs;
    this.#appendTime = meta.appendTime;
    this.#lastId = meta.lastId;
    this.#activation = meta.active;
    this.#active = active;
    this.#bundles = options.bundles;
    this.settings = options.settings;
    // A state of before may not have all of them.
    this.counters = { ...noCounts, ...meta.counters };
    this.#segments = { ...meta.segments };
  }

  /** As it stands with all that was folded so far. */
  get meta(): ShardMeta {
    return {
      ...this.#owned,
      position: this.#position,
      outputs: this.#outputs,
      appendTime: this.#appendTime,
      active: this.#activation,
      lastId: this.#lastId,
      counters: { ...this.counters },
      segments: { ...this.#segments },
    };
  }
  get shard(): number {
    return this.#owned.shard;
  }
  get shards(): number {
    return this.#owned.shards;
  }
  get position(): number {
    return this.#position;
  }
  get active(): ActiveBundles | null {
    return this.#active;
  }
  /** Visitors changed since `takeChanges`. */
  get changed(): number {
    return this.#changed.size;
  }
  /** UTF-16 units of the failed events and outputs that wait for `takeChanges`. */
  get outputSize(): number {
    return this.#outputSize;
  }
  /** Visitors loaded. */
  get size(): number {
    return this.#cache.size;
  }

  /** Wakeups in the queue, left-overs included. */
  get queued(): number {
    return this.#wakeups.size;
  }

  /** Whether the visitor is loaded, or known to be absent. */
  has(visitor: string): boolean {
    return this.#cache.has(visitor);
  }

  /** What the store holds of a visitor; ignored for one that is loaded, whose state here is newer. */
  setVisitor(visitor: string, state: Visitor | null): void {
    if (this.#cache.has(visitor)) return;
    const entry: Entry = { state, changed: false, used: true, queuedAt: Number.POSITIVE_INFINITY };
    this.#cache.set(visitor, entry);
    this.#queue(visitor, entry);
  }

  /**
   * Stored wakeups with `at` ≤ `upTo`, in order. Their visitors must be loaded before folding; from then on their timers are known
   * from their states, so only two things are kept: the horizon, which is the last wakeup of a full page, after which there
   * may be more (null: there are none), and `upTo`: a record whose T is beyond it is answered `more`.
   */
  setWakeups(_known: readonly KnownWakeup[], horizon: KnownWakeup | null, upTo: number): void {
    this.#horizon = horizon;
    this.#knownUpTo = upTo;
  }

  /** The same by historicDue, for an advance. */
  setHistoric(_known: readonly KnownWakeup[], horizon: KnownWakeup | null): void {
    this.#historicHorizon = horizon;
  }

  takeChanges(): FoldChanges {
    const visitors = new Map<string, Visitor | null>();
    for (const visitor of this.#changed) {
      const entry = this.#cache.get(visitor)!;
      entry.changed = false;
      visitors.set(visitor, entry.state);
    }
    const { position, outputs, appendTime, active, lastId, counters, segments } = this.meta;
    const changes: FoldChanges = {
      visitors,
      failed: this.#failed,
      retried: this.#retried,
      outbox: this.#outbox,
      activity: this.#activity,
      meta: { position, outputs, appendTime, active, lastId, counters, segments },
    };
    this.#changed = new Set();
    this.#failed = [];
    this.#retried = [];
    this.#outbox = [];
    this.#outputSize = 0;
    this.#activity = [];
    return changes;
  }

  /**
   * Drops visitors that were not used for longest and have no change to take, until at most so many are loaded. Wakeups must be
   * set anew. Those used since the last time get a second chance: moving a visitor to the end of a list at every event
   * would cost more than it saves.
   */
  evict(maxVisitors: number): void {
    if (this.#cache.size <= maxVisitors) return;
    for (const [visitor, entry] of this.#cache) {
      if (this.#cache.size <= maxVisitors) break;
      if (entry.changed) continue;
      this.#cache.delete(visitor);
      if (!entry.used) continue;
      entry.used = false;
      this.#cache.set(visitor, entry);
    }
    this.#horizon = undefined;
    this.#historicHorizon = undefined;
  }

  // What follows is for the fold alone.

  /** @throws Error when the visitor was not loaded: a fault of the caller */
  visitor(visitor: string): Visitor | null {
    const entry = this.#cache.get(visitor);
    if (entry === undefined) throw new Error(`visitor ${visitor} must be loaded before its record or timer is folded`);
    entry.used = true;
    return entry.state;
  }

  put(visitor: string, state: Visitor | null): void {
    const entry = this.#cache.get(visitor)!;
    if (entry.state === state) return;
    this.#countSegments(entry.state?.segments ?? none, state?.segments ?? none);
    entry.state = state;
    if (!entry.changed) {
      entry.changed = true;
      this.#changed.add(visitor);
    }
    this.#queue(visitor, entry);
  }

  /** Here, where every change of a visitor comes by, also that it is forgotten. */
  #countSegments(before: Visitor['segments'], after: Visitor['segments']): void {
    if (before === after) return;
    for (const id in before) if (!Object.hasOwn(after, id)) this.#segments[id] = (this.#segments[id] ?? 0) - 1;
    for (const id in after) if (!Object.hasOwn(before, id)) this.#segments[id] = (this.#segments[id] ?? 0) + 1;
    for (const id in before) if (this.#segments[id] === 0) delete this.#segments[id];
  }

  /** The visitor with the smallest wallDue ≤ T; null: none; undefined: the store must be asked for more first. */
  nextWakeup(appendTime: number): Visitor | null | undefined {
    const horizon = this.#horizon;
    if (horizon === undefined) throw new Error('setWakeups must be called before a record is folded');
    for (;;) {
      const top = this.#wakeups.peek();
      if (top === undefined || top.at > appendTime) {
        const isKnown = horizon === null ? appendTime <= this.#knownUpTo : horizon.at > appendTime;
        return isKnown ? null : undefined;
      }
      const entry = this.#cache.get(top.visitor);
      const wakeAt = entry === undefined || entry.state === null ? null : wakeAtOf(entry.state);
      if (wakeAt === top.at) {
        const isKnown = horizon === null ? top.at <= this.#knownUpTo : compareWakeups(top, horizon) <= 0;
        return isKnown ? entry!.state : undefined;
      }
      this.#wakeups.pop();
      if (entry !== undefined && entry.queuedAt === top.at) {
        entry.queuedAt = Number.POSITIVE_INFINITY;
        this.#queue(top.visitor, entry);
      }
    }
  }

  /** Whether the store may hold more historic visitors, with something due by then, than are loaded. */
  moreHistoric(due: number): boolean {
    const horizon = this.#historicHorizon;
    if (horizon === undefined) throw new Error('setHistoric must be called before an advance is folded');
    return horizon !== null && horizon.at <= due;
  }

  /** Whether every historic visitor with something due before this is loaded. */
  isKnownHistoric(due: number, visitor: string): boolean {
    const horizon = this.#historicHorizon;
    return horizon === null || horizon === undefined || compareWakeups({ at: due, visitor }, horizon) <= 0;
  }

  *historicVisitors(): Generator<Visitor> {
    for (const { state } of this.#cache.values()) if (state?.historic) yield state;
  }

  count(name: keyof ShardCounters, by = 1): void {
    this.counters[name] += by;
  }

  fail(failed: FailedEvent): void {
    this.#failed.push(failed);
    this.#outputSize += failed.value.length + failed.detail.length;
    this.counters.failed++;
  }

  /** The failed event at this position is retried: it is no longer one. */
  retried(position: string): void {
    const uncommitted = this.#failed.findIndex((failed) => failed.position === position);
    if (uncommitted === -1) this.#retried.push(position);
    else this.#failed.splice(uncommitted, 1);
  }

  /** An output of the record at `offset`, or of a firing before it; numbers count on over partial commits (9.1). */
  emit(topic: FoldOutput, key: string, offset: number, value: object): void {
    const { shard, lineage } = this.#owned;
    const id = `${offset}-${this.#outputs++}`;
    const text = JSON.stringify({ v: 1, id: `${shard}:${id}`, lineage, ...value });
    this.#outbox.push({ id, topic, key, value: text });
    this.#outputSize += text.length;
  }

  /** A record for the log, an output of the same kind: an event that a rule appends (9.2), or what goes to a visitor's user (8.1). */
  append(topic: typeof logTopic | typeof movesTopic, offset: number, record: UsherRecord & { visitor: string }): void {
    const value = JSON.stringify(record);
    this.#outbox.push({ id: `${offset}-${this.#outputs++}`, topic, key: record.visitor, value });
    this.#outputSize += value.length;
  }

  note(activity: Activity): void {
    if (this.#activity.length < this.settings.activity) this.#activity.push(activity);
  }

  /** T is the largest stamp so far (3.1). */
  raiseAppendTime(stamp: number): number {
    if (stamp > this.#appendTime) this.#appendTime = stamp;
    return this.#appendTime;
  }

  moveTo(position: number, lastId: string | null): void {
    this.#position = position;
    this.#lastId = lastId;
    this.#outputs = 0;
  }

  /** @throws UsherError BUNDLE_MISSING */
  activate(playbook: string, catalog: string, foldVersion: number): void {
    const active = this.#bundles(playbook, catalog);
    if (active === null) throw missingBundles(playbook, catalog);
    this.#active = active;
    this.#activation = { playbook, catalog, foldVersion };
  }

  /**
   * A wakeup that moved to a later time stays where it is in the heap until it comes up there, and is then queued anew: most
   * events only push their visitor's session end further away, and so cost the heap nothing.
   */
  #queue(visitor: string, entry: Entry): void {
    const at = entry.state === null ? null : wakeAtOf(entry.state);
    if (at === null || at >= entry.queuedAt) return;
    entry.queuedAt = at;
    this.#wakeups.push({ at, visitor });
    if (this.#wakeups.size > 4 * this.#cache.size + 1024) this.#rebuildWakeups();
  }

  #rebuildWakeups(): void {
    this.#wakeups.clear();
    for (const [visitor, entry] of this.#cache) {
      const at = entry.state === null ? null : wakeAtOf(entry.state);
      entry.queuedAt = at ?? Number.POSITIVE_INFINITY;
      if (at !== null) this.#wakeups.push({ at, visitor });
    }
  }
}

export function compareWakeups(a: KnownWakeup, b: KnownWakeup): number {
  return a.at - b.at || compareUtf8(a.visitor, b.visitor);
}

function missingBundles(playbook: string, catalog: string): UsherError {
  return new UsherError(
    'BUNDLE_MISSING',
    `the shard's log asks for playbook ${playbook} and catalog ${catalog}, which are not there`,
  );
}
