import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { until } from '../contract/contract.ts';
import { freePorts } from './ports.ts';

/** Whether a Redis can be started here. In CI a missing one is a failure, elsewhere its tests are skipped by name. */
export const hasRedisServer = ((): boolean => {
  if (spawnSync('redis-server', ['--version']).status === 0) return true;
  const missing = 'redis-server is not installed (apt-get install redis-server)';
  if (process.env['CI'] === 'true') throw new Error(missing);
  console.warn(`${missing}: what needs a real Redis is skipped`);
  return false;
})();

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now. */
  readonly pid: number;
  /** What Redis is asked by the test itself, apart from the connections under test. */
  readonly admin: Redis;
  /** kill -9, so that what was not written is lost as in a crash. */
  kill(): Promise<void>;
  /** Bytes of the file that it appends to. */
  written(): number;
  /** Between `kill` and `start`: what was written after so many bytes is gone, as after a crash of the machine. */
  loseAfter(bytes: number): void;
  /** Starts it again, on the same port and data. */
  start(): Promise<void>;
  /** Removes all data. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** A Redis of its own on a free port, its data in a temporary folder, with an append-only file and without eviction. */
export async function startRedis(...settings: readonly string[]): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'usher-redis-'));
  const [port] = (await freePorts(1)) as [number];
  const admin = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: () => 20 });
  admin.on('error', () => {});
  let child: ChildProcess | null = null;
  // A test run that ends early must not leave it behind.
  const killAtExit = () => child?.kill('SIGKILL');
  process.once('exit', killAtExit);
  const start = async () => {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''];
    args.push('--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction', ...settings);
    child = spawn('redis-server', args, { stdio: 'ignore' });
    await until('Redis answers', () => answers(port));
  };
  const kill = async () => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  await start();
  await admin.connect();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return child!.pid!;
    },
    admin,
    kill,
    written: () => statSync(appendedFile(folder)).size,
    loseAfter: (bytes) => truncateSync(appendedFile(folder), bytes),
    start,
    flush: async () => void (await admin.flushall()),
    async close() {
      admin.disconnect();
      await kill();
      process.off('exit', killAtExit);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function appendedFile(folder: string): string {
  const appended = join(folder, 'appendonlydir');
  return join(appended, readdirSync(appended).find((name) => name.endsWith('.incr.aof'))!);
}

async function answers(port: number): Promise<boolean> {
  const probe = new Redis(port, '127.0.0.1', { lazyConnect: true, retryStrategy: null, maxLoadingRetryTime: 0 });
  probe.on('error', () => {});
  try {
    await probe.connect();
    return (await probe.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    probe.disconnect();
  }
}
