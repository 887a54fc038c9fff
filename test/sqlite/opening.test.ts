import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteFile, type SqliteOptions } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import { until } from '../contract/contract.ts';
import { sqliteOptions, temporaryFolder } from '../contract/sqliteSubjects.ts';
import { action } from '../contract/stateStore.actions.ts';

let folder: string;
let remove: () => Promise<void>;
const files: SqliteFile[] = [];

async function open(more: Partial<SqliteOptions> = {}): Promise<SqliteFile> {
  const file = await openSqlite(sqliteOptions(folder, more));
  files.push(file);
  return file;
}

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
});
afterEach(async () => {
  for (const file of files.splice(0)) await file.close();
  await remove();
});

/** A process that holds the folder until it is killed. */
async function holder(): Promise<{ pid: number; kill(): Promise<void> }> {
  const script = join(import.meta.dirname, '..', 'support', 'sqliteAppender.ts');
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  child.stdout.resume();
  return {
    pid: child.pid!,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

describe('opening the data folder', () => {
  it('makes the folder with what it needs, and leaves one file that is whole when it closes', async () => {
    const path = join(folder, 'a', 'b');
    const file = await open({ folder: path });
    await file.close();
    expect((await stat(join(path, 'usher.db'))).isFile()).toBe(true);
    // A WAL or a pid left behind would tell of an end that was none.
    await expect(stat(join(path, 'usher.db-wal'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(stat(join(path, 'usher.pid'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is refused while another Usher of this process has it, and is free again when that one closes', async () => {
    const first = await open();
    await expect(open()).rejects.toMatchObject({ code: 'DATA_IN_USE' });
    await first.close();
    await open();
  });

  it('is refused while another process has it, naming that process; not when that process was killed', async () => {
    const other = await holder();
    try {
      await expect(open()).rejects.toMatchObject({
        code: 'DATA_IN_USE',
        message: expect.stringContaining(`process ${other.pid}`),
      });
    } finally {
      await other.kill();
    }
    // The killed one left its pid behind; the lock went with it.
    expect((await readFile(join(folder, 'usher.pid'), 'utf8')).trim()).toBe(String(other.pid));
    await open();
  });

  it('refuses a folder that cannot be made or written', async () => {
    await writeFile(join(folder, 'file'), 'not a folder');
    await expect(open({ folder: join(folder, 'file', 'data') })).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' });
    await expect(open({ folder: join(folder, 'file') })).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' });
    // No user, not even root, may make files here.
    await expect(open({ folder: '/proc/usher' })).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' });
    await mkdir(join(folder, 'data', 'usher.db'), { recursive: true });
    await expect(open({ folder: join(folder, 'data') })).rejects.toMatchObject({ code: 'DATA_UNWRITABLE' });
  });

  it('refuses a file that is no database, one that is cut off, and one of another program', async () => {
    const path = join(folder, 'usher.db');
    await writeFile(path, 'these are not the bytes of a database '.repeat(300));
    await expect(open()).rejects.toMatchObject({ code: 'DATA_DAMAGED', message: expect.stringContaining(path) });

    await writeFile(path, '');
    const file = await open();
    const log = sqliteLog(file);
    await log.append(Array.from({ length: 200 }, (_, n) => ({ shard: n % 4, key: null, value: 'x'.repeat(500) })));
    await log.close();
    await file.close();
    await truncate(path, (await stat(path)).size - 5 * 4096);
    await expect(open()).rejects.toMatchObject({ code: 'DATA_DAMAGED' });

    await writeFile(path, '');
    const other = new DatabaseSync(path);
    other.exec('create table theirs (a)');
    other.close();
    await expect(open()).rejects.toMatchObject({
      code: 'DATA_DAMAGED',
      message: expect.stringContaining('another program'),
    });
  });

  it('refuses a file in which a page was overwritten, though all that is read at the start is whole', async () => {
    const file = await open();
    const log = sqliteLog(file);
    await log.append(Array.from({ length: 400 }, () => ({ shard: 1, key: null, value: 'x'.repeat(500) })));
    await log.close();
    await file.close();
    const path = join(folder, 'usher.db');
    const bytes = await readFile(path);
    const inOneOfTheLeaves = Math.floor(bytes.length / 4096 / 2) * 4096;
    bytes.fill(0xee, inOneOfTheLeaves, inOneOfTheLeaves + 64);
    await writeFile(path, bytes);
    await expect(open()).rejects.toMatchObject({ code: 'DATA_DAMAGED' });
    // A file too large to be checked at the start opens, and says so when the page is read.
    const unchecked = await open({ limits: { checkedBytes: 0 } });
    const later = sqliteLog(unchecked);
    const reads = await Promise.allSettled(Array.from({ length: 400 }, (_, offset) => later.readAt(1, offset)));
    await later.close();
    expect(reads.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'DATA_DAMAGED' } });
  });

  it('refuses tables of another version', async () => {
    await (await open()).close();
    const db = new DatabaseSync(join(folder, 'usher.db'));
    db.exec('pragma user_version = 99');
    db.close();
    await expect(open()).rejects.toMatchObject({ code: 'DATA_VERSION', message: expect.stringContaining('99') });
  });

  it('adds what a file of version 1 lacks, and leaves the rest as it is', async () => {
    const made = await open();
    await sqliteStore(made, localBroadcast()).own(1, 'owner', 4);
    await made.close();
    const db = new DatabaseSync(join(folder, 'usher.db'));
    db.exec('drop table actions; pragma user_version = 1');
    db.close();
    const store = sqliteStore(await open(), localBroadcast());
    expect((await store.readMeta(1))?.owner).toBe('owner');
    expect(await store.actions.accept(1, 'owner', [action(1)])).toEqual([action(1).order.id]);
  });

  it('refuses another number of shards, naming the one it was made with', async () => {
    await (await open()).close();
    await expect(open({ shards: 8 })).rejects.toMatchObject({
      code: 'SHARDS_MISMATCH',
      message: expect.stringContaining('4 shards'),
    });
  });

  it('lets go of the folder when it was refused', async () => {
    await (await open()).close();
    await expect(open({ shards: 8 })).rejects.toMatchObject({ code: 'SHARDS_MISMATCH' });
    await open();
  });
});

describe('a process killed while it appends and commits', () => {
  it('has everything it acknowledged, and commits whole and in order', async () => {
    const script = join(import.meta.dirname, '..', 'support', 'sqliteAppender.ts');
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        output += part;
      });
      const closed = once(child, 'close');
      await until('it has acknowledged a good many', () => output.split('\n').length > 2_000);
      child.kill('SIGKILL');
      await closed;
      // The last line may be cut.
      const lines = output.split('\n').slice(0, -1);

      const file = await open();
      const log = sqliteLog(file);
      const appends = lines.filter((line) => line.startsWith('append ')).map((line) => line.split(' '));
      expect(appends.length).toBeGreaterThan(1_000);
      const lost: unknown[] = [];
      for (const [, shard, offset, value] of appends) {
        const record = await log.readAt(Number(shard), Number(offset));
        if (record?.value !== value) lost.push({ shard, offset, value, found: record?.value });
      }
      expect(lost).toEqual([]);
      const acknowledged = lines.filter((line) => line.startsWith('commit ')).map((line) => Number(line.split(' ')[1]));
      const row = file.prepare('select meta from shards where shard = 0').get();
      const { position } = JSON.parse(String(row?.['meta'])) as { position: number };
      expect(position).toBeGreaterThanOrEqual(acknowledged[acknowledged.length - 1]!);
      const profiles = file.prepare('select distinct profile from visitors').all();
      expect(profiles).toEqual([{ profile: `profile ${position}` }].map((one) => expect.objectContaining(one)));
      await log.close();
      await file.close();
    }
  });
});
