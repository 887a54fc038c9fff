import type { EventLog } from '../log/eventLog.ts';
import type { SnapshotEntry, Snapshots } from '../log/snapshots.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import { markerKey, markerOf, type SnapshotMarker, type VisitorSnapshot } from '../model/snapshot.ts';
import type { ChangedVisitor, SnapshotNote, SnapshotState } from '../state/stateStore.ts';
import { backoffMs, type Machine } from './machine.ts';

export interface SnapshotLimits {
  /** Between two rounds, ms: a visitor that changes often is written once a round. */
  readonly snapshotEveryMs: number;
  /** Visitors written at once. */
  readonly snapshotVisitors: number;
  /** How often it is looked whether the log still reaches back to the marker, ms. */
  readonly snapshotReachEveryMs: number;
}

export interface SnapshotWriterOptions {
  /** As owned. */
  readonly meta: ShardMeta;
  readonly state: SnapshotState;
  readonly snapshots: Snapshots;
  readonly log: Pick<EventLog, 'bounds'>;
  readonly limits: SnapshotLimits;
  readonly machine: Machine;
  readonly signal: AbortSignal;
  /** Resolves when all outputs of the commits handed over so far are in their topics. */
  readonly flushed: () => Promise<void>;
  readonly report: (event: SnapshotEvent) => void;
}

export type SnapshotEvent =
  | { readonly what: 'snapshotWritten'; readonly visitors: number; readonly upTo: number }
  /** `missing` records between the marker and where the log begins: above 0 a state that is lost now is lost for good (4.7). */
  | { readonly what: 'snapshotReach'; readonly upTo: number | null; readonly low: number; readonly missing: number }
  | { readonly what: 'snapshotFailing'; readonly error: Error; readonly afterMs: number };

/** What the state keeps of the newest marker. */
interface NotedMarker {
  /** Where the shard's part ended with it. */
  readonly end: number;
  readonly marker: SnapshotMarker;
}

const retryMs = { first: 100, most: 10_000 };

class NotOwner extends Error {}

/**
 * Writes a shard's changed visitors to the snapshot, and markers that say up to where it is complete (semantics 4.7).
 *
 * Why a marker is true, whatever dies when:
 * - A commit notes its visitors as changed in the same step. The note goes only after the visitor's texts, read after the note, are
 *   acknowledged, and only if no commit changed it since; commits are told apart by their number, which partial ones do not share.
 * - A round writes whoever is noted until what is read is all that is left: so whoever was noted at its first moment is written after it,
 *   also a visitor whose note moves on with every commit. Then comes the marker of that moment. A crash before leaves notes and marker
 *   as they were; what was written twice is the same twice.
 * - A state that went back in time brings notes, marker and meta of one earlier moment back. Its rounds may put older texts over newer
 *   ones, so every owner begins with the marker that its state knows, which says no more than is true of all that follows.
 * - A process that lost the shard may still have a write on its way, older than what the new owner wrote. Every write tells what others
 *   put before it, from the end on that the state knows, and those visitors are written again, long before Kafka removes older texts.
 * - A visitor's texts go only after the outputs of the commits that they hold: what a rebuild does not fold again has been told.
 */
export class SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  readonly #running: Promise<void>;
  #known: ShardMeta;
  #end = 0;
  #marked = -1;
  #markedPosition: number | null = null;
  #reachAt = 0;
  #wake: (() => void) | null = null;
  #fenced = false;

  constructor(options: SnapshotWriterOptions) {
    this.#options = options;
    this.#known = options.meta;
    this.#signal = AbortSignal.any([options.signal, this.#ended.signal]);
    this.#signal.addEventListener('abort', () => this.#wake?.(), { once: true });
    this.#running = this.#run();
  }

  /** The store has told that another owns the shard, and this writer has ended; its owner must own again or stop. */
  get isFenced(): boolean {
    return this.#fenced;
  }

  /** A commit stands, and its outputs have been handed over. */
  committed(meta: ShardMeta): void {
    this.#known = meta;
    this.#wake?.();
  }

  /** Writes no more; resolves after what is in flight. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { machine, limits, report } = this.#options;
    let isBegun = false;
    for (let failures = 0; !this.#signal.aborted; ) {
      let waitMs = limits.snapshotEveryMs;
      try {
        if (!isBegun) await this.#begin();
        isBegun = true;
        await this.#checkReach();
        await this.#committedSince(this.#marked);
        await this.#round();
        failures = 0;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (error instanceof NotOwner) {
          this.#fenced = true;
          return;
        }
        await this.#checkReach().catch(() => {});
        waitMs = backoffMs(failures++, retryMs, machine);
        report({ what: 'snapshotFailing', error: error as Error, afterMs: waitMs });
      }
      await machine.sleep(waitMs, this.#signal).catch(() => {});
    }
  }

  async #begin(): Promise<void> {
    const { state, meta } = this.#options;
    const text = await state.readMarker(meta.shard);
    const noted = text === null ? null : (JSON.parse(text) as NotedMarker);
    this.#end = noted?.end ?? 0;
    const marker = noted?.marker ?? markerOf(meta.shard, null);
    this.#markedPosition = marker.upTo;
    await this.#write([markerEntry(marker)], { written: [], change: meta.commits });
  }

  async #round(): Promise<void> {
    const { state, limits, flushed, report } = this.#options;
    const round = this.#known;
    const { shard, commits, owner } = round;
    let visitors = 0;
    for (let isLast = false; !isLast; ) {
      const page = await state.readChanged(shard, limits.snapshotVisitors);
      if (page.meta?.owner !== owner) throw new NotOwner();
      if (page.visitors.length === 0) break;
      isLast = page.visitors.length < limits.snapshotVisitors;
      // What was read may hold commits whose outputs are handed over a moment later.
      await this.#committedSince(page.meta.commits - 1);
      await flushed();
      const { meta } = page;
      const entries = page.visitors.map((one) => visitorEntry(meta, one));
      await this.#write(entries, { written: page.visitors, change: commits });
      visitors += page.visitors.length;
    }
    const marker = markerOf(shard, round);
    // If others had written, the next round mends it and marks again.
    if (await this.#write([markerEntry(marker)], { written: [], change: commits }, marker)) this.#marked = commits;
    report({ what: 'snapshotWritten', visitors, upTo: round.position });
  }

  /** @returns whether nobody else had written */
  async #write(
    entries: readonly SnapshotEntry[],
    note: Pick<SnapshotNote, 'written' | 'change'>,
    marker?: SnapshotMarker,
  ): Promise<boolean> {
    const { snapshots, state, meta } = this.#options;
    const { shard, owner } = meta;
    const { end, foreign } = await snapshots.write(shard, this.#end, entries);
    const mine = new Set(entries.map(({ key }) => key));
    // A foreign marker is followed by one of ours at the end of the round.
    const again = [...new Set(foreign)].filter((key) => !mine.has(key) && key !== markerKey(shard));
    const noted: NotedMarker | null = marker === undefined || again.length > 0 ? null : { end, marker };
    const all: SnapshotNote = { ...note, again, ...(noted && { marker: JSON.stringify(noted) }) };
    if (!(await state.noteSnapshot(shard, owner, all))) throw new NotOwner();
    this.#end = end;
    if (noted !== null) this.#markedPosition = noted.marker.upTo;
    return again.length === 0;
  }

  async #checkReach(): Promise<void> {
    const { machine, limits, log, meta, report } = this.#options;
    if (machine.now() < this.#reachAt) return;
    this.#reachAt = machine.now() + limits.snapshotReachEveryMs;
    const { low } = await log.bounds(meta.shard);
    const upTo = this.#markedPosition;
    report({ what: 'snapshotReach', upTo, low, missing: Math.max(0, low - (upTo ?? 0)) });
  }

  async #committedSince(commits: number): Promise<void> {
    while (this.#known.commits <= commits) {
      if (this.#signal.aborted) throw new NotOwner();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#wake = null;
  }
}

function visitorEntry(meta: ShardMeta, { visitor, stored }: ChangedVisitor): SnapshotEntry {
  const { shard, position, appendTime, lineage } = meta;
  const texts = stored === null ? ({ profile: null, slots: null, gone: true } as const) : stored;
  const snapshot: VisitorSnapshot = { v: 1, shard, visitor, position, appendTime, lineage, ...texts };
  return { key: visitor, value: JSON.stringify(snapshot) };
}

function markerEntry(marker: SnapshotMarker): SnapshotEntry {
  return { key: markerKey(marker.shard), value: JSON.stringify(marker) };
}
