import type { IncomingMessage, ServerResponse } from 'node:http';

/** Which pages of other origins may call Usher. The same rule holds for HTTP, server-sent events and WebSocket. */
export class Origins {
  readonly #allowed: ReadonlySet<string>;
  readonly #localhost: boolean;

  constructor(options: { readonly allowed: readonly string[]; readonly development: boolean }) {
    this.#allowed = new Set(options.allowed);
    this.#localhost = options.development;
  }

  /** No Origin: not a browser, or the page's own origin. */
  allows(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined) return true;
    if (this.#allowed.has(origin)) return true;
    if (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)) return true;
    return this.#localhost && /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/.test(origin);
  }

  /**
   * Sets the CORS headers, or answers a preflight. False: the request is answered. Never with credentials: tokens travel in a header, and a
   * cookie is never looked at.
   */
  pass(request: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = request.headers;
    response.setHeader('vary', 'Origin');
    if (origin !== undefined && this.allows(origin, request.headers.host)) {
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('access-control-expose-headers', 'retry-after');
    }
    if (request.method !== 'OPTIONS') return true;
    response.setHeader('access-control-allow-methods', 'GET, POST');
    response.setHeader('access-control-allow-headers', 'authorization, content-type, accept, traceparent');
    response.setHeader('access-control-max-age', '7200');
    response.writeHead(204).end();
    return false;
  }
}
