import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { openingFault, stateFault } from './faults.ts';
import { type SqliteLimits, sqliteLimits } from './limits.ts';
import { lockFolder } from './lock.ts';
import type { WriterData } from './messages.ts';
import { Writer } from './writer.ts';

export interface SqliteOptions {
  /** Made if it is not there. The file is `usher.db` in it. */
  readonly folder: string;
  /** N; chosen once for a folder. */
  readonly shards: number;
  /** An append is answered within this long, ms. */
  readonly appendDeadlineMs: number;
  /** Folded records go when they are older, or while the log is larger. */
  readonly retention: { readonly ageMs: number; readonly bytes: number };
  readonly limits?: Partial<SqliteLimits>;
  /** The clock of the log's stamps, integer ms; without it the writer's own. */
  readonly now?: () => number;
}

/** Wraps a failed read as an UsherError, so that no error of the engine leaves this folder. */
export type Read = <T>(what: string, read: () => T) => T;

/** The open file, shared by `sqliteLog` and `sqliteStore`. */
export interface SqliteFile {
  readonly path: string;
  readonly options: SqliteOptions;
  readonly limits: SqliteLimits;
  readonly writer: Writer;
  /** What the log held when the file was opened, by shard. */
  readonly opened: { readonly low: readonly number[]; readonly next: readonly number[] };
  /** A statement on the main thread's read-only connection. */
  prepare(sql: string): StatementSync;
  /** Several statements that see one moment. */
  readTogether: Read;
  /** One statement. */
  readOne: Read;
  /** Finishes what was sent to the writer, then lets go of the folder. */
  close(): Promise<void>;
}

/**
 * Opens `<folder>/usher.db` and keeps the folder to this process.
 * @throws UsherError DATA_IN_USE, DATA_UNWRITABLE, DATA_DAMAGED, DATA_VERSION, SHARDS_MISMATCH
 */
export async function openSqlite(options: SqliteOptions): Promise<SqliteFile> {
  const limits: SqliteLimits = { ...sqliteLimits, ...options.limits };
  const path = join(options.folder, 'usher.db');
  const lock = lockFolder(options.folder);
  try {
    const { shards } = options;
    const { writer, low, next } = await Writer.start(writerData(path, shards, limits), limits);
    try {
      // In WAL mode this connection is never in the writer's way, nor the writer in its: each read sees the last commit.
      const reader = new DatabaseSync(path, { readOnly: true, timeout: 1_000 });
      return new OpenFile({ path, options, limits, writer, opened: { low, next } }, reader, lock);
    } catch (error) {
      await writer.close();
      throw openingFault(error, path);
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

type Parts = Pick<SqliteFile, 'path' | 'options' | 'limits' | 'writer' | 'opened'>;

class OpenFile implements SqliteFile {
  readonly path: string;
  readonly options: SqliteOptions;
  readonly limits: SqliteLimits;
  readonly writer: Writer;
  readonly opened: SqliteFile['opened'];
  readonly #reader: DatabaseSync;
  readonly #lock: { release(): void };
  readonly #begin: StatementSync;
  readonly #end: StatementSync;
  #closed: Promise<void> | null = null;

  constructor(parts: Parts, reader: DatabaseSync, lock: { release(): void }) {
    this.path = parts.path;
    this.options = parts.options;
    this.limits = parts.limits;
    this.writer = parts.writer;
    this.opened = parts.opened;
    this.#reader = reader;
    this.#lock = lock;
    this.#begin = reader.prepare('begin');
    this.#end = reader.prepare('rollback');
  }

  prepare(sql: string): StatementSync {
    return this.#reader.prepare(sql);
  }

  readonly readOne: Read = (what, read) => {
    try {
      return read();
    } catch (error) {
      throw stateFault(error, what);
    }
  };

  readonly readTogether: Read = (what, read) => {
    try {
      this.#begin.run();
      try {
        return read();
      } finally {
        // A read transaction left open would keep the WAL from ever being reset.
        if (this.#reader.isTransaction) this.#end.run();
      }
    } catch (error) {
      throw stateFault(error, what);
    }
  };

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    // The reader first: the last connection to close removes the WAL, and only the writer's may write.
    this.#reader.close();
    await this.writer.close();
    this.#lock.release();
  }
}

function writerData(path: string, shards: number, limits: SqliteLimits): WriterData {
  const { messagesPerTransaction, idleCheckpointFrames, busyCheckpointFrames, checkedBytes } = limits;
  const { failedEvents, deadLetters, doneActions } = limits;
  return {
    path,
    shards,
    messagesPerTransaction,
    failedEvents,
    deadLetters,
    doneActions,
    idleCheckpointFrames,
    busyCheckpointFrames,
    checkedBytes,
  };
}
