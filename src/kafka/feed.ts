import { UsherError } from '../errors.ts';
import type { LogRecord } from '../model/record.ts';
import { limits } from './limits.ts';

/** What a feed asks of the member it belongs to. */
export interface FeedHost {
  bounds(shard: number): Promise<{ readonly low: number; readonly end: number }>;
  /** Fetch this shard from `offset` on. */
  fetchFrom(shard: number, offset: number): void;
  pause(shard: number): void;
  resume(shard: number): void;
  folded(shard: number, offset: number): void;
  confirmed(signal: AbortSignal): Promise<void>;
}

/** What a fetch brought of one shard. */
export interface FetchedRecords {
  /** What kafkajs asked for: where it thinks that we are. */
  readonly from: number;
  /** Where it will go on: behind the last record, also if that was a transaction's marker. */
  readonly next: number;
  readonly records: readonly LogRecord[];
}

/** One shard's records for the member that has it: a bounded buffer between kafkajs's fetcher, which must not wait, and `take`. */
export class KafkaFeed {
  readonly shard: number;
  readonly #host: FeedHost;
  readonly #revoked = new AbortController();
  #buffer: LogRecord[] = [];
  /** Index of the next record to hand over. */
  #head = 0;
  #bytes = 0;
  /** The offset that the next fetched batch must begin at; null while nothing is wanted. */
  #expected: number | null = null;
  #opened = false;
  #full = false;
  #error: UsherError | null = null;
  #waiting: (() => void) | null = null;

  constructor(shard: number, host: FeedHost) {
    this.shard = shard;
    this.#host = host;
  }

  get signal(): AbortSignal {
    return this.#revoked.signal;
  }

  /** The next offset to fetch, or null while the feed wants nothing. */
  get expected(): number | null {
    return this.#error === null ? this.#expected : null;
  }

  get full(): boolean {
    return this.#full;
  }

  async open(offset: number): Promise<void> {
    // What is still on its way belongs to the former position.
    this.#expected = null;
    this.#host.pause(this.shard);
    const bounds = await this.#host.bounds(this.shard);
    const wrong = misplaced(this.shard, offset, bounds);
    if (wrong !== null) throw wrong;
    if (this.signal.aborted) return;
    this.#buffer = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#full = false;
    this.#error = null;
    this.#expected = offset;
    this.#opened = true;
    this.#host.fetchFrom(this.shard, offset);
  }

  /**
   * Takes over what was fetched. kafkajs answers "offset out of range" by going to the beginning of the log, without a word (K1): so a
   * batch that it asked for elsewhere than expected is taken only if nothing is missing between.
   */
  async push(fetched: FetchedRecords): Promise<'taken' | 'dropped'> {
    const expected = this.expected;
    if (expected === null || this.signal.aborted) return 'dropped';
    if (fetched.from !== expected && !(await this.#reaches(expected, fetched.from))) return 'dropped';
    // Opened or revoked while the bounds were asked for.
    if (this.expected !== expected || this.signal.aborted) return 'dropped';
    for (const record of fetched.records) {
      if (record.offset < expected) continue;
      this.#buffer.push(record);
      this.#bytes += record.value.length;
    }
    this.#expected = fetched.next;
    if (this.#buffer.length - this.#head >= limits.bufferedRecords || this.#bytes >= limits.bufferedBytes) {
      this.#full = true;
      this.#host.pause(this.shard);
    }
    this.wake();
    return 'taken';
  }

  /** Whether a batch from `from` on follows `expected`: the records between may only be transactions' markers and aborted ones. */
  async #reaches(expected: number, from: number): Promise<boolean> {
    const bounds = await this.#host.bounds(this.shard);
    if (this.expected !== expected || this.signal.aborted) return false;
    if (!this.check(bounds)) return false;
    if (from > expected) return true;
    this.#host.fetchFrom(this.shard, expected);
    return false;
  }

  /** Compares the position with where the log begins and ends; false: the feed has failed. */
  check(bounds: { readonly low: number; readonly end: number }): boolean {
    const expected = this.expected;
    if (expected === null) return true;
    const wrong = misplaced(this.shard, expected, bounds);
    if (wrong === null) return true;
    this.#error = wrong;
    this.#host.pause(this.shard);
    this.wake();
    return false;
  }

  async take(
    limit: { readonly records: number; readonly bytes: number },
    waitMs: number,
  ): Promise<readonly LogRecord[]> {
    if (!this.#opened) {
      throw new UsherError('INTERNAL', `shard ${this.shard}: the feed was not opened before records were taken`);
    }
    if (this.signal.aborted) return [];
    const records = this.#next(limit);
    if (records.length > 0) return records;
    if (this.#error !== null) throw this.#error;
    if (waitMs <= 0) return records;
    await this.#wait(waitMs);
    if (this.signal.aborted) return [];
    const late = this.#next(limit);
    if (late.length === 0 && this.#error !== null) throw this.#error;
    return late;
  }

  #next(limit: { readonly records: number; readonly bytes: number }): readonly LogRecord[] {
    let end = this.#head;
    let bytes = 0;
    for (; end < this.#buffer.length && end - this.#head < limit.records; end++) {
      const size = this.#buffer[end]!.value.length;
      if (end > this.#head && bytes + size > limit.bytes) break;
      bytes += size;
    }
    if (end === this.#head) return [];
    const records = this.#buffer.slice(this.#head, end);
    this.#head = end;
    this.#bytes -= bytes;
    if (this.#head >= limits.bufferedRecords || this.#head === this.#buffer.length) {
      this.#buffer.splice(0, this.#head);
      this.#head = 0;
    }
    this.#drained();
    return records;
  }

  #drained(): void {
    if (!this.#full || this.signal.aborted) return;
    const records = this.#buffer.length - this.#head;
    if (records > limits.bufferedRecords / 2 || this.#bytes > limits.bufferedBytes / 2) return;
    this.#full = false;
    if (this.#error === null) this.#host.resume(this.shard);
  }

  async #wait(waitMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.wake(), waitMs);
      this.#waiting = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.();
  }

  folded(offset: number): void {
    if (!this.signal.aborted) this.#host.folded(this.shard, offset);
  }

  async confirmed(): Promise<void> {
    if (!this.signal.aborted) await this.#host.confirmed(this.signal);
  }

  revoke(): void {
    this.#expected = null;
    this.#revoked.abort();
    this.wake();
    this.#buffer = [];
    this.#head = 0;
  }
}

function misplaced(
  shard: number,
  offset: number,
  { low, end }: { readonly low: number; readonly end: number },
): UsherError | null {
  if (offset < low) {
    return new UsherError('LOG_NO_LONGER_REACHES', `shard ${shard}: asked for ${offset}, the log begins at ${low}`);
  }
  if (offset > end) {
    return new UsherError('LOG_MISMATCH', `shard ${shard}: asked for ${offset}, the log ends at ${end}`);
  }
  return null;
}
