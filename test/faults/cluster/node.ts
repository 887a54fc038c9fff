import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..', '..', '..');
const startDeadlineMs = 60_000;
/** Before a process that ended by itself is started again, as whoever runs a cluster would. */
const respawnMs = 200;

/** A line of a process's log. */
export interface LogLine {
  readonly msg: string;
  readonly shard?: number;
  readonly err?: { readonly message: string };
  readonly [name: string]: unknown;
}

/** A worker or a gateway in a process of its own, through all its lives: killed, stopped, put to sleep and started again. */
export class Node {
  readonly role: 'worker' | 'gateway';
  readonly port: number;
  /** All that it ever logged. */
  readonly lines: LogLine[] = [];
  /** How often a process was started. */
  lives = 0;
  readonly #main: string;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;
  #isWanted = false;
  #isReady = false;
  /** The end of what it printed, for the report of a start that fails. */
  #printed = '';

  constructor(options: { role: Node['role']; port: number; main: string; env: NodeJS.ProcessEnv }) {
    this.role = options.role;
    this.port = options.port;
    this.#main = options.main;
    this.#env = { ...options.env, USHER_ROLE: options.role, PORT: String(options.port) };
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Whether it has told its addresses since it was last started. */
  get isUp(): boolean {
    return this.#isReady;
  }

  /** From now on there is a process: one that ends by itself is started again. */
  begin(): void {
    this.#isWanted = true;
    if (this.#child === null) this.#spawn();
  }

  /** The same; resolves when the process tells its addresses. */
  async start(): Promise<void> {
    this.begin();
    const end = performance.now() + startDeadlineMs;
    while (!this.#isReady) {
      if (performance.now() > end)
        throw new Error(`${this.role} ${this.port} is not up after ${startDeadlineMs} ms:\n${this.#printed}`);
      await sleep(10);
    }
  }

  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM: it finishes what it has in hand. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** SIGSTOP and SIGCONT: the process does not know that it slept. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  count(message: string): number {
    return this.lines.filter(({ msg }) => msg === message).length;
  }

  #spawn(): void {
    const child = spawn(process.execPath, [this.#main, 'start'], {
      cwd: root,
      env: { ...this.#env, USHER_TEST_LIFE: String(this.lives++) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#printed = '';
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => this.#read(line));
    }
    child.once('exit', () => {
      if (this.#child !== child) return;
      this.#child = null;
      this.#isReady = false;
      if (!this.#isWanted) return;
      setTimeout(() => {
        if (this.#isWanted && this.#child === null) this.#spawn();
      }, respawnMs);
    });
  }

  #read(line: string): void {
    this.#printed = `${this.#printed}${line}\n`.slice(-5_000);
    if (line.startsWith('{')) this.lines.push(JSON.parse(line) as LogLine);
    else if (line.includes('/metrics')) this.#isReady = true;
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#isWanted = false;
    const child = this.#child;
    if (child === null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
}

export const usherMain = join(root, 'src', 'main.ts');

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
