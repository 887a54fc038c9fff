import { type DeadQuery, isOver, isPending, type StoredAction } from '../model/storedAction.ts';
import type { ActionColumns } from './messages.ts';
import type { SqliteFile } from './sqlite.ts';

/** A shard's actions in the embedded file: written by the writer thread, read from the main thread's connection. */
export class SqliteActions {
  readonly #file: SqliteFile;
  readonly #sql: ReturnType<typeof prepareReads>;

  constructor(file: SqliteFile) {
    this.#file = file;
    this.#sql = prepareReads(file);
  }

  accept(shard: number, owner: string, actions: readonly StoredAction[]): Promise<readonly string[] | null> {
    return this.#file.writer.request({ what: 'acceptActions', shard, owner, actions: columnsOf(actions) });
  }

  async write(shard: number, owner: string, actions: readonly StoredAction[]): Promise<boolean> {
    const { writer } = this.#file;
    const isOwner = await writer.request<boolean>({
      what: 'writeActions',
      shard,
      owner,
      actions: columnsOf(actions),
    });
    // What leaves now must be known to have left after a power cut too.
    if (isOwner && actions.some(({ state }) => state === 'attempting')) await writer.synced();
    return isOwner;
  }

  async readPending(shard: number, after: string | null, limit: number): Promise<readonly StoredAction[]> {
    return this.#read(shard, () => this.#sql.pending.all(shard, after ?? '', limit).map(actionOf));
  }

  async readDead({ shard, destination, before, limit }: DeadQuery): Promise<readonly StoredAction[]> {
    const { changedAt, id } = before ?? { changedAt: Number.MAX_SAFE_INTEGER, id: '' };
    return this.#read(shard, () => this.#sql.dead.all(shard, changedAt, id, destination, limit).map(actionOf));
  }

  async readDeadOf(shard: number, id: string): Promise<StoredAction | null> {
    return this.#read(shard, () => {
      const row = this.#sql.deadOf.get(shard, id);
      return row === undefined ? null : actionOf(row);
    });
  }

  #read<T>(shard: number, read: () => T): T {
    return this.#file.readOne(`the actions of shard ${shard} could not be read`, read);
  }
}

function prepareReads(file: SqliteFile) {
  return {
    pending: file.prepare('select text from actions where shard = ? and pending = 1 and id > ? order by id limit ?'),
    dead: file.prepare(
      `select text from actions where shard = ?1 and state = 'dead' and (changed_at, id) < (?2, ?3)
       and (?4 is null or destination = ?4) order by changed_at desc, id desc limit ?5`,
    ),
    deadOf: file.prepare(`select text from actions where shard = ? and id = ? and state = 'dead'`),
  };
}

function actionOf(row: Record<string, unknown>): StoredAction {
  return JSON.parse(String(row['text'])) as StoredAction;
}

function columnsOf(actions: readonly StoredAction[]): ActionColumns {
  return {
    ids: actions.map(({ order }) => order.id),
    states: actions.map(({ state }) => state),
    redriven: actions.map(({ order }) => order.redriven),
    destinations: actions.map(({ order }) => order.destination),
    changedAt: actions.map(({ changedAt }) => changedAt),
    pending: actions.map((action) => (isPending(action) ? 1 : 0)),
    texts: actions.map((action) => (isOver(action) ? '' : JSON.stringify(action))),
  };
}
