import { type GraphQLError, type GraphQLResult, toError } from './graphql.ts';
import { tokenCodes, UsherClientError } from './types.ts';

export interface Operation {
  readonly query: string;
  /** Asked anew at each connection, so that a reconnect resumes after the newest cursor. */
  variables(): { readonly [name: string]: unknown };
  onResult(result: GraphQLResult<unknown>): void;
}

/** How a connection, or one operation on it, ended. */
export interface Ending {
  /** False: trying again would end the same way. */
  readonly again: boolean;
  /** The token was the reason. */
  readonly tokenCode: string | null;
  /** The server had agreed to talk before it ended. */
  readonly wasOpen: boolean;
  readonly error: UsherClientError;
}

/** An open way to the server for operations; ends once, as a whole. */
export interface Connection {
  start(id: string, operation: Operation): void;
  stop(id: string): void;
  close(): void;
}
export interface ConnectionEvents {
  onOpen(): void;
  /** One operation ended; the others go on. */
  onOperationEnd(id: string, ending: Ending): void;
  onEnd(ending: Ending): void;
}

export const socketLimits = {
  /** From opening to the server's acknowledgement. */
  ackTimeoutMs: 10_000,
  /** A ping this often, and the connection counts as dead when no message followed until the next. */
  pingEveryMs: 20_000,
} as const;

/** Close codes after which graphql-transport-ws forbids to try the same again. */
const fatalCloseCodes: ReadonlySet<number> = new Set([4400, 4401, 4406, 4409, 4429]);

/**
 * The client's side of the graphql-transport-ws protocol (the one that the graphql-ws library serves), as far as
 * subscriptions need it. Source: PROTOCOL.md of github.com/enisdenjo/graphql-ws.
 */
export function openSocket(url: string, token: string, events: ConnectionEvents): Connection {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/graphql`, 'graphql-transport-ws');
  let acknowledged = false;
  let ended = false;
  let heard = true;
  let timer = setTimeout(() => end(0, 'no acknowledgement came'), socketLimits.ackTimeoutMs);

  const send = (message: object) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
  const end = (code: number, reason: string) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    socket.close(1000);
    const tokenCode = code === 4403 ? 'TOKEN_EXPIRED' : code === 4401 ? 'TOKEN_INVALID' : null;
    events.onEnd({
      again: !fatalCloseCodes.has(code),
      tokenCode,
      wasOpen: acknowledged,
      error: new UsherClientError(
        tokenCode ?? (fatalCloseCodes.has(code) ? 'BAD_REQUEST' : 'NETWORK'),
        `WebSocket closed (${code}): ${reason}`,
      ),
    });
  };
  const keepAlive = () => {
    if (!heard) return end(0, 'the server does not answer pings');
    heard = false;
    send({ type: 'ping' });
    timer = setTimeout(keepAlive, socketLimits.pingEveryMs);
  };

  const operations = new Map<string, Operation>();
  /** What an operation failed with, before the message that ends it. */
  const failed = new Map<string, readonly GraphQLError[]>();
  socket.onopen = () => send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
  socket.onclose = (event) => end(event.code, event.reason || 'without a reason');
  socket.onmessage = (event) => {
    heard = true;
    const message = JSON.parse(String(event.data)) as { type: string; id?: string; payload?: unknown };
    const id = message.id ?? '';
    if (message.type === 'connection_ack') {
      acknowledged = true;
      clearTimeout(timer);
      timer = setTimeout(keepAlive, socketLimits.pingEveryMs);
      events.onOpen();
    } else if (message.type === 'ping') {
      send({ type: 'pong' });
    } else if (message.type === 'next') {
      const result = message.payload as GraphQLResult<unknown>;
      if (result.data === null || result.data === undefined) failed.set(id, result.errors ?? []);
      else operations.get(id)?.onResult(result);
    } else if ((message.type === 'error' || message.type === 'complete') && operations.delete(id)) {
      const errors = message.type === 'error' ? (message.payload as GraphQLError[]) : (failed.get(id) ?? []);
      failed.delete(id);
      events.onOperationEnd(id, endingOf(errors));
    }
  };
  return {
    start(id, operation) {
      operations.set(id, operation);
      send({ type: 'subscribe', id, payload: { query: operation.query, variables: operation.variables() } });
    },
    stop(id) {
      if (operations.delete(id)) send({ type: 'complete', id });
    },
    close() {
      ended = true;
      clearTimeout(timer);
      socket.close(1000);
    },
  };
}

/** What the end of one operation means; a `complete` that nobody asked for is a server that stops. */
export function endingOf(errors: readonly GraphQLError[]): Ending {
  const error =
    errors[0] === undefined
      ? new UsherClientError('SHUTTING_DOWN', 'the server ended the subscription')
      : toError(errors[0]);
  const tokenCode = tokenCodes.has(error.code) ? error.code : null;
  return { again: error.retryable || tokenCode !== null, tokenCode, wasOpen: true, error };
}
