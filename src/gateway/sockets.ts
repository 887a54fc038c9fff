import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { GraphQLError } from 'graphql';
import { CloseCode, type Context, handleProtocols, makeServer, type SubscribePayload } from 'graphql-ws';
import { type WebSocket, WebSocketServer } from 'ws';
import { errorCatalogue, isUsherError, UsherError } from '../errors.ts';
import { RequestContext } from './context.ts';
import type { Origins } from './cors.ts';
import type { Execution, OperationArgs } from './execution.ts';
import { atTime } from './inbox.ts';
import { limits } from './limits.ts';
import { publicError } from './publicError.ts';
import type { Services } from './services.ts';
import { type SocketExtra as Extra, openSocket } from './socketTransport.ts';
import type { Identity } from './tokens.ts';

/** Close codes besides those of graphql-transport-ws: clients retry after 1012 and 4403, and give up after 4401. */
const closeCodes = { restart: 1012, wrongToken: 4401, expiredToken: CloseCode.Forbidden } as const;

interface SocketExtra extends Extra {
  identity?: Identity | null;
  stopExpiry?: () => void;
}
type SocketContext = Context<Record<string, unknown> | undefined, SocketExtra>;

export interface Sockets {
  readonly count: number;
  /** Ends every subscription with `complete`, then closes every socket with 1012. */
  stop(): Promise<void>;
}

/** GraphQL over WebSocket (graphql-transport-ws) on the same port and path as HTTP. */
export function serveSockets(
  server: Server,
  options: {
    readonly execution: Execution;
    readonly services: Services;
    readonly origins: Origins;
    readonly isStopping: () => boolean;
  },
): Sockets {
  const { execution, services, origins, isStopping } = options;
  // Compression would let small frames grow large in our memory, and costs more than it saves on messages of this size.
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.messageBytes,
    perMessageDeflate: false,
    handleProtocols,
  });

  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (isStopping()) return refuse(socket, '503 Service Unavailable');
    if (pathOf(request) !== '/graphql') return refuse(socket, '404 Not Found');
    // A browser sends its page's origin and any page may open a socket, so CORS does not protect this.
    if (!origins.allows(request.headers.origin, request.headers.host)) return refuse(socket, '403 Forbidden');
    sockets.handleUpgrade(request, socket, head, (webSocket) =>
      openSocket(protocol, webSocket, request, services.logger),
    );
  });

  const protocol = makeServer<Record<string, unknown> | undefined, SocketExtra>({
    connectionInitWaitTimeout: limits.initMs,
    onConnect: (ctx) => connect(ctx, services),
    onDisconnect: (ctx) => ctx.extra.stopExpiry?.(),
    onSubscribe: (ctx, _id, payload) => begin(ctx, payload, execution, services),
    execute: (args) => execution.execute(operationOf(args)),
    subscribe: (args) => execution.subscribe(operationOf(args)) as never,
    onError: (_ctx, _id, _payload, errors) => errors.map((error) => publicError(error, services.logger).toJSON()),
  });

  return {
    get count() {
      return sockets.clients.size;
    },
    async stop() {
      // The streams were ended before; a turn of the loop lets their `complete` messages go first.
      await new Promise((resolve) => setImmediate(resolve));
      for (const socket of sockets.clients) socket.close(closeCodes.restart, 'Service restart');
      await closedWithin(sockets.clients, 1_000);
      for (const socket of sockets.clients) socket.terminate();
      await new Promise<void>((resolve) => sockets.close(() => resolve()));
    },
  };
}

async function connect(ctx: SocketContext, services: Services): Promise<boolean | undefined> {
  const { extra } = ctx;
  const given = ctx.connectionParams?.['authorization'] ?? ctx.connectionParams?.['Authorization'];
  try {
    if (given !== undefined && typeof given !== 'string')
      throw new UsherError('TOKEN_INVALID', 'authorization must be a text');
    extra.identity = await services.tokens.identify(given);
  } catch (error) {
    const code = isUsherError(error) ? error.code : 'TOKEN_INVALID';
    extra.socket.close(code === 'TOKEN_EXPIRED' ? closeCodes.expiredToken : closeCodes.wrongToken, code);
    // The socket is closing with our code; `false` would close it with another, which clients retry.
    return undefined;
  }
  const expiresAt = extra.identity?.kind === 'visitor' ? extra.identity.expiresAt : null;
  if (expiresAt !== null) {
    extra.stopExpiry = atTime(expiresAt, services.now, () =>
      extra.socket.close(closeCodes.expiredToken, 'TOKEN_EXPIRED'),
    );
  }
  return undefined;
}

/** An operation of a socket: its arguments for graphql-js, or the errors that it ends with. */
function begin(ctx: SocketContext, payload: SubscribePayload, execution: Execution, services: Services) {
  const count = Object.keys(ctx.subscriptions).length;
  if (count > limits.subscriptions) {
    const { help, retryable } = errorCatalogue.TOO_MANY_SUBSCRIPTIONS;
    const message = `the socket has ${limits.subscriptions} subscriptions; it may have no more`;
    return [new GraphQLError(message, { extensions: { code: 'TOO_MANY_SUBSCRIPTIONS', hint: help, retryable } })];
  }
  const checked = execution.documents.check(String(payload.query));
  if ('errors' in checked) return checked.errors.map((error) => publicError(error, services.logger));
  const context = new RequestContext({
    services,
    identity: ctx.extra.identity ?? null,
    headers: ctx.extra.request.headers,
    receivedAt: services.now(),
    transport: 'ws',
  });
  return {
    schema: execution.schema,
    document: checked.document,
    variableValues: payload.variables ?? null,
    operationName: payload.operationName ?? null,
    contextValue: context,
  };
}

function operationOf(args: {
  readonly document: OperationArgs['document'];
  readonly variableValues?: unknown;
  readonly operationName?: string | null | undefined;
  readonly contextValue?: unknown;
}): OperationArgs {
  return {
    document: args.document,
    variables: args.variableValues as OperationArgs['variables'],
    operationName: args.operationName,
    context: args.contextValue as RequestContext,
  };
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
}

async function closedWithin(clients: ReadonlySet<WebSocket>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  const closed = Promise.all(
    [...clients].map((client) => new Promise<void>((resolve) => client.once('close', () => resolve()))),
  );
  await Promise.race([closed, late]);
  clearTimeout(timer);
}
