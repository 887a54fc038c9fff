import { foldRecord } from '../../src/fold/fold.ts';
import { type ReadRecord, readRecord } from '../../src/fold/record.ts';
import { defaultFoldSettings, type FoldSettings, ShardWork } from '../../src/fold/work.ts';
import {
  canonicalVisitor,
  decodeVisitor,
  encodeProfile,
  encodeSlots,
  historicDueOf,
  wakeAtOf,
} from '../../src/model/codec.ts';
import type { Activity, FailedEvent, OutboxEntry } from '../../src/model/commit.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { compareUtf8 } from '../../src/model/shard.ts';
import { noCounts, type ShardMeta } from '../../src/model/shardMeta.ts';
import type { Visitor } from '../../src/model/visitor.ts';
import type { ActiveBundles } from '../../src/playbook/playbook.ts';
import type { Wakeup } from '../../src/state/stateStore.ts';
import type { TestBundles } from './bundles.ts';

/** How a log is cut into commits: nothing of it may change what comes out. */
export interface Cut {
  /** Records between two commits. */
  readonly batch: number;
  /** Timers fired between two commits. */
  readonly timers: number;
  /** Stored wakeups read at once. */
  readonly page: number;
  /** Visitors kept in memory after a commit; null: all, and the working set lives on. 0: as if every commit had another owner. */
  readonly keep: number | null;
}
export const wholeLog: Cut = { batch: 1_000_000, timers: 1_000_000, page: 1_000_000, keep: null };

interface Stored {
  readonly profile: string;
  readonly slots: string;
  readonly wakeAt: number | null;
  readonly historicDue: number | null;
}

/**
 * One shard with its log and a store of texts in memory, served as the worker serves it: load, fold, commit. For tests
 * of the fold that need no engine.
 */
export class FoldShard {
  readonly log: LogRecord[] = [];
  readonly stored = new Map<string, Stored>();
  readonly failed: FailedEvent[] = [];
  readonly outbox: OutboxEntry[] = [];
  readonly activity: Activity[] = [];
  commits = 0;
  meta: ShardMeta;
  readonly #bundles: Pick<TestBundles, 'get'>;
  readonly #cut: Cut;
  readonly #settings: FoldSettings;
  readonly #committed: () => void;
  #work: ShardWork;

  constructor(
    bundles: Pick<TestBundles, 'get'>,
    options: {
      cut?: Cut;
      shard?: number;
      shards?: number;
      settings?: Partial<FoldSettings>;
      /** Called after each commit. */
      committed?: () => void;
    } = {},
  ) {
    this.#bundles = bundles;
    this.#cut = options.cut ?? wholeLog;
    this.#committed = options.committed ?? (() => {});
    this.#settings = { ...defaultFoldSettings, ...options.settings };
    this.meta = {
      shard: options.shard ?? 0,
      shards: options.shards ?? 1,
      owner: 'test',
      epoch: 1,
      lineage: 'l',
      commit: 'c',
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
    };
    this.#work = this.#newWork();
  }

  /** Appends a record, given as its members or as any text, with the log's stamp. */
  append(record: object | string, stamp: number): void {
    const value = typeof record === 'string' ? record : JSON.stringify(record);
    this.log.push({ shard: this.meta.shard, offset: this.log.length, stamp, key: null, value });
  }

  /** Folds what is not folded yet, and commits. */
  fold(): this {
    const reads = this.log.slice(this.meta.position).map(readRecord);
    for (let from = 0; from < reads.length; from += this.#cut.batch) {
      this.#foldBatch(reads.slice(from, from + this.#cut.batch));
    }
    return this;
  }

  visitor(id: string): Visitor | null {
    const stored = this.stored.get(id);
    return stored === undefined ? null : decodeVisitor(stored.profile, stored.slots);
  }

  get active(): ActiveBundles | null {
    const { active } = this.meta;
    return active === null ? null : this.#bundles.get(active.playbook, active.catalog);
  }

  /** All that the log folded to, one line a visitor, the failed events, the outputs in order and the counters: equal for equal folds. */
  canonical(): readonly string[] {
    const { position, appendTime, active, lastId, counters } = this.meta;
    const visitors = [...this.stored.keys()].sort(compareUtf8).map((id) => canonicalVisitor(this.visitor(id)!));
    const failed = this.failed.map((event) => JSON.stringify(event)).sort();
    const outbox = this.outbox.map((entry) => JSON.stringify(entry));
    return [...visitors, ...failed, ...outbox, JSON.stringify({ position, appendTime, active, lastId, counters })];
  }

  #newWork(): ShardWork {
    return new ShardWork({
      meta: this.meta,
      active: this.active,
      bundles: (playbook, catalog) => this.#bundles.get(playbook, catalog),
      settings: this.#settings,
    });
  }

  #foldBatch(reads: readonly ReadRecord[]): void {
    for (const read of reads) if (read.visitor !== null) this.#load(read.visitor);
    this.#loadWakeups(reads);
    for (const read of reads) {
      while (foldRecord(this.#work, read, { timers: this.#cut.timers }) === 'more') {
        this.#commit();
        if (this.#cut.keep === 0) {
          this.#work = this.#newWork();
          for (const each of reads) if (each.visitor !== null) this.#load(each.visitor);
        }
        this.#loadWakeups([read]);
      }
    }
    this.#commit();
    const { keep } = this.#cut;
    if (keep === 0) this.#work = this.#newWork();
    else if (keep !== null) this.#work.evict(keep);
  }

  #load(visitor: string): void {
    if (!this.#work.has(visitor)) this.#work.setVisitor(visitor, this.visitor(visitor));
  }

  #loadWakeups(reads: readonly ReadRecord[]): void {
    const upTo = reads.reduce((most, { log }) => Math.max(most, log.stamp), this.meta.appendTime);
    const wall = this.#page((stored) => stored.wakeAt, upTo);
    for (const { visitor } of wall.known) this.#load(visitor);
    this.#work.setWakeups(wall.known, wall.horizon, upTo);
    const historic = this.#page((stored) => stored.historicDue, upTo);
    for (const { visitor } of historic.known) this.#load(visitor);
    this.#work.setHistoric(historic.known, historic.horizon);
  }

  #page(atOf: (stored: Stored) => number | null, upTo: number): { known: Wakeup[]; horizon: Wakeup | null } {
    const all = [...this.stored].flatMap(([visitor, stored]): Wakeup[] => {
      const at = atOf(stored);
      return at === null || at > upTo ? [] : [{ at, visitor }];
    });
    all.sort((a, b) => a.at - b.at || compareUtf8(a.visitor, b.visitor));
    const known = all.slice(0, this.#cut.page);
    return { known, horizon: known.length < this.#cut.page ? null : known.at(-1)! };
  }

  #commit(): void {
    const changes = this.#work.takeChanges();
    for (const [id, state] of changes.visitors) {
      if (state === null) this.stored.delete(id);
      else {
        this.stored.set(id, {
          profile: encodeProfile(state),
          slots: encodeSlots(state),
          wakeAt: wakeAtOf(state),
          historicDue: historicDueOf(state),
        });
      }
    }
    for (const position of changes.retried) {
      this.failed.splice(
        this.failed.findIndex((event) => event.position === position),
        1,
      );
    }
    this.failed.push(...changes.failed);
    this.outbox.push(...changes.outbox);
    this.activity.push(...changes.activity);
    this.meta = { ...this.meta, ...changes.meta };
    this.commits++;
    this.#committed();
  }
}
