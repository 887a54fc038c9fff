import type { IncomingMessage } from 'node:http';
import type { Server } from 'graphql-ws';
import type { WebSocket } from 'ws';
import type { Logger } from '../observe/logger.ts';
import { limits } from './limits.ts';

/** What graphql-ws keeps of a socket for us. */
export interface SocketExtra {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
}

/**
 * Connects a `ws` socket to graphql-ws: messages in, messages out, pings. In place of `graphql-ws/use/ws`, which writes every fault of a
 * client to the console, where anybody could fill the log with them.
 */
export function openSocket<E extends SocketExtra>(
  server: Server<E>,
  socket: WebSocket,
  request: IncomingMessage,
  logger: Logger,
): void {
  const fail = (error: unknown) => {
    logger.debug({ err: error }, 'a socket failed');
    socket.close(4500, 'Internal server error');
  };
  // ws has closed it with the right code by then, 1009 for a message that is too large.
  socket.on('error', (error) => logger.debug({ err: error }, 'a socket broke'));
  const stopPinging = ping(socket);
  const closed = server.opened(
    {
      protocol: socket.protocol,
      // Resolves when the message is with the operating system: that is how a slow reader holds its own subscriptions back.
      send: (data) =>
        new Promise((resolve, reject) => {
          if (socket.readyState !== socket.OPEN) resolve();
          else socket.send(data, (error) => (error ? reject(error) : resolve()));
        }),
      close: (code, reason) => socket.close(code, reason),
      onMessage: (handle) => socket.on('message', (data) => void handle(String(data)).catch(fail)),
    },
    { socket, request } as E,
  );
  socket.once('close', (code, reason) => {
    stopPinging();
    void closed(code, String(reason));
  });
}

/** A peer that has not answered a ping when the next one is due is gone. */
function ping(socket: WebSocket): () => void {
  let isAlive = true;
  socket.on('pong', () => {
    isAlive = true;
  });
  const timer = setInterval(() => {
    if (!isAlive) {
      socket.terminate();
      return;
    }
    isAlive = false;
    socket.ping();
  }, limits.pingMs).unref();
  return () => clearInterval(timer);
}
