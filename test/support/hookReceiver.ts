import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { testCertificate, testKey } from './certificate.ts';

export interface ReceivedHook {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly remotePort: number;
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that web hooks are sent to; what it has read whole is kept, and answered by `answer`. */
export interface HookReceiver {
  readonly port: number;
  readonly received: ReceivedHook[];
  answer: Answer;
  /** Connections that are open now, and that ever were. */
  readonly open: ReadonlySet<Socket>;
  connected(): number;
  close(): Promise<void>;
}

export const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Answer =>
  (_request, response) =>
    void response.writeHead(code, headers).end(body);

export async function startHookReceiver({ tls = false, address = '127.0.0.1' } = {}): Promise<HookReceiver> {
  const open = new Set<Socket>();
  const received: ReceivedHook[] = [];
  let connected = 0;
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    request.setEncoding('utf8');
    let body = '';
    try {
      for await (const chunk of request) body += chunk;
    } catch {
      return;
    }
    const { method = '', url: path = '', headers, socket } = request;
    received.push({ method, path, headers, body, remotePort: socket.remotePort ?? 0 });
    receiver.answer(request, response);
  };
  const server = tls ? createTlsServer({ key: testKey, cert: testCertificate }, listener) : createServer(listener);
  server.on('connection', (socket: Socket) => {
    connected++;
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => {});
  });
  server.listen(0, address);
  await once(server, 'listening');
  const receiver: HookReceiver = {
    port: (server.address() as AddressInfo).port,
    received,
    answer: status(204),
    open,
    connected: () => connected,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
