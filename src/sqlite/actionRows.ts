import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { AcceptActionsRequest, ActionColumns, WriteActionsRequest } from './messages.ts';

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
    for (const [i, id] of actions.ids.entries()) {
      const known = this.#find.get(shard, id);
      const isDriven = known?.['state'] === 'dead' && actions.redriven[i]! > Number(known['redriven']);
      if (known !== undefined && !isDriven) continue;
      this.#set(shard, actions, i);
      accepted.push(id);
    }
    this.#bound(shard, actions);
    return accepted;
  }

  write({ shard, owner, actions }: WriteActionsRequest): boolean {
    if (!this.#isOwner(shard, owner)) return false;
    for (const i of actions.ids.keys()) this.#set(shard, actions, i);
    this.#bound(shard, actions);
    return true;
  }

  #isOwner(shard: number, owner: string): boolean {
    return this.#owner.get(shard)?.['owner'] === owner;
  }

  #set(shard: number, all: ActionColumns, i: number): void {
    const { ids, states, redriven, destinations, changedAt, pending, texts } = all;
    const place = [shard, ids[i]!, states[i]!, redriven[i]!] as const;
    this.#put.run(...place, destinations[i]!, changedAt[i]!, pending[i]!, texts[i]!);
  }

  #bound(shard: number, { states }: ActionColumns): void {
    for (const state of ['dead', 'done'] as const) {
      const key = `${shard} ${state}`;
      const added = states.filter((each) => each === state).length + (this.#added.get(key) ?? 0);
      const isDue = added > this.#bounds[state] / 10;
      if (isDue) this.#trim.run(shard, state, this.#bounds[state]);
      this.#added.set(key, isDue ? 0 : added);
    }
  }
}
