import { randomBytes } from 'node:crypto';
import { UsherError } from '../errors.ts';
import type { Commit, FailedEvent, FailureReason, OutboxEntry } from '../model/commit.ts';
import type { ShardMeta } from '../model/shardMeta.ts';
import type { Broadcast } from '../push/broadcast.ts';
import { SqliteActions } from '../sqlite/actionTable.ts';
import type { OutboxRow } from '../sqlite/messages.ts';
import { SqliteProducts } from '../sqlite/products.ts';
import type { SqliteFile } from '../sqlite/sqlite.ts';
import type {
  CommitResult,
  ProductState,
  SlotsRead,
  StateStore,
  StoredVisitor,
  Wakeup,
  WakeupQuery,
} from './stateStore.ts';

/**
 * The state in the embedded file. Writes go to the writer thread, reads come from the main thread's connection; a commit that was
 * answered is seen by every read after it. The message is published here, when the writer has answered that the commit stands.
 */
export function sqliteStore(file: SqliteFile, broadcast: Broadcast): StateStore {
  return new FileStore(file, broadcast);
}

const randomId = () => randomBytes(16).toString('hex');

class FileStore implements StateStore {
  readonly actions: SqliteActions;
  readonly #file: SqliteFile;
  readonly #broadcast: Broadcast;
  readonly #sql: ReturnType<typeof prepareReads>;
  /** The last meta read of each shard, so that an unchanged one is not parsed again. */
  readonly #metas: { text: string; meta: ShardMeta }[] = [];
  readonly products: ProductState;

  /** By shard, the commit that was rejected last: it may stand all the same. */
  readonly #unanswered: (string | null)[] = [];

  constructor(file: SqliteFile, broadcast: Broadcast) {
    this.#file = file;
    this.#broadcast = broadcast;
    this.#sql = prepareReads(file);
    this.products = new SqliteProducts(file);
    this.actions = new SqliteActions(file);
  }

  async own(shard: number, owner: string, shards: number): Promise<ShardMeta> {
    const made = this.#file.options.shards;
    if (shards !== made) {
      throw new UsherError('SHARDS_MISMATCH', `the state was made with ${made} shards, the log has ${shards}`);
    }
    const text = await this.#file.writer.request<string>({
      what: 'own',
      shard,
      owner,
      commit: randomId(),
      lineage: randomId(),
    });
    return JSON.parse(text) as ShardMeta;
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const { shard, commit: id } = commit.meta;
    let result: CommitResult;
    try {
      result = await this.#write(commit);
    } catch (error) {
      this.#unanswered[shard] = id;
      throw error;
    }
    // An ALREADY to a commit whose own answer was lost: its message was not published either.
    if (result === 'DONE' || (result === 'ALREADY' && this.#unanswered[shard] === id)) {
      this.#broadcast.publish(commit.message);
    }
    this.#unanswered[shard] = null;
    return result;
  }

  #write(commit: Commit): Promise<CommitResult> {
    const { meta, visitors } = commit;
    return this.#file.writer.request<CommitResult>({
      what: 'commit',
      shard: meta.shard,
      owner: meta.owner,
      previous: commit.previous,
      commit: meta.commit,
      meta: JSON.stringify(meta),
      visitors: visitors.map((write) => write.visitor),
      profiles: visitors.map((write) => write.profile),
      slots: visitors.map((write) => write.slots),
      wakeAt: visitors.map((write) => write.wakeAt),
      historicDue: visitors.map((write) => write.historicDue),
      outbox: commit.outbox.map(outboxRow),
      failed: commit.failed,
      retried: commit.retried,
    });
  }

  async load(
    shard: number,
    visitors: readonly string[],
  ): Promise<{ readonly commit: string; readonly profiles: readonly (StoredVisitor | null)[] }> {
    return this.#file.readTogether(`visitors of shard ${shard} could not be read`, () => ({
      commit: String(this.#sql.commitId.get(shard)?.['commit_id'] ?? ''),
      profiles: visitors.map((visitor) => storedVisitor(this.#sql.visitor.get(shard, visitor))),
    }));
  }

  async readProfile(shard: number, visitor: string): Promise<StoredVisitor | null> {
    return this.#read(`visitor ${visitor}`, () => storedVisitor(this.#sql.visitor.get(shard, visitor)));
  }

  async readSlots(
    keys: readonly { readonly shard: number; readonly visitor: string }[],
  ): Promise<readonly SlotsRead[]> {
    return this.#read('slots', () =>
      keys.map(({ shard, visitor }) => {
        // One statement, so that meta and slots are of one moment.
        const row = this.#sql.slots.get(shard, shard, visitor)!;
        const slots = row['slots'];
        const meta = this.#metaOf(shard, row['meta']);
        if (meta?.rebuilding) throw new UsherError('STATE_UNAVAILABLE', `shard ${shard} is being rebuilt`);
        return { meta, slots: typeof slots === 'string' ? slots : null };
      }),
    );
  }

  async readMeta(shard: number): Promise<ShardMeta | null> {
    return this.#read(`the meta of shard ${shard}`, () => this.#metaOf(shard, this.#sql.meta.get(shard)?.['meta']));
  }

  #metaOf(shard: number, text: unknown): ShardMeta | null {
    if (typeof text !== 'string') return null;
    const last = this.#metas[shard];
    if (last?.text === text) return last.meta;
    const meta = JSON.parse(text) as ShardMeta;
    this.#metas[shard] = { text, meta };
    return meta;
  }

  async wakeups(shard: number, query: WakeupQuery): Promise<readonly Wakeup[]> {
    const select = query.by === 'wall' ? this.#sql.wakeups : this.#sql.historic;
    // Before every visitor of the least time: the empty text is below any id.
    const after = query.after ?? { at: Number.MIN_SAFE_INTEGER, visitor: '' };
    return this.#read(`timers of shard ${shard}`, () =>
      select.all(shard, query.upTo, after.at, after.visitor, query.limit).map((row) => ({
        at: Number(row['at']),
        visitor: String(row['visitor']),
      })),
    );
  }

  async nextWakeup(shard: number): Promise<number | null> {
    return this.#read(`timers of shard ${shard}`, () => {
      const at = this.#sql.nextWakeup.get(shard)?.['at'] ?? null;
      return at === null ? null : Number(at);
    });
  }

  async listVisitors(shard: number, after: string | null, limit: number): Promise<readonly string[]> {
    return this.#read(`visitors of shard ${shard}`, () =>
      this.#sql.visitors.all(shard, after ?? '', limit).map((row) => String(row['visitor'])),
    );
  }

  /** Only entries that are on the disk: whoever acts on one must not find it gone after a power cut. */
  async readOutbox(shard: number, after: string | null, limit: number): Promise<readonly OutboxEntry[]> {
    const [offset, n] = after === null ? [-1, -1] : outboxKey(after);
    const entries = this.#read(`the outbox of shard ${shard}`, () =>
      this.#sql.outbox.all(shard, offset, n, limit).map((row) => ({
        id: `${row['offset']}-${row['n']}`,
        topic: String(row['topic']),
        key: String(row['key']),
        value: String(row['value']),
      })),
    );
    if (entries.length > 0) await this.#file.writer.synced();
    return entries;
  }

  async drained(shard: number, owner: string, ids: readonly string[]): Promise<boolean> {
    return this.#file.writer.request<boolean>({ what: 'drained', shard, owner, entries: ids.map(outboxKey) });
  }

  async clear(shard: number, owner: string): Promise<boolean> {
    const { writer, limits } = this.#file;
    for (;;) {
      const rows = await writer.request<number | null>({ what: 'clear', shard, owner, rows: limits.trimRows });
      if (rows === null) return false;
      if (rows === 0) return true;
    }
  }

  async readFailed(query: {
    readonly shard: number;
    readonly before: string | null;
    readonly limit: number;
  }): Promise<readonly FailedEvent[]> {
    const { shard, before, limit } = query;
    return this.#file.readTogether(`failed events of shard ${shard} could not be read`, () => {
      const from =
        before === null ? Number.MAX_SAFE_INTEGER : Number(this.#sql.failedAt.get(shard, before)?.['n'] ?? 0);
      return this.#sql.failed.all(shard, from, limit).map(failedEventOf);
    });
  }

  async readFailedAt(shard: number, position: string): Promise<FailedEvent | null> {
    return this.#read(`the failed event at ${position}`, () => {
      const row = this.#sql.failedEvent.get(shard, position);
      return row === undefined ? null : failedEventOf(row);
    });
  }

  async putBundle(hash: string, text: string): Promise<void> {
    await this.#file.writer.request({ what: 'putBundle', hash, text });
  }

  async readBundle(hash: string): Promise<string | null> {
    return this.#read(`bundle ${hash}`, () => {
      const text = this.#sql.bundle.get(hash)?.['text'];
      return typeof text === 'string' ? text : null;
    });
  }

  /** The file is closed by whoever opened it. */
  async close(): Promise<void> {}

  #read<T>(what: string, read: () => T): T {
    return this.#file.readOne(`${what} could not be read`, read);
  }
}

function prepareReads(file: SqliteFile) {
  const wakeups = (column: string) =>
    file.prepare(
      `select ${column} as at, visitor from visitors where shard = ? and ${column} is not null and ${column} <= ?
       and (${column}, visitor) > (?, ?) order by ${column}, visitor limit ?`,
    );
  return {
    meta: file.prepare('select meta from shards where shard = ?'),
    commitId: file.prepare('select commit_id from shards where shard = ?'),
    visitor: file.prepare('select profile, slots from visitors where shard = ? and visitor = ?'),
    slots: file.prepare(
      `select (select meta from shards where shard = ?) as meta,
       (select slots from visitors where shard = ? and visitor = ?) as slots`,
    ),
    wakeups: wakeups('wake_at'),
    historic: wakeups('historic_due'),
    nextWakeup: file.prepare('select min(wake_at) as at from visitors where shard = ? and wake_at is not null'),
    visitors: file.prepare('select visitor from visitors where shard = ? and visitor > ? order by visitor limit ?'),
    outbox: file.prepare(
      'select offset, n, topic, key, value from outbox where shard = ? and (offset, n) > (?, ?) order by offset, n limit ?',
    ),
    failedAt: file.prepare('select n from failed where shard = ? and position = ?'),
    failed: file.prepare(
      `select position, reason, detail, visitor, type, failed_at, value from failed
       where shard = ? and n < ? order by n desc limit ?`,
    ),
    failedEvent: file.prepare(
      `select position, reason, detail, visitor, type, failed_at, value from failed where shard = ? and position = ?`,
    ),
    bundle: file.prepare('select text from bundles where hash = ?'),
  };
}

function storedVisitor(row: Record<string, unknown> | undefined): StoredVisitor | null {
  return row === undefined ? null : { profile: String(row['profile']), slots: String(row['slots']) };
}

function failedEventOf(row: Record<string, unknown>): FailedEvent {
  return {
    position: String(row['position']),
    reason: row['reason'] as FailureReason,
    detail: String(row['detail']),
    visitor: row['visitor'] as string | null,
    type: row['type'] as string | null,
    failedAt: Number(row['failed_at']),
    value: String(row['value']),
  };
}

function outboxRow({ id, topic, key, value }: OutboxEntry): OutboxRow {
  const [offset, n] = outboxKey(id);
  return { offset, n, topic, key, value };
}

function outboxKey(id: string): readonly [offset: number, n: number] {
  const parts = /^(\d{1,16})-(\d{1,16})$/.exec(id);
  if (parts === null)
    throw new UsherError('INTERNAL', `an outbox id is <offset>-<n>, this one is ${JSON.stringify(id)}`);
  return [Number(parts[1]), Number(parts[2])];
}
