import { type GraphQLResult, requestBody, toError } from './graphql.ts';
import { type Connection, type ConnectionEvents, type Ending, endingOf, type Operation } from './socket.ts';
import { type Json, UsherClientError } from './types.ts';

export const eventStreamLimits = {
  /** Text received without the end of an event; more is not GraphQL. */
  bufferChars: 4_000_000,
} as const;

/**
 * Subscriptions as Server-Sent Events over fetch, one request each, for networks whose proxies let no WebSocket through.
 * Not EventSource: that cannot send the authorization header.
 */
export function openEventStream(url: string, token: string, events: ConnectionEvents): Connection {
  const running = new Map<string, AbortController>();
  let closed = false;
  const end = (id: string, ending: Ending) => {
    if (running.delete(id)) events.onOperationEnd(id, ending);
  };
  const connection: Connection = {
    start(id, operation) {
      const abort = new AbortController();
      running.set(id, abort);
      void readStream(url, token, operation, abort.signal).then(
        (ending) => end(id, ending),
        (error: Error) => {
          if (abort.signal.aborted) return;
          // One stream that breaks means the way is broken: the others hear of it at once and all start anew.
          closeAll();
          if (closed) return;
          closed = true;
          events.onEnd({
            again: true,
            tokenCode: null,
            wasOpen: !(error instanceof UsherClientError),
            error: error instanceof UsherClientError ? error : new UsherClientError('NETWORK', error.message),
          });
        },
      );
    },
    stop(id) {
      running.get(id)?.abort();
      running.delete(id);
    },
    close() {
      closed = true;
      closeAll();
    },
  };
  const closeAll = () => {
    for (const abort of running.values()) abort.abort();
    running.clear();
  };
  queueMicrotask(() => {
    if (!closed) events.onOpen();
  });
  return connection;
}

async function readStream(url: string, token: string, operation: Operation, signal: AbortSignal): Promise<Ending> {
  let response: Response;
  try {
    response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${token}` },
      body: requestBody(operation.query, operation.variables() as { [name: string]: Json }),
      credentials: 'omit',
      signal,
    });
  } catch (error) {
    throw new UsherClientError('NETWORK', `Usher at ${url} could not be reached: ${(error as Error).message}`);
  }
  if (!response.headers.get('content-type')?.includes('text/event-stream') || response.body === null) {
    const text = await response.text();
    let result: GraphQLResult<unknown>;
    try {
      result = JSON.parse(text) as GraphQLResult<unknown>;
    } catch {
      throw new UsherClientError('NETWORK', `${url}/graphql answered ${response.status} without GraphQL`);
    }
    const error = result.errors?.[0];
    return error === undefined ? endingOf([]) : { ...endingOf([error]), error: toError(error, response) };
  }
  let failed: GraphQLResult<unknown>['errors'] = [];
  for await (const event of serverSentEvents(response.body)) {
    if (event.name === 'complete') break;
    if (event.name !== 'next' || event.data === '') continue;
    const result = JSON.parse(event.data) as GraphQLResult<unknown>;
    if (result.data === null || result.data === undefined) failed = result.errors ?? [];
    else operation.onResult(result);
  }
  return endingOf(failed);
}

/** Events of a text/event-stream body; comments (keep-alives) are passed over. */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<{ name: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let buffer = '';
  let name = 'message';
  let data: string[] = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      // A carriage return at the end may be the first half of a line end.
      buffer += value;
      if (buffer.length > eventStreamLimits.bufferChars) throw new Error('an event of the stream has no end');
      const lines = buffer.split(/\r\n|\n|\r(?!$)/);
      buffer = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0 || name !== 'message') yield { name, data: data.join('\n') };
          name = 'message';
          data = [];
          continue;
        }
        const colon = line.indexOf(':');
        if (colon === 0) continue;
        const field = colon === -1 ? line : line.slice(0, colon);
        const text = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (field === 'event') name = text;
        else if (field === 'data') data.push(text);
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
