import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { UsherError } from '../errors.ts';
import { ActionRows } from './actionRows.ts';
import { type Fault, faultOf, messageOf, stateFault } from './faults.ts';
import type {
  AppendMessage,
  AppendReply,
  FromWriter,
  RequestMessage,
  RequestReply,
  WriterCounters,
  WriterData,
  WriterMessage,
} from './messages.ts';
import { ProductTables } from './productTables.ts';
import { RecordTables } from './recordTables.ts';
import { prepareSchema } from './schema.ts';
import { StateTables } from './stateTables.ts';

/** One connection with all that is prepared on it; made anew after an I/O fault. */
interface Connection {
  readonly db: DatabaseSync;
  readonly records: RecordTables;
  readonly state: StateTables;
  readonly products: ProductTables;
  readonly actions: ActionRows;
  readonly markSynced: StatementSync;
  /** Reports the WAL's frames and does nothing. */
  readonly walFrames: StatementSync;
  readonly checkpoint: StatementSync;
  synchronous: 'full' | 'normal';
}

/**
 * Writes rounds of messages: first all that may be lost together by a power cut (commits and the rest, one transaction with
 * synchronous=NORMAL, answered at once), then all appends in one with FULL. Both go to the same WAL, so its fsync also covers
 * what was written before, and a power cut takes a tail of it: never a part of a transaction, never an earlier one alone.
 */
export class FileWriter {
  readonly #data: WriterData;
  readonly #post: (message: FromWriter) => void;
  #connection: Connection | null;
  #maxPages: number | null = null;
  /** Ids of the last request written, and of the last that an fsync followed. */
  #written = 0;
  #durable = 0;
  readonly #counters: { -readonly [K in keyof WriterCounters]: number } = {
    appendTransactions: 0,
    appendedRecords: 0,
    commitTransactions: 0,
    commits: 0,
    syncs: 0,
    checkpoints: 0,
  };

  /** @throws what node:sqlite throws, and UsherError of `prepareSchema` */
  constructor(data: WriterData, post: (message: FromWriter) => void) {
    this.#data = data;
    this.#post = post;
    this.#connection = this.#open();
    // After a kill the cache may hold commits that were never synced; whoever reads them from now on may act on them.
    this.#sync(this.#connection);
  }

  bounds(): { readonly low: readonly number[]; readonly next: readonly number[] } {
    const { records } = this.#connected();
    return { low: records.low(), next: records.next() };
  }

  /** One round. Throws when nothing may be promised any more. */
  write(messages: readonly WriterMessage[]): 'open' | 'closed' {
    const requests: RequestMessage[] = [];
    const appends: AppendMessage[] = [];
    for (const message of messages) {
      if (message.what === 'append') appends.push(message);
      else requests.push(message);
    }
    const syncs = requests.filter((request) => request.what === 'sync');
    const close = requests.find((request) => request.what === 'close');
    const writes = requests.filter((request) => request.what !== 'sync' && request.what !== 'close');
    if (writes.length > 0) this.#done([], this.#writeRequests(writes));
    if (appends.length > 0) this.#done(this.#append(appends), []);
    if (syncs.length > 0) this.#done([], this.#answerSyncs(syncs));
    if (close !== undefined) {
      this.#close();
      this.#done([], [{ id: close.id, ok: true, value: null }]);
      return 'closed';
    }
    return 'open';
  }

  /**
   * Copies the WAL into the file, after the answers went out. Left to SQLite it would happen inside a commit that someone
   * waits for; its own limit stays off. `waited`: messages wait already, so that only much of it is worth their time.
   */
  checkpoint(waited: boolean): void {
    try {
      const connection = this.#connected();
      const { log, checkpointed } = connection.walFrames.get() as { log: number; checkpointed: number };
      const waiting = log - checkpointed;
      const { idleCheckpointFrames, busyCheckpointFrames } = this.#data;
      if (waiting < (waited ? busyCheckpointFrames : idleCheckpointFrames)) return;
      connection.checkpoint.get();
      this.#counters.checkpoints++;
    } catch (error) {
      // A full disk: the WAL keeps everything, and the next round tries again.
      if (this.#recover(error) === 'fsync') this.#die([], [], error);
    }
  }

  #done(appends: readonly AppendReply[], requests: readonly RequestReply[]): void {
    this.#post({ what: 'done', appends, requests, durable: this.#durable, counters: this.#counters });
  }

  #append(messages: readonly AppendMessage[]): readonly AppendReply[] {
    let committing = false;
    try {
      const connection = this.#connected();
      this.#begin(connection, 'full');
      const { first, stamps, committed } = connection.records.append(messages);
      committing = true;
      connection.db.exec('commit');
      committed();
      this.#durable = this.#written;
      this.#counters.appendTransactions++;
      for (const message of messages) this.#counters.appendedRecords += message.values.length;
      return messages.map(({ id }, i) => ({ id, ok: true, stamp: stamps[i]!, first: first[i]! }));
    } catch (error) {
      const fault = this.#recover(error);
      const message = `the writer could not append: ${messageOf(error)}`;
      // A full disk is rolled back by SQLite before it answers; any other fault of the commit itself leaves it open.
      const code = fault === 'full' ? 'LOG_FULL' : committing ? 'UNKNOWN' : 'LOG_UNAVAILABLE';
      const replies = messages.map(({ id }) => ({ id, ok: false, code, message }) as const);
      if (fault === 'fsync') this.#die(replies, [], error);
      return replies;
    }
  }

  /** All in one transaction; if that fails each in its own, so that one that cannot be written takes no other with it. */
  #writeRequests(requests: readonly RequestMessage[]): readonly RequestReply[] {
    try {
      return this.#inTransaction(requests);
    } catch (error) {
      const fault = this.#recover(error);
      const refused = (request: RequestMessage, reason: unknown): RequestReply => {
        const { code, message } = stateFault(reason, `the writer could not write a ${request.what}`);
        return { id: request.id, ok: false, code, message };
      };
      if (fault === 'fsync') {
        const replies = requests.map((request) => refused(request, error));
        this.#die([], replies, error);
      }
      if (requests.length === 1) return requests.map((request) => refused(request, error));
      return requests.flatMap((request) => this.#writeRequests([request]));
    }
  }

  #inTransaction(requests: readonly RequestMessage[]): readonly RequestReply[] {
    const connection = this.#connected();
    const afterCommit: (() => void)[] = [];
    this.#begin(connection, 'normal');
    const replies = requests.map((request): RequestReply => {
      return { id: request.id, ok: true, value: this.#handle(connection, request, afterCommit) };
    });
    connection.db.exec('commit');
    for (const run of afterCommit) run();
    this.#written = requests[requests.length - 1]!.id;
    this.#counters.commitTransactions++;
    this.#counters.commits += requests.filter((request) => request.what === 'commit').length;
    return replies;
  }

  #handle(
    { state, records, products, actions }: Connection,
    request: RequestMessage,
    afterCommit: (() => void)[],
  ): unknown {
    switch (request.what) {
      case 'commit':
        return state.commit(request);
      case 'own':
        return state.own(request);
      case 'drained':
        return state.drained(request);
      case 'clear':
        return state.clear(request);
      case 'acceptActions':
        return actions.accept(request);
      case 'writeActions':
        return actions.write(request);
      case 'putBundle':
        return state.putBundle(request);
      case 'putProducts':
        return products.put(request);
      case 'publish':
        return products.publish(request);
      case 'trim': {
        const { result, committed } = records.trim(request);
        afterCommit.push(committed);
        return result;
      }
      case 'limitBytes':
        afterCommit.push(() => this.#limit(request.bytes));
        return null;
      default:
        throw new UsherError('INTERNAL', `${request.what} is no write`);
    }
  }

  #answerSyncs(syncs: readonly RequestMessage[]): readonly RequestReply[] {
    try {
      // Appends of this round may have done it already.
      if (this.#durable < this.#written) this.#sync(this.#connected());
      return syncs.map(({ id }) => ({ id, ok: true, value: null }));
    } catch (error) {
      const fault = this.#recover(error);
      const { code, message } = stateFault(error, 'the writer could not sync');
      const replies = syncs.map(({ id }) => ({ id, ok: false, code, message }) as const);
      if (fault === 'fsync') this.#die([], replies, error);
      return replies;
    }
  }

  /** An fsync needs something to write: a commit without a changed page does none. */
  #sync(connection: Connection): void {
    this.#begin(connection, 'full');
    connection.markSynced.run();
    connection.db.exec('commit');
    this.#durable = this.#written;
    this.#counters.syncs++;
  }

  #begin(connection: Connection, synchronous: 'full' | 'normal'): void {
    if (connection.synchronous !== synchronous) {
      connection.db.exec(`pragma synchronous = ${synchronous}`);
      connection.synchronous = synchronous;
    }
    connection.db.exec('begin immediate');
  }

  /** Brings the connection back to where a transaction can begin; after an I/O fault by a new one, which reads the WAL again. */
  #recover(error: unknown): Fault {
    const fault = faultOf(error);
    const connection = this.#connection;
    try {
      if (connection?.db.isTransaction) connection.db.exec('rollback');
    } catch {
      this.#disconnect();
    }
    if (fault === 'io') this.#disconnect();
    return fault;
  }

  #disconnect(): void {
    const connection = this.#connection;
    this.#connection = null;
    try {
      connection?.db.close();
    } catch {
      // What cannot be closed is given up; the next round opens the file again.
    }
  }

  /** What an fsync that failed had promised may be lost, and a later one would not say so: this thread ends, and with it all writing. */
  #die(appends: readonly AppendReply[], requests: readonly RequestReply[], error: unknown): never {
    this.#done(appends, requests);
    throw error;
  }

  #connected(): Connection {
    this.#connection ??= this.#open();
    return this.#connection;
  }

  #open(): Connection {
    const { path, shards, failedEvents, deadLetters, doneActions, checkedBytes } = this.#data;
    // Readers never hold a lock for long; the timeout is for other programs that look into the file.
    const db = new DatabaseSync(path, { timeout: 5_000 });
    try {
      db.exec('pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 0');
      db.exec('pragma journal_size_limit = 64000000; pragma cache_size = -64000');
      prepareSchema(db, path, shards, checkedBytes);
      if (this.#maxPages !== null) db.exec(`pragma max_page_count = ${this.#maxPages}`);
      return {
        db,
        records: new RecordTables(db, shards),
        state: new StateTables(db, shards, failedEvents),
        products: new ProductTables(db),
        actions: new ActionRows(db, { dead: deadLetters, done: doneActions }),
        markSynced: db.prepare('update file set synced = synced + 1'),
        walFrames: db.prepare('pragma wal_checkpoint(noop)'),
        checkpoint: db.prepare('pragma wal_checkpoint(passive)'),
        synchronous: 'full',
      };
    } catch (error) {
      db.close();
      throw error;
    }
  }

  #limit(bytes: number | null): void {
    const { db } = this.#connected();
    const pageBytes = Number(db.prepare('pragma page_size').get()!['page_size']);
    // SQLite's own greatest number of pages stands for no limit.
    this.#maxPages = bytes === null ? 0xfffffffe : Math.max(1, Math.floor(bytes / pageBytes));
    db.exec(`pragma max_page_count = ${this.#maxPages}`);
  }

  #close(): void {
    try {
      const connection = this.#connected();
      this.#begin(connection, 'full');
      connection.records.saveSizes();
      connection.db.exec('commit');
      connection.db.exec('pragma wal_checkpoint(truncate)');
    } catch {
      // A full disk, say. The WAL is part of the file: what is not copied now is read from it at the next start.
    }
    this.#disconnect();
  }
}
