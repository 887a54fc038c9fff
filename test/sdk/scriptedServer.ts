import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SentEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly sequence: number;
  readonly skipped?: readonly number[];
  readonly occurredAt: string;
  readonly properties: Record<string, unknown>;
}
export interface Call {
  readonly events: readonly SentEvent[];
  readonly token: string | undefined;
  readonly variables: { readonly input: { readonly sentAt: string; readonly token?: string } | null };
  readonly query: string;
  answer(value: unknown, status?: number): void;
  /** Every event accepted. */
  accept(): void;
  /** The connection breaks without an answer. */
  cut(): void;
}

/** A real HTTP server whose answers the test gives by hand, one call after the other. */
export async function scriptedServer() {
  const arrived: Call[] = [];
  const waiting: ((call: Call) => void)[] = [];
  let open = 0;
  let mostOpen = 0;
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    mostOpen = Math.max(mostOpen, ++open);
    response.on('close', () => open--);
    let text = '';
    for await (const chunk of request) text += chunk;
    const { query, variables } = JSON.parse(text) as { query: string; variables: Call['variables'] };
    const events = ((variables.input as { events?: SentEvent[] } | null)?.events ?? []) as SentEvent[];
    const answer = (value: unknown, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof value === 'string' ? value : JSON.stringify(value));
    };
    const call: Call = {
      events,
      query,
      variables,
      token: request.headers.authorization,
      answer,
      accept: () => answer({ data: { trackEvents: { outcomes: events.map(accepted) } } }),
      cut: () => void request.socket.destroy(),
    };
    const next = waiting.shift();
    if (next === undefined) arrived.push(call);
    else next(call);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** The next call that arrives, or has arrived and was not asked for yet. */
    next: () => {
      const call = arrived.shift();
      return call === undefined ? new Promise<Call>((resolve) => waiting.push(resolve)) : Promise.resolve(call);
    },
    unasked: () => arrived.length,
    mostOpen: () => mostOpen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function accepted(event: SentEvent) {
  return { id: event.id, status: 'ACCEPTED', cursor: `c${event.sequence}`, error: null };
}

export function refused(event: SentEvent, code: string, retryable = false) {
  return {
    id: event.id,
    status: 'REFUSED',
    cursor: null,
    error: { code, message: code, hint: null, retryable, retryAfterMs: null },
  };
}
