import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A server that lives on after this process; its folder holds `pid` and `log`. */
export interface Server {
  readonly address: string;
  readonly pid: number;
}

export function has(command: string): boolean {
  return spawnSync('which', [command], { stdio: 'ignore' }).status === 0;
}

/** Starts a program apart from this process and waits until it answers. */
export async function startServer(options: {
  readonly name: string;
  readonly folder: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly address: string;
  readonly answers: () => Promise<boolean>;
}): Promise<Server> {
  const { name, folder, command, args, address, answers } = options;
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, { cwd: folder, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  child.unref();
  await spawned(child);
  const pid = child.pid!;
  writeFileSync(join(folder, 'pid'), `${pid}\n`);
  const end = performance.now() + 60_000;
  while (!(await answers())) {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${tailOf(logFile)}`);
    if (performance.now() > end) throw new Error(`${name} did not answer in 60 s:\n${tailOf(logFile)}`);
    await sleep(100);
  }
  return { address, pid };
}

async function spawned(child: ChildProcess): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
}

/**
 * The process that `startServer` left in this folder, if it still runs. Process ids come again, so the folder must be in its command line:
 * another checkout's engine is never taken for ours.
 */
export function runningIn(folder: string): number | null {
  try {
    const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
    const { stdout } = spawnSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
    return Number.isInteger(pid) && stdout.includes(folder) ? pid : null;
  } catch {
    return null;
  }
}

/** Ends it and waits until it is gone; kills what does not go in 20 s. */
export async function stopServer(folder: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<boolean> {
  const pid = runningIn(folder);
  if (pid === null) return false;
  process.kill(pid, signal);
  const end = performance.now() + 20_000;
  while (runningIn(folder) !== null) {
    if (performance.now() > end) process.kill(pid, 'SIGKILL');
    await sleep(50);
  }
  rmSync(join(folder, 'pid'), { force: true });
  return true;
}

/** Whether anything takes connections there. */
export function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => done(true));
    const done = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.setTimeout(1_000, () => done(true));
    socket.once('error', () => done(false));
  });
}

function tailOf(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-20).join('\n');
}
