import { setTimeout as sleep } from 'node:timers/promises';
import { UsherError } from '../errors.ts';
import type { LogRecord } from '../model/record.ts';
import { AppendBatches } from '../sqlite/appendBatches.ts';
import { Feed } from '../sqlite/feed.ts';
import type { TrimResult, WriterCounters } from '../sqlite/messages.ts';
import { recordTable } from '../sqlite/schema.ts';
import type { SqliteFile } from '../sqlite/sqlite.ts';
import { Tail } from '../sqlite/tail.ts';
import type { AppendEntry, AppendOutcome, EventLog, LogMember, LogMembership } from './eventLog.ts';

export interface SqliteLog extends EventLog {
  /** Removes what is folded and beyond the retention now, as happens by itself every `trimEveryMs`. Answers how many records went. */
  trim(): Promise<number>;
  /** How appends and commits shared transactions. */
  counters(): WriterCounters;
}

/** The log in the embedded file. One member has all shards; appends of all callers share the fsyncs of one writer thread. */
export function sqliteLog(file: SqliteFile): SqliteLog {
  return new FileLog(file);
}

class FileLog implements SqliteLog {
  readonly shards: number;
  readonly #file: SqliteFile;
  readonly #batches: AppendBatches;
  readonly #shardLogs: readonly ShardLog[];
  readonly #closing = new AbortController();
  readonly #trimming: Promise<void>;
  #member: { readonly member: LogMember; readonly feeds: readonly Feed[] } | null = null;

  constructor(file: SqliteFile) {
    const { shards, appendDeadlineMs, now } = file.options;
    this.shards = shards;
    this.#file = file;
    this.#shardLogs = Array.from({ length: shards }, (_, shard) => new ShardLog(file, shard));
    this.#batches = new AppendBatches({
      writer: file.writer,
      limits: file.limits,
      deadlineMs: appendDeadlineMs,
      now: now ?? null,
      appended: (entries, offsets, stamp) => this.#appended(entries, offsets, stamp),
    });
    this.#trimming = this.#keepTrimming();
  }

  async append(entries: readonly AppendEntry[]): Promise<readonly AppendOutcome[]> {
    if (entries.length === 0) return [];
    if (this.#closing.signal.aborted) return entries.map(() => refusal('the log is closed'));
    const unknown = entries.find(({ shard }) => this.#shardLogs[shard] === undefined);
    if (unknown !== undefined) {
      return entries.map(() => refusal(`shard ${unknown.shard} does not exist; the log has 0 to ${this.shards - 1}`));
    }
    return this.#batches.append(entries);
  }

  #appended(entries: readonly AppendEntry[], offsets: readonly number[], stamp: number): void {
    const touched = new Set<number>();
    for (let i = 0; i < entries.length; i++) {
      const { shard, key, value } = entries[i]!;
      this.#shardLogs[shard]!.push({ shard, offset: offsets[i]!, stamp, key, value });
      touched.add(shard);
    }
    for (const shard of touched) this.#member?.feeds[shard]?.wake();
  }

  async join(member: LogMember): Promise<LogMembership> {
    if (this.#closing.signal.aborted) throw new UsherError('SHUTTING_DOWN', 'the log is closed');
    if (this.#member !== null)
      throw new UsherError('INTERNAL', 'the embedded log has one member, and it has joined already');
    const feeds = this.#shardLogs.map((source) => new Feed(source));
    const joined = { member, feeds };
    this.#member = joined;
    for (const feed of feeds) member.assigned(feed);
    return {
      leave: async () => {
        if (this.#member === joined) this.#revoke();
      },
    };
  }

  #revoke(): void {
    const joined = this.#member;
    this.#member = null;
    for (const feed of joined?.feeds ?? []) {
      feed.revoke();
      joined?.member.revoked(feed.shard);
    }
  }

  async bounds(shard: number): Promise<{ readonly low: number; readonly end: number }> {
    return this.#shardLog(shard).bounds();
  }

  async readAt(shard: number, offset: number): Promise<LogRecord | null> {
    return this.#shardLog(shard).readAt(offset);
  }

  #shardLog(shard: number): ShardLog {
    const shardLog = this.#shardLogs[shard];
    if (shardLog === undefined)
      throw new UsherError('INTERNAL', `shard ${shard} does not exist; the log has ${this.shards}`);
    return shardLog;
  }

  counters(): WriterCounters {
    return this.#file.writer.counters;
  }

  async trim(): Promise<number> {
    const { limits, writer, options } = this.#file;
    const { ageMs, bytes } = options.retention;
    let removed = 0;
    for (;;) {
      const result: TrimResult = await writer.request<TrimResult>({
        what: 'trim',
        folded: this.#shardLogs.map((shardLog) => shardLog.foldedTo),
        stampBelow: (options.now ?? Date.now)() - ageMs,
        bytes,
        maxRows: limits.trimRows,
      });
      for (const [shard, low] of result.low.entries()) this.#shardLogs[shard]!.trimmed(low);
      removed += result.removed;
      if (!result.more || this.#closing.signal.aborted) return removed;
    }
  }

  async #keepTrimming(): Promise<void> {
    const { signal } = this.#closing;
    for (;;) {
      await sleep(this.#file.limits.trimEveryMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      // A full disk or an ended writer shows in the appends; trimming simply tries again.
      await this.trim().catch(() => {});
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#batches.idle();
    this.#revoke();
    await this.#trimming;
  }
}

/** One shard as the main thread sees it: what is acknowledged, and what the file holds of it. */
class ShardLog {
  readonly shard: number;
  readonly #file: SqliteFile;
  readonly #tail: Tail;
  readonly #select: ReturnType<SqliteFile['prepare']>;
  #low: number;
  #end: number;
  #folded = 0;

  constructor(file: SqliteFile, shard: number) {
    this.shard = shard;
    this.#file = file;
    this.#tail = new Tail(file.limits.tailSize / file.options.shards);
    this.#low = file.opened.low[shard]!;
    this.#end = file.opened.next[shard]!;
    this.#select = file.prepare(
      `select offset, stamp, key, value from ${recordTable(shard)} where offset >= ? and offset < ? order by offset limit ?`,
    );
  }

  get foldedTo(): number {
    return this.#folded;
  }

  bounds(): { readonly low: number; readonly end: number } {
    return { low: this.#low, end: this.#end };
  }

  push(record: LogRecord): void {
    this.#tail.push(record);
    this.#end = record.offset + 1;
  }

  read(offset: number, limit: { readonly records: number; readonly bytes: number }): readonly LogRecord[] {
    if (offset >= this.#end) return [];
    return this.#tail.from(offset, limit) ?? this.#fromFile(offset, limit);
  }

  #fromFile(offset: number, limit: { readonly records: number; readonly bytes: number }): readonly LogRecord[] {
    const rows = this.#file.readOne(`the log of shard ${this.shard} could not be read`, () => {
      const records: LogRecord[] = [];
      let size = 0;
      for (const row of this.#select.iterate(offset, this.#end, limit.records)) {
        const record = recordOf(this.shard, row);
        size += record.value.length;
        if (records.length > 0 && size > limit.bytes) break;
        records.push(record);
      }
      return records;
    });
    if (rows[0]?.offset !== offset) {
      throw new UsherError(
        'LOG_NO_LONGER_REACHES',
        `shard ${this.shard}: record ${offset} is gone, the log now begins at ${rows[0]?.offset ?? this.#end}`,
      );
    }
    return rows;
  }

  readAt(offset: number): LogRecord | null {
    if (offset < this.#low || offset >= this.#end) return null;
    const inMemory = this.#tail.from(offset, { records: 1, bytes: 0 })?.[0];
    if (inMemory !== undefined) return inMemory;
    const row = this.#file.readOne(`record ${offset} of shard ${this.shard} could not be read`, () =>
      this.#select.get(offset, offset + 1, 1),
    );
    return row === undefined ? null : recordOf(this.shard, row);
  }

  taken(offset: number): void {
    this.#tail.release(offset);
  }

  /** Reading begins anew: what lies from here on is not in the state, whatever was said before. */
  opened(offset: number): void {
    this.#folded = Math.min(this.#folded, offset);
  }

  folded(offset: number): void {
    this.#folded = Math.min(offset, this.#end);
  }

  trimmed(low: number): void {
    this.#low = low;
  }
}

function recordOf(shard: number, row: Record<string, unknown>): LogRecord {
  const key = row['key'];
  return {
    shard,
    offset: Number(row['offset']),
    stamp: Number(row['stamp']),
    key: key === null ? null : String(key),
    value: String(row['value']),
  };
}

function refusal(message: string): AppendOutcome {
  return { ok: false, code: 'LOG_UNAVAILABLE', message };
}
