import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka, stopKafka } from '../scripts/engines/kafka.ts';
import { startRedis, stopRedis } from '../scripts/engines/redis.ts';

const root = join(import.meta.dirname, '..');

/** What every process of Usher in these measurements is told, besides where the engines are. As many shards as the peer's topics have partitions. */
const sessionTimeoutMs = 6_000;
export const clusterSettings = { shards: 8, sessionTimeoutMs } as const;

/** A Kafka and a Redis of the measurement's own, on its core. */
export interface Cluster {
  readonly folder: string;
  readonly kafka: { readonly address: string; readonly pid: number };
  readonly redis: { readonly url: string; readonly pid: number };
  close(): Promise<void>;
}

export async function startCluster(): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'usher-bench-'));
  const [port, controllerPort, redisPort] = await freePorts(3);
  const folders = { kafka: join(folder, 'kafka'), redis: join(folder, 'redis') };
  const close = async () => {
    await Promise.all([stopKafka(folders.kafka, 'SIGKILL'), stopRedis(folders.redis)]);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [kafka, redis] = await Promise.all([
      startKafka({ folder: folders.kafka, port: port!, controllerPort: controllerPort! }),
      startRedis({ folder: folders.redis, port: redisPort! }),
    ]);
    return { folder, kafka, redis: { url: `redis://${redis.address}`, pid: redis.pid }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = servers.map(
    (server) =>
      new Promise<number>((resolve) =>
        server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
      ),
  );
  const found = await Promise.all(ports);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return found;
}

/** One process on one core. */
export interface Process {
  readonly pid: number;
  /** What it says on standard output until the pattern comes. */
  saying(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves at its end with all it said; rejects when it fails. */
  ended(): Promise<string>;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export function startProcess(core: number | string, command: string, args: readonly string[]): Process {
  const child = spawn('taskset', ['-c', String(core), command, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout!.on('data', (part) => (said += part));
  return {
    pid: child.pid!,
    saying: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(said);
          if (match !== null) resolve(match);
        };
        child.stdout!.on('data', look);
        child.once('exit', (code) => reject(new Error(`${command} ${args.join(' ')} ended with ${code}:\n${said}`)));
        look();
      }),
    ended: () =>
      new Promise((resolve, reject) => {
        child.once('exit', (code) => (code === 0 ? resolve(said) : reject(new Error(`${command} ended with ${code}`))));
      }),
    stop: (signal = 'SIGTERM') => stopChild(child, signal),
  };
}

async function stopChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

/** A gateway or a worker of this cluster. */
export function startRole(
  cluster: Cluster,
  role: 'gateway' | 'worker',
  core: number | string,
  playbook: string,
  namespace: string,
  more: Readonly<Record<string, string>> = {},
): Process {
  const settings = {
    role,
    namespace,
    port: 0,
    data: join(cluster.folder, 'data'),
    playbook,
    watch: false,
    'log-level': 'error',
    'kafka-brokers': cluster.kafka.address,
    'redis-url': cluster.redis.url,
    shards: clusterSettings.shards,
    'session-timeout-ms': clusterSettings.sessionTimeoutMs,
    ...more,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return startProcess(core, process.execPath, [...nodeFlags, 'src/main.ts', 'start', ...flags]);
}

/** For looking into it: `BENCH_NODE_FLAGS=--cpu-prof`. */
const nodeFlags = process.env['BENCH_NODE_FLAGS']?.split(' ') ?? [];

/** Seconds of CPU, user and system, that a process has taken so far. */
export function cpuSeconds(pid: number): number {
  // After the name, which may hold anything but its last bracket.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
