import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** The server has core 0, the load core 1 (when the machine has two): neither takes time from the other. */
const serverCore = '0';

export interface Server {
  readonly port: number;
  readonly pid: number;
  readonly folder: string;
  /** Its data goes with it, unless it was started on a folder that was there. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** Starts a program on the server's core and waits for the first line that holds a port. */
async function startServer(
  script: string,
  args: (folder: string) => readonly string[],
  portIn: RegExp,
  kept?: string,
): Promise<Server> {
  const folder = kept ?? mkdtempSync(join(tmpdir(), 'usher-bench-'));
  const child = spawnServer([join(root, script), ...args(folder)]);
  const port = await new Promise<number>((resolve, reject) => {
    let seen = '';
    child.stdout!.on('data', (part) => {
      seen += part;
      const match = portIn.exec(seen);
      if (match !== null) resolve(Number(match[1]));
    });
    child.once('exit', (code) => reject(new Error(`${script} ended with ${code} before it listened:\n${seen}`)));
  });
  return {
    port,
    pid: child.pid!,
    folder,
    async stop(signal) {
      await stopChild(child, signal);
      if (kept === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** @param kept a data folder that stays when it ends */
export const startUsher = (playbook = 'bench/playbook', kept?: string, more: readonly string[] = []) =>
  startServer(
    'src/main.ts',
    (folder) => [
      'start',
      ...['--port', '0', '--data', folder, '--playbook', playbook, '--watch', 'false', '--log-level', 'warn'],
      ...more,
    ],
    /127\.0\.0\.1:(\d+)\/graphql/,
    kept,
  );
export const startFloor = () => startServer('bench/floor.ts', (folder) => [join(folder, 'floor.db')], /^(\d+)\n/);

export const startSlots = (redisUrl: string, lane: 'fast' | 'yoga') =>
  startServer('bench/slotsServer.ts', (folder) => [folder, redisUrl, lane], /127\.0\.0\.1:(\d+)\n/);

/** Node with these arguments, on the server's core. taskset becomes the program, so the pid is the program's. */
export function spawnServer(args: readonly string[]): ChildProcess {
  return spawn('taskset', ['-c', serverCore, process.execPath, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** What the process has taken of the processor, µs: other programs on the machine change it far less than they change a rate. */
export function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  // User and system time, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

export async function stopChild(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

/** POSTs JSON over kept connections; answers the body. */
export function poster(
  port: number,
  path: string,
  connections: number,
  token?: string,
): (body: string) => Promise<string> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const headers = {
    'content-type': 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return (body) =>
    new Promise((resolve, reject) => {
      const sent = request(
        { port, path, method: 'POST', agent, headers: { ...headers, 'content-length': Buffer.byteLength(body) } },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (part) => (text += part));
          response.on('end', () =>
            response.statusCode === 200 ? resolve(text) : reject(new Error(`${response.statusCode} ${text}`)),
          );
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
}

/** Value at a share of the sorted list: 0.5 the median. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
export const median = (values: readonly number[]) => percentile(values, 0.5);
export const ms = (value: number) => `${value.toFixed(2)} ms`;
