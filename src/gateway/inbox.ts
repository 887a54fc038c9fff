import type { RequestContext } from './context.ts';

/**
 * One subscription's answers. `take` is asked for the next one whenever the reader wants it; `wait`: there is none yet, ask again after
 * `wake`; `skip`: ask again at once. Not an async generator: `return` of one that waits would itself wait for ever.
 */
export class Inbox<T> implements AsyncIterableIterator<T> {
  readonly #take: () => Promise<T | 'wait' | 'skip'>;
  readonly #closers: (() => void)[] = [];
  #woken = false;
  #closed = false;
  #resume: (() => void) | null = null;

  /** Counts as an open subscription from now on, and ends with the token or the process. */
  constructor(
    { services, transport, expiresAt, closing }: SubscriptionScope,
    take: () => Promise<T | 'wait' | 'skip'>,
  ) {
    this.#take = take;
    const label = transport === 'ws' ? 'ws' : 'sse';
    services.metrics.subscriptionOpened(label);
    this.onClose(() => services.metrics.subscriptionClosed(label));
    const end = () => this.#close();
    this.onClose(closing(end));
    if (expiresAt !== null) this.onClose(atTime(expiresAt, services.now, end));
  }

  onClose(close: () => void): void {
    if (this.#closed) close();
    else this.#closers.push(close);
  }

  wake(): void {
    this.#woken = true;
    this.#resume?.();
  }

  async next(): Promise<IteratorResult<T>> {
    try {
      while (!this.#closed) {
        this.#woken = false;
        const taken = await this.#take();
        if (taken === 'skip') continue;
        if (taken !== 'wait') return this.#closed ? { done: true, value: undefined } : { done: false, value: taken };
        if (this.#woken || this.#closed) continue;
        await new Promise<void>((resolve) => {
          this.#resume = resolve;
        });
        this.#resume = null;
      }
    } catch (error) {
      this.#close();
      throw error;
    }
    return { done: true, value: undefined };
  }

  return(): Promise<IteratorResult<T>> {
    this.#close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const close of this.#closers.splice(0)) close();
    this.#resume?.();
  }
}

export type SubscriptionScope = Pick<RequestContext, 'services' | 'transport' | 'expiresAt' | 'closing'>;

/** Node's timers take 2^31 - 1 ms at most; a token may live longer. */
const longestTimerMs = 2 ** 31 - 1;

/** Calls back at a moment of the clock. Returns how not to. */
export function atTime(at: number, now: () => number, call: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = () => {
    const leftMs = at - now();
    timer = setTimeout(
      () => (at - now() <= 0 ? call() : wait()),
      Math.min(Math.max(leftMs, 0), longestTimerMs),
    ).unref();
  };
  wait();
  return () => clearTimeout(timer);
}
