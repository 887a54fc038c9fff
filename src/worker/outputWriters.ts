import type { ReadRecord } from '../fold/record.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { Outputs } from '../log/outputs.ts';
import type { Snapshots } from '../log/snapshots.ts';
import type { OutboxEntry } from '../model/commit.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import type { StateStore } from '../state/stateStore.ts';
import { Copies, type CopiesLimits } from './copies.ts';
import type { OutputEvent } from './lanes.ts';
import type { Machine } from './machine.ts';
import { Outbox, type OutboxLimits } from './outbox.ts';
import { type SnapshotEvent, type SnapshotLimits, SnapshotWriter } from './snapshotWriter.ts';

export interface OutputServices {
  readonly outputs: Outputs;
  /** Event types whose records are copied to topics of their own; `*`: all. */
  readonly copiedTypes: readonly string[];
  /** Absent: none are written, and a state that is lost is folded from the log alone. */
  readonly snapshots?: Snapshots;
}

export interface OutputLimits extends OutboxLimits, CopiesLimits, SnapshotLimits {}

export interface OutputWritersOptions {
  readonly meta: ShardMeta;
  readonly services: OutputServices;
  readonly log: EventLog;
  readonly store: StateStore;
  readonly limits: OutputLimits;
  readonly machine: Machine;
  readonly signal: AbortSignal;
  readonly report: (event: OutputEvent | SnapshotEvent | CopiesLost) => void;
}

/** Records that were never copied are no longer in the log. */
export interface CopiesLost {
  readonly what: 'copiesLost';
  readonly from: number;
  readonly to: number;
}

/** What one owner of a shard tells other systems while it folds. */
export class OutputWriters {
  readonly #outbox: Outbox;
  readonly #copies: Copies | null;
  readonly #snapshot: SnapshotWriter | null;

  static async open(options: OutputWritersOptions): Promise<OutputWriters> {
    const { meta, services, store, report, ...rest } = options;
    const common = { ...rest, report, shard: meta.shard, outputs: services.outputs };
    const from = await copiedFrom(options);
    const outbox = await Outbox.open({ ...common, store, owner: meta.owner });
    const { copiedTypes: types } = services;
    const copies = types.length === 0 ? null : new Copies({ ...common, shards: meta.shards, types, from });
    const { snapshots } = services;
    const state = store.snapshots;
    const snapshot =
      snapshots === undefined || state === undefined || meta.rebuilding
        ? null
        : new SnapshotWriter({ ...common, meta, state, snapshots, flushed: () => outbox.flushed() });
    return new OutputWriters(outbox, copies, snapshot);
  }

  private constructor(outbox: Outbox, copies: Copies | null, snapshot: SnapshotWriter | null) {
    this.#outbox = outbox;
    this.#copies = copies;
    this.#snapshot = snapshot;
  }

  /** Where the log must be read from so that nothing is missing in the topics: at the position, or before it. */
  readFrom({ position }: ShardMeta): number {
    return Math.min(position, this.copiedTo(position));
  }

  /** Everything below is copied; without copies all that is folded counts as such, so that they begin there once they are asked for. */
  copiedTo(position: number): number {
    return this.#copies?.position ?? position;
  }

  /** Another owns the shard by now: what is committed would wait in its outbox for ever. */
  get isFenced(): boolean {
    return this.#outbox.isFenced || this.#snapshot?.isFenced === true;
  }

  /** Resolves when the shard may take more records. */
  async room(): Promise<void> {
    await this.#outbox.room();
    await this.#copies?.room();
  }

  /** Records as they come from the log, before they are folded. */
  taken(reads: readonly ReadRecord[]): void {
    this.#copies?.add(reads);
  }

  /** A commit stands, with what it has put into the outbox. */
  committed(meta: ShardMeta, outbox: readonly OutboxEntry[]): void {
    this.#outbox.add(outbox);
    this.#snapshot?.committed(meta);
  }

  /** Writes no more; what waits stands in the store and in the log, for whoever owns next. */
  async end(): Promise<void> {
    await Promise.all([this.#outbox.end(), this.#copies?.end(), this.#snapshot?.end()]);
  }
}

/** The fold can go on when only copies are missing from the log; that they are is said aloud. */
async function copiedFrom({ meta, services, log, report }: OutputWritersOptions): Promise<number> {
  if (services.copiedTypes.length === 0 || meta.copied >= meta.position) return meta.copied;
  const { low } = await log.bounds(meta.shard);
  if (low <= meta.copied || low > meta.position) return meta.copied;
  report({ what: 'copiesLost', from: meta.copied, to: low });
  return low;
}
