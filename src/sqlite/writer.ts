import { Worker } from 'node:worker_threads';
import { UsherError } from '../errors.ts';
import { messageOf } from './faults.ts';
import type {
  AppendMessage,
  AppendReply,
  FromWriter,
  RequestMessage,
  RequestReply,
  WriterCounters,
  WriterData,
} from './messages.ts';

/** A message as its maker writes it; the writer numbers it. */
export type Request = RequestMessage extends infer M
  ? M extends { readonly id: number }
    ? Omit<M, 'id'>
    : never
  : never;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: UsherError) => void;
}

/**
 * The main thread's end of the writer thread. Answers come back in the order of asking within each kind. When the thread ends,
 * whatever is in flight is told so (an append: UNKNOWN), and everything after it is refused: the process must be started again,
 * because what the thread last did is found out only by reading the file anew.
 */
export class Writer {
  readonly #worker: Worker;
  readonly #maxRequests: number;
  readonly #appends = new Map<number, (reply: AppendReply) => void>();
  readonly #requests = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #lastId = 0;
  #durable = 0;
  #lastNormal = 0;
  #ended: string | null = null;
  #counters: WriterCounters = {
    appendTransactions: 0,
    appendedRecords: 0,
    commitTransactions: 0,
    commits: 0,
    syncs: 0,
    checkpoints: 0,
  };

  /**
   * Starts the thread, which opens the file.
   * @throws UsherError with a code of "starting and running"
   */
  static async start(
    data: WriterData,
    limits: { readonly openDeadlineMs: number; readonly requestsInFlight: number },
  ): Promise<{ writer: Writer; low: readonly number[]; next: readonly number[] }> {
    // Flags of this process (a test runner's loaders) mean nothing to the thread.
    // Without an environment: under `node --watch` a thread that inherits it reports its modules to the watcher, and never starts.
    const worker = new Worker(new URL('./writerThread.ts', import.meta.url), {
      workerData: data,
      execArgv: [],
      env: {},
    });
    const writer = new Writer(worker, limits.requestsInFlight);
    try {
      return { writer, ...(await readiness(worker, data.path, limits.openDeadlineMs)) };
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  private constructor(worker: Worker, maxRequests: number) {
    this.#worker = worker;
    this.#maxRequests = maxRequests;
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.on('message', (message: FromWriter) => {
      if (message.what === 'done') this.#done(message);
    });
    worker.on('error', (error) => this.#end(`it failed: ${messageOf(error)}`));
    worker.on('exit', (code) => this.#end(`it ended with code ${code}`));
  }

  get counters(): WriterCounters {
    return this.#counters;
  }

  /** Why the thread takes nothing more; null: it does. */
  get ended(): string | null {
    return this.#ended;
  }

  /** Sends records; `done` is called once, never before this returns. */
  append(message: Omit<AppendMessage, 'id' | 'what'>, done: (reply: AppendReply) => void): void {
    const id = ++this.#lastId;
    if (this.#ended !== null) {
      const reply = {
        id,
        ok: false,
        code: 'LOG_UNAVAILABLE',
        message: `the log's writer is not running: ${this.#ended}`,
      } as const;
      queueMicrotask(() => done(reply));
      return;
    }
    this.#appends.set(id, done);
    this.#worker.postMessage({ what: 'append', id, ...message } satisfies AppendMessage);
  }

  /** @throws UsherError STATE_UNAVAILABLE (whether it was written is not known), or what the writer answers */
  request<T>(request: Request): Promise<T> {
    const id = ++this.#lastId;
    if (this.#ended !== null) {
      return Promise.reject(new UsherError('STATE_UNAVAILABLE', `the writer is not running: ${this.#ended}`));
    }
    if (this.#requests.size >= this.#maxRequests && request.what !== 'close') {
      return Promise.reject(
        new UsherError(
          'STATE_UNAVAILABLE',
          `${this.#requests.size} writes wait for the writer already (limit ${this.#maxRequests})`,
        ),
      );
    }
    if (request.what !== 'sync' && request.what !== 'close') this.#lastNormal = id;
    return new Promise<T>((resolve, reject) => {
      this.#requests.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage({ ...request, id });
    });
  }

  /** Resolves when all that was written before the call is on the disk. */
  async synced(): Promise<void> {
    if (this.#durable >= this.#lastNormal) return;
    await this.request({ what: 'sync' });
  }

  /** Finishes what was sent, closes the file, ends the thread. */
  async close(): Promise<void> {
    if (this.#ended === null) await this.request({ what: 'close' }).catch(() => {});
    await this.#exited;
  }

  /** Ends the thread at once, as a fault would. */
  async kill(): Promise<void> {
    await this.#worker.terminate();
  }

  #done(message: FromWriter & { what: 'done' }): void {
    this.#durable = message.durable;
    this.#counters = message.counters;
    for (const reply of message.requests) {
      const pending = this.#requests.get(reply.id);
      this.#requests.delete(reply.id);
      if (pending !== undefined) settle(pending, reply);
    }
    for (const reply of message.appends) {
      const done = this.#appends.get(reply.id);
      this.#appends.delete(reply.id);
      done?.(reply);
    }
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    const message = `the writer ended before it answered: ${this.#ended}`;
    for (const [id, done] of this.#appends) done({ id, ok: false, code: 'UNKNOWN', message });
    this.#appends.clear();
    for (const { reject } of this.#requests.values()) reject(new UsherError('STATE_UNAVAILABLE', message));
    this.#requests.clear();
  }
}

function settle(pending: Pending, reply: RequestReply): void {
  if (reply.ok) pending.resolve(reply.value);
  else pending.reject(new UsherError(reply.code, reply.message));
}

async function readiness(
  worker: Worker,
  path: string,
  deadlineMs: number,
): Promise<{ low: readonly number[]; next: readonly number[] }> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new UsherError('DATA_UNWRITABLE', `${path} could not be opened within ${deadlineMs} ms`));
    }, deadlineMs);
    const settled = () => clearTimeout(timer);
    worker.once('message', (message: FromWriter) => {
      settled();
      if (message.what === 'ready') resolve({ low: message.low, next: message.next });
      else if (message.what === 'refused') reject(new UsherError(message.code, message.message));
    });
    worker.once('error', (error) => {
      settled();
      reject(new UsherError('INTERNAL', `the writer thread did not start: ${messageOf(error)}`, { cause: error }));
    });
  });
}
