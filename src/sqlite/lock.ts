import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pid } from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { UsherError } from '../errors.ts';
import { faultOf, messageOf, openingFault } from './faults.ts';

/**
 * Keeps a data folder to one Usher. The lock is the operating system's, on `usher.lock`, through SQLite (which also knows of
 * locks within a process, as plain POSIX locks do not): it ends with its process however that dies, so there is no stale one.
 * `usher.pid` only names the holder to whoever is refused.
 * @throws UsherError DATA_IN_USE, DATA_UNWRITABLE
 */
export function lockFolder(folder: string): { release(): void } {
  try {
    makeFolder(resolve(folder));
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new UsherError('DATA_UNWRITABLE', `the data folder cannot be written: ${messageOf(error)}`, { cause: error });
  }
  const path = join(folder, 'usher.lock');
  const pidPath = join(folder, 'usher.pid');
  let held: DatabaseSync | null = null;
  try {
    held = new DatabaseSync(path, { timeout: 0 });
    // Nothing is ever written under this lock, so no journal need lie beside it.
    held.exec('pragma journal_mode = memory; begin exclusive');
  } catch (error) {
    held?.close();
    if (faultOf(error) !== 'busy') throw openingFault(error, path);
    throw new UsherError('DATA_IN_USE', `the data folder ${folder} is used by ${holder(pidPath)}`, { cause: error });
  }
  const db = held;
  try {
    writeFileSync(pidPath, `${pid}\n`);
  } catch {
    // It only names us: a full disk must not keep an Usher from answering reads.
  }
  return {
    release() {
      rmSync(pidPath, { force: true });
      db.close();
    },
  };
}

function holder(pidPath: string): string {
  try {
    const text = readFileSync(pidPath, 'utf8').trim();
    if (/^\d+$/.test(text)) return `process ${text}`;
  } catch {
    // The holder has not written it yet; the refusal stands without a number.
  }
  return 'another process';
}

/** Folder by folder: Node's own `recursive` never returns where making one answers ENOENT although its parent is there, as in /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}
