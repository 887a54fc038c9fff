import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { isOver, isPending, type StoredAction } from '../model/storedAction.ts';
import type { AcceptActionsRequest, WriteActionsRequest } from './messages.ts';

/** How many of a shard stay that need nobody any more; the oldest leave. */
export interface ActionBounds {
  readonly dead: number;
  readonly done: number;
}

/** The table of actions, as the writer thread changes it. Each method runs in a transaction that the caller has begun. */
export class ActionRows {
  readonly #bounds: ActionBounds;
  readonly #owner: StatementSync;
  readonly #find: StatementSync;
  readonly #put: StatementSync;
  readonly #trim: StatementSync;
  /** By shard and state: rows that came to it since the oldest were last removed. Finding those costs a walk over all that stay. */
  readonly #added = new Map<string, number>();

  constructor(db: DatabaseSync, bounds: ActionBounds) {
    this.#bounds = bounds;
    this.#owner = db.prepare('select owner from shards where shard = ?');
    this.#find = db.prepare('select state, redriven from actions where shard = ? and id = ?');
    this.#put = db.prepare(
      `insert into actions (shard, id, state, redriven, destination, changed_at, pending, text) values (?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (shard, id) do update set state = excluded.state, redriven = excluded.redriven,
         destination = excluded.destination, changed_at = excluded.changed_at, pending = excluded.pending, text = excluded.text`,
    );
    this.#trim = db.prepare(
      `delete from actions where rowid in (select rowid from actions where shard = ? and state = ?
       order by changed_at desc, id desc limit -1 offset ?)`,
    );
  }

  accept({ shard, owner, actions }: AcceptActionsRequest): readonly string[] | null {
    if (!this.#isOwner(shard, owner)) return null;
    const accepted: string[] = [];
    for (const action of actions) {
      const { id, redriven } = action.order;
      const known = this.#find.get(shard, id);
      if (known !== undefined && !(known['state'] === 'dead' && redriven > Number(known['redriven']))) continue;
      this.#set(shard, action);
      accepted.push(id);
    }
    this.#bound(shard, actions);
    return accepted;
  }

  write({ shard, owner, actions }: WriteActionsRequest): boolean {
    if (!this.#isOwner(shard, owner)) return false;
    for (const action of actions) this.#set(shard, action);
    this.#bound(shard, actions);
    return true;
  }

  #isOwner(shard: number, owner: string): boolean {
    return this.#owner.get(shard)?.['owner'] === owner;
  }

  #set(shard: number, action: StoredAction): void {
    const { order, state, changedAt } = action;
    const { id, redriven, destination } = order;
    const text = isOver(action) ? '' : JSON.stringify(action);
    this.#put.run(shard, id, state, redriven, destination, changedAt, isPending(action) ? 1 : 0, text);
  }

  #bound(shard: number, written: readonly StoredAction[]): void {
    for (const state of ['dead', 'done'] as const) {
      const key = `${shard} ${state}`;
      const added = written.filter((action) => action.state === state).length + (this.#added.get(key) ?? 0);
      const isDue = added > this.#bounds[state] / 10;
      if (isDue) this.#trim.run(shard, state, this.#bounds[state]);
      this.#added.set(key, isDue ? 0 : added);
    }
  }
}
