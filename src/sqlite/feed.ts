import { UsherError } from '../errors.ts';
import type { LogRecord } from '../model/record.ts';

/** What a feed reads from: one shard of the log. */
export interface FeedSource {
  readonly shard: number;
  bounds(): { readonly low: number; readonly end: number };
  /** Records from `offset` to the end, which follow without a gap. */
  read(offset: number, limit: { readonly records: number; readonly bytes: number }): readonly LogRecord[];
  opened(offset: number): void;
  /** Records below will not be asked for again by `take`. */
  taken(offset: number): void;
  folded(offset: number): void;
}

/** One shard's records for the member that has it. Offsets of the embedded log have no gaps, so a position says all. */
export class Feed {
  readonly shard: number;
  readonly #source: FeedSource;
  readonly #revoked = new AbortController();
  #position: number | null = null;
  #waiting: (() => void) | null = null;

  constructor(source: FeedSource) {
    this.shard = source.shard;
    this.#source = source;
  }

  get signal(): AbortSignal {
    return this.#revoked.signal;
  }

  async open(offset: number): Promise<void> {
    const { low, end } = this.#source.bounds();
    if (offset < low) {
      throw new UsherError(
        'LOG_NO_LONGER_REACHES',
        `shard ${this.shard}: asked for ${offset}, the log begins at ${low}`,
      );
    }
    if (offset > end) {
      throw new UsherError('LOG_MISMATCH', `shard ${this.shard}: asked for ${offset}, the log ends at ${end}`);
    }
    this.#source.opened(offset);
    this.#position = offset;
  }

  async take(
    limit: { readonly records: number; readonly bytes: number },
    waitMs: number,
  ): Promise<readonly LogRecord[]> {
    if (this.#position === null) {
      throw new UsherError('INTERNAL', `shard ${this.shard}: the feed was not opened before records were taken`);
    }
    if (this.signal.aborted) return [];
    const records = this.#next(this.#position, limit);
    if (records.length > 0 || waitMs <= 0) return records;
    await this.#wait(waitMs);
    return this.signal.aborted ? [] : this.#next(this.#position, limit);
  }

  #next(position: number, limit: { readonly records: number; readonly bytes: number }): readonly LogRecord[] {
    const records = this.#source.read(position, limit);
    this.#position = position + records.length;
    this.#source.taken(this.#position);
    return records;
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
    if (!this.signal.aborted) this.#source.folded(offset);
  }

  revoke(): void {
    this.#revoked.abort();
    this.wake();
  }
}
