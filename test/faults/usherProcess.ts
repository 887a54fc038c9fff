import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const root = join(import.meta.dirname, '..', '..');
const usherMain = join(root, 'src', 'main.ts');
const startDeadlineMs = 60_000;

/** An Usher in a process of its own, over a folder and a port that outlive it, so that it can be killed and started again. */
export class UsherProcess {
  readonly folder: string;
  readonly port: number;
  readonly #main: string;
  #child: ChildProcess | null = null;
  #output = '';

  private constructor(folder: string, port: number, main: string) {
    this.folder = folder;
    this.port = port;
    this.#main = main;
  }

  /** @param main What to run instead of Usher's own entry; it gets the same arguments. */
  static async start(main: string = usherMain): Promise<UsherProcess> {
    const usher = new UsherProcess(mkdtempSync(join(tmpdir(), 'usher-faults-')), await freePort(), main);
    await usher.restart();
    return usher;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get key(): string {
    return readFileSync(join(this.folder, 'dev-key'), 'utf8').trim();
  }

  /** Resolves when the process says that it listens. */
  async restart(): Promise<void> {
    const args = [
      'start',
      '--port',
      String(this.port),
      '--data',
      this.folder,
      '--watch',
      'false',
      '--log-level',
      'warn',
    ];
    const child = spawn(process.execPath, [this.#main, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#output = '';
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(
        () => reject(new Error(`not started within ${startDeadlineMs} ms:\n${this.#output}`)),
        startDeadlineMs,
      );
      const end = (act: () => void) => {
        clearTimeout(deadline);
        act();
      };
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part: string) => {
          this.#output = (this.#output + part).slice(-20_000);
          if (this.#output.includes(`:${this.port}/graphql`)) end(resolve);
        });
      }
      child.once('exit', (code, signal) =>
        end(() => reject(new Error(`ended with ${code ?? signal} before it listened:\n${this.#output}`))),
      );
    });
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  /** Records that the log has and the state has not folded, by shard, as the files of a dead process tell. */
  unfolded(): number[] {
    // A copy: opening the database would mend its WAL, and what the next start finds must be what the kill left.
    const copy = mkdtempSync(join(tmpdir(), 'usher-look-'));
    try {
      for (const name of ['usher.db', 'usher.db-wal'])
        cpSync(join(this.folder, name), join(copy, name), { force: true });
      const db = new DatabaseSync(join(copy, 'usher.db'));
      const shards = db.prepare('select shard, meta from shards order by shard').all() as {
        shard: number;
        meta: string;
      }[];
      const behind = shards.map(({ shard, meta }) => {
        const { last } = db.prepare(`select coalesce(max(offset), -1) as last from log_${shard}`).get() as {
          last: number;
        };
        return last + 1 - (JSON.parse(meta) as { position: number }).position;
      });
      db.close();
      return behind;
    } finally {
      rmSync(copy, { recursive: true });
    }
  }

  /** Ends the process and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
