import { statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { UsherError } from '../errors.ts';

/** Of the tables below; another one in a file refuses to start. */
export const schemaVersion = 2;
/** "Ushr": what `file usher.db` shows, and how we know a file of ours. */
const applicationId = 0x55736872;

/**
 * One table of records a shard: appending at the right edge of a tree of its own costs 4 µs a record, in one tree shared by
 * all shards 6–8 µs (groups of 100, 8 shards). Visitors have a rowid, because 1.3 kB in a WITHOUT ROWID tree spills each row
 * to a page of its own: 7 µs against 17–24 µs a write. Text keys sort as UTF-8 bytes (collation BINARY).
 */
const tables = `
create table file (only integer primary key check (only = 1), shards integer not null, synced integer not null) strict;
create table log_shards (shard integer primary key, low integer not null, counted integer not null, bytes integer not null) strict;
create table shards (shard integer primary key, owner text not null, commit_id text not null, meta text not null) strict;
create table visitors (
  shard integer not null, visitor text not null, profile text not null, slots text not null,
  wake_at integer, historic_due integer
) strict;
create unique index visitors_by_name on visitors (shard, visitor);
create index visitors_by_wake on visitors (shard, wake_at, visitor) where wake_at is not null;
create index visitors_by_due on visitors (shard, historic_due, visitor) where historic_due is not null;
create table outbox (
  shard integer not null, offset integer not null, n integer not null, topic text not null, key text not null,
  value text not null, primary key (shard, offset, n)
) strict, without rowid;
create table failed (
  shard integer not null, n integer not null, position text not null, reason text not null, detail text not null,
  visitor text, type text, failed_at integer not null, value text not null, primary key (shard, n)
) strict;
create unique index failed_by_position on failed (shard, position);
create table bundles (hash text primary key, text text not null) strict;
create table products (id text primary key, revision integer not null, text text not null) strict;
create unique index products_by_revision on products (revision);
create table published (only integer primary key check (only = 1), text text not null) strict;
`;
/** Since version 2. `text` is the StoredAction as JSON; '' of one that is over. */
const actionTables = `
create table actions (
  shard integer not null, id text not null, state text not null, redriven integer not null, destination text not null,
  changed_at integer not null, pending integer not null, text text not null
) strict;
create unique index actions_by_id on actions (shard, id);
create index actions_pending on actions (shard, id) where pending = 1;
create index actions_by_state on actions (shard, state, changed_at, id);
`;

export function recordTable(shard: number): string {
  return `log_${shard}`;
}

/**
 * Makes the tables of a new file, or checks that they are ours.
 * @throws UsherError DATA_VERSION, SHARDS_MISMATCH, DATA_DAMAGED
 */
export function prepareSchema(db: DatabaseSync, path: string, shards: number, checkedBytes: number): void {
  const version = Number(db.prepare('pragma user_version').get()!['user_version']);
  const application = Number(db.prepare('pragma application_id').get()!['application_id']);
  const objects = Number(db.prepare('select count(*) as n from sqlite_schema').get()!['n']);
  if (version === 0 && application === 0 && objects === 0) {
    createTables(db, shards);
    return;
  }
  if (application !== applicationId) {
    throw new UsherError('DATA_DAMAGED', `${path} is a database of another program (application id ${application})`);
  }
  if (version === 1) addSince1(db);
  else if (version !== schemaVersion) {
    throw new UsherError(
      'DATA_VERSION',
      `${path} has version ${version} of the tables; this Usher has ${schemaVersion}`,
    );
  }
  const made = Number(db.prepare('select shards from file').get()?.['shards']);
  if (made !== shards) {
    throw new UsherError('SHARDS_MISMATCH', `${path} was made with ${made} shards, this start asks for ${shards}`);
  }
  if (statSync(path).size > checkedBytes) return;
  const found = String(db.prepare('pragma quick_check(1)').get()!['quick_check']);
  if (found !== 'ok') throw new UsherError('DATA_DAMAGED', `${path}: ${found}`);
}

/** A file of version 1 lacks only what came later. */
function addSince1(db: DatabaseSync): void {
  db.exec(`begin immediate; ${actionTables} pragma user_version = ${schemaVersion}; commit`);
}

function createTables(db: DatabaseSync, shards: number): void {
  db.exec('begin immediate');
  db.exec(tables + actionTables);
  const insert = db.prepare('insert into log_shards (shard, low, counted, bytes) values (?, 0, 0, 0)');
  for (let shard = 0; shard < shards; shard++) {
    const columns = 'offset integer primary key, stamp integer not null, key text, value text not null';
    db.exec(`create table ${recordTable(shard)} (${columns}) strict`);
    insert.run(shard);
  }
  db.prepare('insert into file (only, shards, synced) values (1, ?, 0)').run(shards);
  db.exec(`pragma application_id = ${applicationId}; pragma user_version = ${schemaVersion}`);
  db.exec('commit');
}
