import type { Activity, CommitMessage } from '../model/commit.ts';
import { shardOf } from '../model/shard.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import type { SlotsRead, StateStore } from '../state/stateStore.ts';
import type { Broadcast } from './broadcast.ts';

/** How far a shard is folded, as far as this process was told. */
export interface ShardView {
  readonly lineage: string;
  /** Offset of the next record to fold: everything below is in the state. */
  readonly position: number;
  readonly appendTime: number;
}

/** Something of one visitor changed. */
export interface VisitorChange {
  readonly visitor: string;
  readonly shard: ShardView;
  /** The text that the store keeps; null: the visitor is gone. */
  readonly slots: string | null;
  /** What the fold did to make it; empty when the change was found by reading the state. */
  readonly activity: readonly Activity[];
  /** Wall clock, ms with fractions; null when the change was found by reading the state. */
  readonly times: { readonly foldedAt: number; readonly receivedAt: number } | null;
}

/** One line of what the fold did, with the slots as they stood after the commit. */
export interface ActivityChange {
  readonly activity: Activity;
  readonly shard: ShardView & { readonly shard: number };
  readonly slots: string | null;
  readonly times: { readonly foldedAt: number; readonly receivedAt: number };
}

export interface HubOptions {
  readonly broadcast: Broadcast;
  readonly store: StateStore;
  readonly shards: number;
  /** How often the state of connected visitors is compared with what they were told (semantics 7.2). */
  readonly recheckMs?: number;
  /** Wall clock, ms with fractions. */
  readonly now?: () => number;
}

const defaultRecheckMs = 5_000;
/** After a recheck that the state did not answer. */
const retryMs = 500;
/** Visitors read at once when rechecking. */
const recheckPage = 256;

type Listener<T> = (change: T) => void;

/**
 * One process's view of what is folded: wakes those who wait for a position and hands each change to that visitor's subscriptions
 * alone, before anything of it is parsed or rendered. A message that was missed delays a subscriber by `recheckMs` at most: the state is
 * then read again. Listeners get the newest state, in order; what they do with it is bounded on their side.
 */
export class Hub {
  readonly #options: Required<HubOptions>;
  readonly #views: (ShardView | null)[];
  readonly #waiters: Set<() => void>[];
  readonly #visitors = new Map<
    string,
    { shard: number; told: string | null; listeners: Set<Listener<VisitorChange>> }
  >();
  /** By visitor; null: those who watch everybody. */
  readonly #watchers = new Map<string | null, Set<Listener<ActivityChange>>>();
  readonly #readers = new Set<(visitor: string, read: SlotsRead) => void>();
  readonly #followers = new Set<(visitor: string, slots: string | null, shard: ShardView) => void>();
  readonly #unsubscribe: (() => Promise<void>)[] = [];
  #timer: NodeJS.Timeout | null = null;
  #soon: NodeJS.Timeout | null = null;
  #rechecking: Promise<void> | null = null;
  #stopped = false;

  constructor(options: HubOptions) {
    this.#options = { recheckMs: defaultRecheckMs, now: () => performance.timeOrigin + performance.now(), ...options };
    this.#views = new Array<ShardView | null>(options.shards).fill(null);
    this.#waiters = Array.from({ length: options.shards }, () => new Set());
  }

  /** Subscribes, then reads where every shard stands. */
  async start(): Promise<void> {
    const { broadcast, shards, recheckMs } = this.#options;
    for (let shard = 0; shard < shards; shard++) {
      this.#unsubscribe.push(
        await broadcast.subscribe(shard, {
          onMessage: (message) => this.#onMessage(message),
          onGap: () => this.recheck(),
        }),
      );
    }
    await this.#readMetas();
    this.#timer = setInterval(() => this.recheck(), recheckMs).unref();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#soon !== null) clearTimeout(this.#soon);
    for (const unsubscribe of this.#unsubscribe.splice(0)) await unsubscribe();
    await this.#rechecking;
    for (const waiters of this.#waiters) for (const wake of [...waiters]) wake();
  }

  /** null until the shard was heard of. */
  view(shard: number): ShardView | null {
    return this.#views[shard] ?? null;
  }

  /** Whether the record at this offset is folded; waits for it at most `ms`. */
  waitFor(shard: number, offset: number, ms: number): Promise<boolean> {
    const isFolded = () => (this.#views[shard]?.position ?? 0) > offset;
    if (isFolded() || ms <= 0 || this.#stopped) return Promise.resolve(isFolded());
    return new Promise((resolve) => {
      const waiters = this.#waiters[shard]!;
      const finish = () => {
        waiters.delete(check);
        clearTimeout(timer);
        resolve(isFolded());
      };
      const check = () => {
        if (isFolded() || this.#stopped) finish();
      };
      const timer = setTimeout(finish, ms);
      waiters.add(check);
    });
  }

  /** Calls back on every commit that touches the visitor, and when a recheck finds that one was missed. Returns how to stop. */
  listen(visitor: string, listener: Listener<VisitorChange>): () => void {
    let entry = this.#visitors.get(visitor);
    if (entry === undefined) {
      entry = { shard: shardOf(visitor, this.#options.shards), told: null, listeners: new Set() };
      this.#visitors.set(visitor, entry);
    }
    // The next recheck tells all of them, whatever the others had heard: this one may have begun without the state.
    entry.told = null;
    const { listeners } = entry;
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#visitors.get(visitor)?.listeners === listeners) this.#visitors.delete(visitor);
    };
  }

  /** Calls back on what the fold does with this visitor's records, or with everybody's. Returns how to stop. */
  watch(visitor: string | null, listener: Listener<ActivityChange>): () => void {
    let listeners = this.#watchers.get(visitor);
    if (listeners === undefined) {
      listeners = new Set();
      this.#watchers.set(visitor, listeners);
    }
    const set = listeners;
    set.add(listener);
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.#watchers.get(visitor) === set) this.#watchers.delete(visitor);
    };
  }

  /** Calls back with what a recheck read of each visitor that has a listener. Returns how to stop. */
  onRead(reader: (visitor: string, read: SlotsRead) => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  /** Calls back with the slots of each visitor that a commit touches, whoever listens. Returns how to stop. */
  onCommit(follower: (visitor: string, slots: string | null, shard: ShardView) => void): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  /** Visitors with a listener. */
  get connectedVisitors(): number {
    return this.#visitors.size;
  }

  #onMessage(message: CommitMessage): void {
    const receivedAt = this.#options.now();
    const view: ShardView = { lineage: message.lineage, position: message.position, appendTime: message.appendTime };
    this.#setView(message.shard, view);
    for (const follower of this.#followers) {
      for (const { visitor, slots } of message.visitors) follower(visitor, slots, view);
    }
    if (this.#visitors.size > 0) this.#tellVisitors(message, view, receivedAt);
    if (this.#watchers.size > 0) this.#tellWatchers(message, view, receivedAt);
  }

  #setView(shard: number, view: ShardView): void {
    this.#views[shard] = view;
    for (const check of [...this.#waiters[shard]!]) check();
  }

  #tellVisitors(message: CommitMessage, view: ShardView, receivedAt: number): void {
    for (const { visitor, slots } of message.visitors) {
      const entry = this.#visitors.get(visitor);
      if (entry === undefined) continue;
      entry.told = slots ?? '';
      const activity = message.activity.filter((line) => line.visitor === visitor);
      const change = { visitor, shard: view, slots, activity, times: { foldedAt: message.foldedAt, receivedAt } };
      for (const listener of [...entry.listeners]) listener(change);
    }
  }

  #tellWatchers(message: CommitMessage, view: ShardView, receivedAt: number): void {
    const all = this.#watchers.get(null);
    let slotsOf: Map<string, string | null> | null = null;
    for (const activity of message.activity) {
      const own = this.#watchers.get(activity.visitor);
      if (all === undefined && own === undefined) continue;
      slotsOf ??= new Map(message.visitors.map(({ visitor, slots }) => [visitor, slots]));
      const change: ActivityChange = {
        activity,
        shard: { ...view, shard: message.shard },
        slots: slotsOf.get(activity.visitor) ?? null,
        times: { foldedAt: message.foldedAt, receivedAt },
      };
      for (const listener of [...(all ?? []), ...(own ?? [])]) listener(change);
    }
  }

  /** Reads where the shards stand and what the connected visitors have; tells those whose state is not what they were told last. */
  recheck(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#rechecking ??= this.#recheckAll()
      // A state that does not answer is read again soon; until then subscribers keep what they have.
      .catch(() => this.#recheckSoon())
      .finally(() => {
        this.#rechecking = null;
      });
    return this.#rechecking;
  }

  #recheckSoon(): void {
    if (this.#soon !== null || this.#stopped) return;
    this.#soon = setTimeout(() => {
      this.#soon = null;
      void this.recheck();
    }, retryMs).unref();
  }

  async #recheckAll(): Promise<void> {
    await this.#readMetas();
    const visitors = [...this.#visitors.keys()];
    for (let from = 0; from < visitors.length && !this.#stopped; from += recheckPage) {
      await this.#recheckPage(visitors.slice(from, from + recheckPage));
    }
  }

  async #recheckPage(visitors: readonly string[]): Promise<void> {
    const before = visitors.map((visitor) => this.#visitors.get(visitor)?.told);
    const reads = await this.#options.store.readSlots(
      visitors.map((visitor) => ({ shard: shardOf(visitor, this.#options.shards), visitor })),
    );
    reads.forEach((read, i) => {
      const visitor = visitors[i]!;
      const { meta, slots } = read;
      for (const reader of this.#readers) reader(visitor, read);
      const entry = this.#visitors.get(visitor);
      // What a message told while we read is newer than what was read, or the same.
      if (meta === null || entry === undefined || entry.told !== before[i] || entry.told === (slots ?? '')) return;
      entry.told = slots ?? '';
      const change = { visitor, shard: viewOf(meta), slots, activity: [], times: null };
      for (const listener of [...entry.listeners]) listener(change);
    });
  }

  async #readMetas(): Promise<void> {
    for (let shard = 0; shard < this.#options.shards && !this.#stopped; shard++) {
      const before = this.#views[shard];
      const meta = await this.#options.store.readMeta(shard);
      if (meta === null || this.#views[shard] !== before) continue;
      if (before?.lineage !== meta.lineage || before.position < meta.position) this.#setView(shard, viewOf(meta));
    }
  }
}

function viewOf(meta: ShardMeta): ShardView {
  return { lineage: meta.lineage, position: meta.position, appendTime: meta.appendTime };
}
