import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import type { TestUsher } from '../support/startUsher.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests read whatever they asked for
export type Result = { data?: any; errors?: { message: string; extensions: { code: string } }[] };

/** What came in, in order, and a way to wait for the next. */
export class Received<T> {
  readonly all: T[] = [];
  #read = 0;
  #wake: (() => void)[] = [];
  #end: string | null = null;

  push(value: T): void {
    this.all.push(value);
    this.#wakeAll();
  }
  end(how: string): void {
    this.#end ??= how;
    this.#wakeAll();
  }
  /** The next one that was not taken yet. Rejects when the stream ends instead. */
  async next(): Promise<T> {
    while (this.#read >= this.all.length) {
      if (this.#end !== null) throw new Error(`the stream ended: ${this.#end}`);
      await this.#change();
    }
    return this.all[this.#read++]!;
  }
  /** How it ended: `complete`, or `closed CODE REASON`. */
  async ended(): Promise<string> {
    while (this.#end === null) await this.#change();
    return this.#end;
  }
  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }
  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** A subscription over WebSocket with the client that browsers use. */
export function subscribe(
  usher: Pick<TestUsher, 'url'>,
  query: string,
  token: string,
  variables: Record<string, unknown> = {},
) {
  const received = new Received<Result>();
  const client = createClient({
    url: `${usher.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: 0,
    lazyCloseTimeout: 0,
  });
  const stop = client.subscribe<Result['data']>(
    { query, variables },
    {
      next: (value) => received.push(value as Result),
      complete: () => received.end('complete'),
      error: (error) => received.end(endOf(error)),
    },
  );
  return Object.assign(received, { stop, [Symbol.asyncDispose]: async () => void client.dispose() });
}

function endOf(error: unknown): string {
  if (Array.isArray(error)) return `error ${error[0].extensions?.code}`;
  const { code, reason, message } = error as { code?: number; reason?: string; message?: string };
  return code === undefined ? `error ${message}` : `closed ${code} ${reason}`;
}

/** A subscription over server-sent events. */
export function stream(
  usher: Pick<TestUsher, 'url'>,
  query: string,
  token: string,
  variables: Record<string, unknown> = {},
) {
  const received = new Received<Result>();
  const abort = new AbortController();
  const read = async () => {
    const response = await fetch(`${usher.url}/graphql`, {
      method: 'POST',
      signal: abort.signal,
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables }),
    });
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const [event, data] = text.slice(0, end).split('\n');
        text = text.slice(end + 2);
        if (event === 'event: next') received.push(JSON.parse(data!.slice('data: '.length)) as Result);
        if (event === 'event: complete') received.end('complete');
      }
    }
  };
  read().then(
    () => received.end('closed'),
    (error: Error) => received.end(`error ${error.name}`),
  );
  return Object.assign(received, { stop: () => abort.abort(), [Symbol.asyncDispose]: async () => abort.abort() });
}

/** A bare socket, for what a good client would not do. */
export function rawSocket(usher: TestUsher, options: { protocol?: string; origin?: string } = {}) {
  const socket = new WebSocket(
    `${usher.url.replace('http', 'ws')}/graphql`,
    options.protocol ?? 'graphql-transport-ws',
    {
      ...(options.origin === undefined ? {} : { origin: options.origin }),
    },
  );
  const received = new Received<Record<string, unknown>>();
  socket.on('message', (data) => received.push(JSON.parse(String(data))));
  socket.on('close', (code, reason) => received.end(`closed ${code} ${reason}`));
  socket.on('error', (error) => received.end(`error ${error.message}`));
  return Object.assign(received, {
    socket,
    async send(message: object | string) {
      if (socket.readyState === WebSocket.CONNECTING) await new Promise((resolve) => socket.once('open', resolve));
      socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    },
    [Symbol.asyncDispose]: async () => socket.terminate(),
  });
}
