import type { LogRecord } from '../model/record.ts';

/** Removing from the front of an array is done this many at a time. */
const compactAt = 1_024;

/**
 * The last records of one shard, in memory, so that what was just appended is not read back from the file. Bounded by size: the
 * oldest leave, and whoever needs them reads the file.
 */
export class Tail {
  readonly #maxSize: number;
  #records: (LogRecord | undefined)[] = [];
  /** Only records from here on are live; those before are undefined, so that their texts can go. */
  #head = 0;
  #size = 0;

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  push(record: LogRecord): void {
    const last = this.#records[this.#records.length - 1];
    // A gap: a record whose outcome was unknown is in the file and not here.
    if (last !== undefined && last.offset + 1 !== record.offset) this.clear();
    this.#records.push(record);
    this.#size += sizeOf(record);
    while (this.#size > this.#maxSize) this.#dropFirst();
  }

  /** Records from this offset on; null: the first of them is not here. */
  from(offset: number, limit: { readonly records: number; readonly bytes: number }): readonly LogRecord[] | null {
    const first = this.#records[this.#head];
    if (first === undefined || offset < first.offset) return null;
    const from = this.#head + offset - first.offset;
    let to = from;
    for (let size = 0; to < this.#records.length && to - from < limit.records; to++) {
      size += sizeOf(this.#records[to]!);
      if (to > from && size > limit.bytes) break;
    }
    return this.#records.slice(from, to) as LogRecord[];
  }

  /** Nobody will ask for records below this offset. */
  release(offset: number): void {
    while (this.#head < this.#records.length && this.#records[this.#head]!.offset < offset) this.#dropFirst();
  }

  clear(): void {
    this.#records = [];
    this.#head = 0;
    this.#size = 0;
  }

  #dropFirst(): void {
    this.#size -= sizeOf(this.#records[this.#head]!);
    this.#records[this.#head] = undefined;
    this.#head++;
    if (this.#head === this.#records.length) {
      this.clear();
    } else if (this.#head >= compactAt && this.#head * 2 >= this.#records.length) {
      this.#records = this.#records.slice(this.#head);
      this.#head = 0;
    }
  }
}

function sizeOf(record: LogRecord): number {
  return record.value.length + (record.key?.length ?? 0);
}
