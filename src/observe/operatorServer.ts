import { createServer, type ServerResponse } from 'node:http';
import type { Readiness } from './health.ts';
import { listen } from './listen.ts';
import type { Metrics } from './metrics.ts';

export interface OperatorServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * /health, /ready and /metrics of a process that answers no callers: a worker.
 * @throws UsherError PORT_IN_USE, CONFIG_INVALID
 */
export async function startOperatorServer(options: {
  readonly host: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly ready: () => Promise<Readiness>;
}): Promise<OperatorServer> {
  const { metrics, ready } = options;
  const server = createServer((request, response) => {
    const answer = async () => {
      switch (request.url?.split('?', 1)[0]) {
        case '/health':
          return send(response, 200, { status: 'alive' });
        case '/ready': {
          const readiness = await ready();
          return send(response, readiness.ready ? 200 : 503, readiness);
        }
        case '/metrics':
          response.writeHead(200, { 'content-type': metrics.contentType });
          return void response.end(await metrics.text());
        default:
          return send(response, 404, { error: 'a worker has /health, /ready and /metrics; gateways have /graphql' });
      }
    };
    answer().catch(() => response.destroy());
  });
  const { url, port } = await listen(server, options);
  return {
    url,
    port,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
