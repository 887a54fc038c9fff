import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { noCounts, type ShardMeta } from '../model/shardMeta.ts';
import type { ClearRequest, CommitRequest, DrainedRequest, OwnRequest, PutBundleRequest } from './messages.ts';

/** The state's tables, as the writer thread changes them. Each method runs in a transaction that the caller has begun. */
export class StateTables {
  readonly #shards: number;
  readonly #failedEvents: number;
  readonly #select: StatementSync;
  readonly #putShard: StatementSync;
  readonly #putVisitor: StatementSync;
  readonly #removeVisitor: StatementSync;
  readonly #putOutbox: StatementSync;
  readonly #removeOutbox: StatementSync;
  readonly #lastFailed: StatementSync;
  readonly #putFailed: StatementSync;
  readonly #dropFailed: StatementSync;
  readonly #removeFailed: StatementSync;
  readonly #putBundle: StatementSync;
  readonly #clear: readonly StatementSync[];

  constructor(db: DatabaseSync, shards: number, failedEvents: number) {
    this.#shards = shards;
    this.#failedEvents = failedEvents;
    this.#select = db.prepare('select owner, commit_id, meta from shards where shard = ?');
    this.#putShard = db.prepare(
      `insert into shards (shard, owner, commit_id, meta) values (?, ?, ?, ?)
       on conflict (shard) do update set owner = excluded.owner, commit_id = excluded.commit_id, meta = excluded.meta`,
    );
    this.#putVisitor = db.prepare(
      `insert into visitors (shard, visitor, profile, slots, wake_at, historic_due) values (?, ?, ?, ?, ?, ?)
       on conflict (shard, visitor) do update set profile = excluded.profile, slots = excluded.slots,
         wake_at = excluded.wake_at, historic_due = excluded.historic_due`,
    );
    this.#removeVisitor = db.prepare('delete from visitors where shard = ? and visitor = ?');
    this.#putOutbox = db.prepare(
      'insert or replace into outbox (shard, offset, n, topic, key, value) values (?, ?, ?, ?, ?, ?)',
    );
    this.#removeOutbox = db.prepare('delete from outbox where shard = ? and offset = ? and n = ?');
    this.#lastFailed = db.prepare('select max(n) as n from failed where shard = ?');
    this.#putFailed = db.prepare(
      `insert into failed (shard, n, position, reason, detail, visitor, type, failed_at, value)
       values (?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (shard, position) do update set reason = excluded.reason, detail = excluded.detail,
         visitor = excluded.visitor, type = excluded.type, failed_at = excluded.failed_at, value = excluded.value`,
    );
    this.#dropFailed = db.prepare('delete from failed where shard = ? and n <= ?');
    this.#removeFailed = db.prepare('delete from failed where shard = ? and position = ?');
    this.#clear = [
      'delete from visitors where rowid in (select rowid from visitors where shard = ? limit ?)',
      'delete from outbox where (shard, offset, n) in (select shard, offset, n from outbox where shard = ? limit ?)',
      'delete from failed where (shard, n) in (select shard, n from failed where shard = ? limit ?)',
    ].map((sql) => db.prepare(sql));
    this.#putBundle = db.prepare('insert or ignore into bundles (hash, text) values (?, ?)');
  }

  own(request: OwnRequest): string {
    const row = this.#select.get(request.shard);
    const found = row === undefined ? null : (JSON.parse(String(row['meta'])) as ShardMeta);
    const meta: ShardMeta =
      found === null
        ? {
            shard: request.shard,
            shards: this.#shards,
            owner: request.owner,
            epoch: 1,
            lineage: request.lineage,
            commit: request.commit,
            position: 0,
            outputs: 0,
            copied: 0,
            commits: 0,
            rebuilding: false,
            appendTime: 0,
            active: null,
            lastId: null,
            counters: noCounts,
            segments: {},
          }
        : { ...found, owner: request.owner, epoch: found.epoch + 1, commit: request.commit };
    const text = JSON.stringify(meta);
    this.#putShard.run(request.shard, request.owner, request.commit, text);
    return text;
  }

  /** The checks come first and in this order: one's own repeat is told apart from a stranger before anything is written. */
  commit(request: CommitRequest): 'DONE' | 'ALREADY' | 'FENCED' {
    const { shard } = request;
    const stands = this.#select.get(shard);
    if (stands?.['commit_id'] === request.commit) return 'ALREADY';
    if (stands?.['owner'] !== request.owner || stands['commit_id'] !== request.previous) return 'FENCED';
    for (let i = 0; i < request.visitors.length; i++) {
      const visitor = request.visitors[i]!;
      const profile = request.profiles[i]!;
      if (profile === null) this.#removeVisitor.run(shard, visitor);
      else
        this.#putVisitor.run(
          shard,
          visitor,
          profile,
          request.slots[i] ?? '',
          request.wakeAt[i]!,
          request.historicDue[i]!,
        );
    }
    for (const entry of request.outbox) {
      this.#putOutbox.run(shard, entry.offset, entry.n, entry.topic, entry.key, entry.value);
    }
    for (const position of request.retried) this.#removeFailed.run(shard, position);
    this.#writeFailed(request);
    this.#putShard.run(shard, request.owner, request.commit, request.meta);
    return 'DONE';
  }

  #writeFailed({ shard, failed }: CommitRequest): void {
    if (failed.length === 0) return;
    let n = Number(this.#lastFailed.get(shard)!['n'] ?? 0);
    for (const event of failed) {
      const { position, reason, detail, visitor, type, failedAt, value } = event;
      this.#putFailed.run(shard, ++n, position, reason, detail, visitor, type, failedAt, value);
    }
    this.#dropFailed.run(shard, n - this.#failedEvents);
  }

  drained(request: DrainedRequest): boolean {
    if (this.#select.get(request.shard)?.['owner'] !== request.owner) return false;
    for (const [offset, n] of request.entries) this.#removeOutbox.run(request.shard, offset, n);
    return true;
  }

  clear(request: ClearRequest): number | null {
    const { shard, owner, rows } = request;
    const stands = this.#select.get(shard);
    if (stands?.['owner'] !== owner || !(JSON.parse(String(stands['meta'])) as ShardMeta).rebuilding) return null;
    return this.#clear.reduce((sum, statement) => sum + Number(statement.run(shard, rows).changes), 0);
  }

  putBundle(request: PutBundleRequest): void {
    this.#putBundle.run(request.hash, request.text);
  }
}
