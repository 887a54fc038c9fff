import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { AppendMessage, TrimRequest, TrimResult } from './messages.ts';
import { recordTable } from './schema.ts';

/** What a row costs beside its texts, roughly: offset, stamp, lengths. */
const rowOverheadBytes = 16;
const sizeOfRow = `octet_length(value) + coalesce(octet_length(key), 0) + ${rowOverheadBytes}`;
/** Rows looked at together when the oldest over all shards is sought. */
const trimChunk = 64;

interface ShardLog {
  readonly insert: StatementSync;
  readonly first: StatementSync;
  readonly remove: StatementSync;
  /** First offset still there, next offset to give, size in bytes: what the committed transactions made of them. */
  low: number;
  next: number;
  bytes: number;
  /** `next` at the last save, so that an unchanged shard is not written. */
  saved: number;
}

/** The log's tables, as the writer thread uses them. Offsets of a shard follow without a gap. */
export class RecordTables {
  readonly #logs: ShardLog[] = [];
  readonly #save: StatementSync;

  constructor(db: DatabaseSync, shards: number) {
    this.#save = db.prepare('update log_shards set low = ?, counted = ?, bytes = ? where shard = ?');
    const saved = db.prepare('select low, counted, bytes from log_shards where shard = ?');
    for (let shard = 0; shard < shards; shard++) {
      const table = recordTable(shard);
      const { low, counted, bytes } = saved.get(shard) as { low: number; counted: number; bytes: number };
      // The sizes of what was appended since they were last saved; saving with each append would write one more page each time.
      const since = db
        .prepare(`select max(offset) as last, total(${sizeOfRow}) as bytes from ${table} where offset >= ?`)
        .get(counted) as { last: number | null; bytes: number };
      this.#logs.push({
        insert: db.prepare(`insert into ${table} (offset, stamp, key, value) values (?, ?, ?, ?)`),
        first: db.prepare(
          `select offset, stamp, ${sizeOfRow} as size from ${table} where offset < ? order by offset limit ?`,
        ),
        remove: db.prepare(`delete from ${table} where offset < ?`),
        low,
        next: since.last === null ? Math.max(low, counted) : since.last + 1,
        bytes: bytes + since.bytes,
        saved: counted,
      });
    }
  }

  low(): number[] {
    return this.#logs.map((log) => log.low);
  }

  next(): number[] {
    return this.#logs.map((log) => log.next);
  }

  /**
   * Inserts the messages' records, in a transaction that the caller has begun.
   * @returns the first offsets by shard for each message, and what to call when the transaction is committed: offsets of one
   *   that failed are given again
   */
  append(messages: readonly AppendMessage[]): {
    readonly first: readonly (readonly number[])[];
    committed(): void;
    stamps: readonly number[];
  } {
    const next = this.next();
    const added = new Array<number>(next.length).fill(0);
    const first: number[][] = [];
    const stamps: number[] = [];
    for (const message of messages) {
      const stamp = message.stamp ?? Date.now();
      first.push(next.slice());
      stamps.push(stamp);
      for (let i = 0; i < message.shards.length; i++) {
        const shard = message.shards[i]!;
        const key = message.keys[i]!;
        const value = message.values[i]!;
        this.#logs[shard]!.insert.run(next[shard]!++, stamp, key, value);
        added[shard]! += Buffer.byteLength(value) + (key === null ? 0 : Buffer.byteLength(key)) + rowOverheadBytes;
      }
    }
    const committed = () => {
      this.#logs.forEach((log, shard) => {
        log.next = next[shard]!;
        log.bytes += added[shard]!;
      });
    };
    return { first, committed, stamps };
  }

  /** Removes the oldest records that are folded and too old or too many, in a transaction that the caller has begun. */
  trim(request: TrimRequest): { readonly result: TrimResult; committed(): void } {
    const cuts = this.#logs.map((log) => ({ low: log.low, freed: 0 }));
    let removed = 0;
    let total = this.#logs.reduce((sum, log) => sum + log.bytes, 0);
    const removeWhile = (shard: number, limit: number, goes: (stamp: number) => boolean): number => {
      const log = this.#logs[shard]!;
      const cut = cuts[shard]!;
      let rows = 0;
      for (const row of log.first.all(request.folded[shard]!, limit) as {
        offset: number;
        stamp: number;
        size: number;
      }[]) {
        if (!goes(row.stamp)) break;
        cut.low = row.offset + 1;
        cut.freed += row.size;
        total -= row.size;
        rows++;
      }
      if (rows > 0) log.remove.run(cut.low);
      removed += rows;
      return rows;
    };
    const left = () => request.maxRows - removed;
    for (let shard = 0; shard < this.#logs.length && left() > 0; shard++) {
      removeWhile(shard, left(), (stamp) => stamp < request.stampBelow);
    }
    while (total > request.bytes && left() > 0) {
      const oldest = this.#oldest(request.folded);
      if (oldest === null || removeWhile(oldest, Math.min(trimChunk, left()), () => total > request.bytes) === 0) break;
    }
    this.#saveSizes(cuts);
    const committed = () => {
      this.#logs.forEach((log, shard) => {
        log.low = cuts[shard]!.low;
        log.bytes -= cuts[shard]!.freed;
        log.saved = log.next;
      });
    };
    return { result: { removed, low: cuts.map((cut) => cut.low), bytes: total, more: left() <= 0 }, committed };
  }

  /** Before closing, in a transaction that the caller has begun: so that the next start need not add up anything. */
  saveSizes(): void {
    this.#saveSizes(this.#logs.map(({ low }) => ({ low, freed: 0 })));
  }

  /** `counted` moves with the size: opening the file adds up only what came after it. */
  #saveSizes(cuts: readonly { readonly low: number; readonly freed: number }[]): void {
    this.#logs.forEach((log, shard) => {
      const { low, freed } = cuts[shard]!;
      if (low !== log.low || log.next !== log.saved) this.#save.run(low, log.next, log.bytes - freed, shard);
    });
  }

  /** The shard whose first folded record is the oldest; null: none has one. */
  #oldest(folded: readonly number[]): number | null {
    let shardOfOldest: number | null = null;
    let oldest = Number.POSITIVE_INFINITY;
    this.#logs.forEach((log, shard) => {
      const row = log.first.get(folded[shard]!, 1) as { stamp: number } | undefined;
      if (row === undefined || row.stamp >= oldest) return;
      oldest = row.stamp;
      shardOfOldest = shard;
    });
    return shardOfOldest;
  }
}
