import { backoffMs } from './backoff.ts';
import { openEventStream } from './eventStream.ts';
import { type Connection, type ConnectionEvents, type Ending, type Operation, openSocket } from './socket.ts';
import { asClientError } from './tracker.ts';
import type { UsherClientError } from './types.ts';
import type { TokenSource } from './visit.ts';

export const liveLimits = {
  reconnect: { firstMs: 300, maxMs: 30_000 },
  /** A connection that lasted this long, or brought a result, worked: the next pause is the first again. */
  steadyMs: 10_000,
  /** After this many WebSockets in a row that never opened, one try goes by Server-Sent Events. */
  socketTries: 2,
  /** Refusals of a token, one after the other, before it is final. */
  tokenTries: 3,
} as const;

interface Running extends Operation {
  readonly onError: (error: UsherClientError) => void;
  readonly onConnected: (connected: boolean) => void;
  /** Tries in a row that ended without a result. */
  failures: number;
  timer: ReturnType<typeof setTimeout> | null;
}

/** Keeps subscriptions running over one connection: reconnects, resumes, renews the token, falls back to Server-Sent Events. */
export class Live {
  readonly #url: string;
  readonly #tokens: TokenSource;
  readonly #operations = new Map<string, Running>();
  #connection: Connection | null = null;
  #open = false;
  #connecting = false;
  #lastId = 0;
  #failures = 0;
  #unopenedSockets = 0;
  #refusedTokens = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #closed = false;

  constructor(url: string, tokens: TokenSource) {
    this.#url = url;
    this.#tokens = tokens;
  }

  /** @returns ends the subscription */
  run(operation: Operation & Pick<Running, 'onError' | 'onConnected'>): () => void {
    const id = String(++this.#lastId);
    const running: Running = {
      query: operation.query,
      variables: () => operation.variables(),
      onError: operation.onError,
      onConnected: operation.onConnected,
      onResult: (result) => {
        running.failures = 0;
        this.#failures = 0;
        this.#refusedTokens = 0;
        operation.onResult(result);
      },
      failures: 0,
      timer: null,
    };
    this.#operations.set(id, running);
    if (this.#open) this.#start(id, running);
    else if (this.#timer === null) void this.#connect();
    return () => this.#remove(id);
  }

  /** The network is back: do not sit out the pause. */
  retryNow(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    void this.#connect();
  }

  /** Another visitor is here: all subscriptions begin anew, with the token of now. */
  restart(): void {
    // Whoever is just asking for a token gets that one.
    if (this.#connecting) return;
    const open = [...this.#operations.values()];
    for (const running of open) {
      if (running.timer !== null) clearTimeout(running.timer);
      running.timer = null;
      if (this.#open) running.onConnected(false);
    }
    this.#connection?.close();
    this.#connection = null;
    this.#open = false;
    this.#refusedTokens = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (open.length > 0) void this.#connect();
  }

  close(): void {
    this.#closed = true;
    for (const id of [...this.#operations.keys()]) this.#remove(id);
  }

  #remove(id: string): void {
    const running = this.#operations.get(id);
    if (running === undefined) return;
    if (running.timer !== null) clearTimeout(running.timer);
    this.#operations.delete(id);
    this.#connection?.stop(id);
    if (this.#operations.size > 0) return;
    // Nobody listens: a socket kept open would cost the server a connection for nothing.
    this.#connection?.close();
    this.#connection = null;
    this.#open = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #start(id: string, running: Running): void {
    this.#connection?.start(id, running);
    running.onConnected(true);
  }

  async #connect(): Promise<void> {
    if (this.#connecting || this.#connection !== null || this.#closed) return;
    this.#connecting = true;
    let token: string;
    try {
      token = await this.#tokens.get();
    } catch (error) {
      this.#connecting = false;
      const problem = asClientError(error);
      if (problem.retryable) this.#connectLater();
      else this.#giveUp(problem);
      return;
    }
    this.#connecting = false;
    if (this.#closed || this.#operations.size === 0) return;
    const bySocket = typeof WebSocket !== 'undefined' && this.#unopenedSockets < liveLimits.socketTries;
    let connection: Connection | null = null;
    let openedAt = Number.POSITIVE_INFINITY;
    const isCurrent = () => connection !== null && this.#connection === connection;
    const events: ConnectionEvents = {
      onOpen: () => {
        if (!isCurrent()) return;
        this.#open = true;
        openedAt = performance.now();
        if (bySocket) {
          this.#unopenedSockets = 0;
        }
        for (const [id, running] of this.#operations) if (running.timer === null) this.#start(id, running);
      },
      onOperationEnd: (id, ending) => {
        if (isCurrent()) this.#onOperationEnd(id, ending, token);
      },
      onEnd: (ending) => {
        if (!isCurrent()) return;
        this.#connection = null;
        this.#open = false;
        // Not at once when it opens: a server that takes connections and then fails them must not be asked three times a second.
        if (performance.now() - openedAt > liveLimits.steadyMs) this.#failures = 0;
        if (bySocket) this.#unopenedSockets = ending.wasOpen ? 0 : this.#unopenedSockets + 1;
        else if (!ending.wasOpen) this.#unopenedSockets = 0; // neither way works: it is the server, so sockets get their chance again
        for (const running of this.#operations.values()) running.onConnected(false);
        this.#afterEnd(ending, token);
      },
    };
    try {
      connection = bySocket ? openSocket(this.#url, token, events) : openEventStream(this.#url, token, events);
    } catch {
      // A content security policy makes the constructor throw.
      this.#unopenedSockets = liveLimits.socketTries;
      this.#connectLater();
      return;
    }
    this.#connection = connection;
  }

  #afterEnd(ending: Ending, token: string): void {
    if (ending.tokenCode !== null) {
      const another = this.#tokens.reject(token, ending.tokenCode);
      if (another && ++this.#refusedTokens < liveLimits.tokenTries) this.#connectLater();
      else this.#giveUp(ending.error);
      return;
    }
    if (ending.again) this.#connectLater();
    else this.#giveUp(ending.error);
  }

  #onOperationEnd(id: string, ending: Ending, token: string): void {
    const running = this.#operations.get(id);
    if (running === undefined) return;
    running.onConnected(false);
    const mayHaveAnother = ending.tokenCode === null || this.#tokens.reject(token, ending.tokenCode);
    if (ending.tokenCode !== null && mayHaveAnother) {
      // The whole connection speaks for the refused token: drop it and come back with another one.
      this.#connection?.close();
      this.#connection = null;
      this.#open = false;
      this.#afterEnd(ending, token);
      return;
    }
    if (!ending.again || !mayHaveAnother) {
      this.#operations.delete(id);
      running.onError(ending.error);
      return;
    }
    running.timer = setTimeout(
      () => {
        running.timer = null;
        if (this.#open) this.#start(id, running);
      },
      Math.max(backoffMs(running.failures++, liveLimits.reconnect), ending.error.retryAfterMs ?? 0),
    );
  }

  #connectLater(): void {
    if (this.#closed || this.#operations.size === 0 || this.#timer !== null) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = null;
        void this.#connect();
      },
      backoffMs(this.#failures++, liveLimits.reconnect),
    );
  }

  #giveUp(error: UsherClientError): void {
    const all = [...this.#operations.values()];
    for (const running of all) if (running.timer !== null) clearTimeout(running.timer);
    this.#operations.clear();
    for (const running of all) running.onError(error);
  }
}
