import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type ErrorCode, errorCatalogue, isUsherError, UsherError } from '../errors.ts';
import type { LocalMailbox } from '../model/localMail.ts';
import type { Readiness } from '../observe/health.ts';
import type { Catalog } from '../playbook/playbook.ts';
import { readBody } from './body.ts';
import { RequestContext } from './context.ts';
import type { Origins } from './cors.ts';
import type { Execution } from './execution.ts';
import { answerFast, fastRequest, sendFast } from './fastLane.ts';
import { type PackedPage, packGraphiql } from './graphiql.ts';
import { limits } from './limits.ts';
import { answerInbox } from './mailInbox.ts';
import { answerUnsubscribe } from './messageLinks.ts';
import { sendFile, sendJson, sendPacked, sendText } from './pages.ts';
import { productsAnswer } from './products.ts';
import type { Services } from './services.ts';
import { slotsResponse } from './slotsLane.ts';
import { pathOf } from './sockets.ts';
import type { Identity } from './tokens.ts';
import { YogaLane } from './yogaLane.ts';

export interface RoutesOptions {
  readonly services: Services;
  readonly execution: Execution;
  readonly origins: Origins;
  readonly playbookFolder: string;
  readonly catalog?: () => Catalog;
  /** Mail that this process keeps in development; absent: it goes to another server. */
  readonly mailbox?: LocalMailbox;
  readonly assetsFolder: string;
  readonly ready: () => Promise<Readiness>;
  readonly isStopping: () => boolean;
}

const httpStatus: Partial<Record<ErrorCode, number>> = {
  REQUEST_TOO_LARGE: 413,
  SHUTTING_DOWN: 503,
  INTERNAL: 500,
};

/** Every path of the HTTP server. */
export class Routes {
  readonly #options: RoutesOptions;
  readonly #yoga: YogaLane;
  #graphiql: Promise<PackedPage> | null = null;

  constructor(options: RoutesOptions) {
    this.#options = options;
    this.#yoga = new YogaLane(options.execution, options.services);
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    this.#route(request, response).catch((error: unknown) => this.#fail(request, response, error));
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request);
    if (path === '/graphql') return this.#graphql(request, response);
    if (path === '/unsubscribe' && (request.method === 'GET' || request.method === 'POST'))
      return answerUnsubscribe(request, response, this.#options.services);
    if (request.method !== 'GET' && request.method !== 'HEAD') return sendText(response, 405, 'Only GET\n');
    const { services, assetsFolder, playbookFolder, ready } = this.#options;
    switch (path) {
      case '/health':
        return sendJson(response, 200, { status: 'alive' });
      case '/ready': {
        const readiness = await ready();
        return sendJson(response, readiness.ready ? 200 : 503, readiness);
      }
      case '/metrics':
        return sendText(response, 200, await services.metrics.text(), services.metrics.contentType);
      case '/usher.js':
        response.setHeader('access-control-allow-origin', '*');
        return sendFile(request, response, assetsFolder, 'usher.js');
      case '/':
        if (services.config.mode === 'development') return sendFile(request, response, assetsFolder, 'index.html');
        break;
      case '/playbook/products.json':
        if (services.config.mode === 'development') return sendJson(response, 200, await productsAnswer(services));
        break;
      default:
        if (path.startsWith('/playbook/images/')) {
          return sendFile(request, response, join(playbookFolder, 'images'), path.slice('/playbook/images/'.length));
        }
        if (path.startsWith('/assets/') && services.config.mode === 'development')
          return sendFile(request, response, assetsFolder, path.slice(1));
        if (/^\/inbox(\/|$)/.test(path) && services.config.mode === 'development') {
          const { mailbox = null } = this.#options;
          return answerInbox(request, response, path, { mailbox, assetsFolder, closing: services.closing });
        }
    }
    sendText(response, 404, 'Not found\n');
  }

  async #graphql(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { services, execution, origins, isStopping } = this.#options;
    const receivedAt = services.now();
    response.setHeader('cache-control', 'private, no-store');
    if (isStopping()) throw new UsherError('SHUTTING_DOWN', 'this Usher is stopping');
    if (!origins.pass(request, response)) return;
    const isGet = request.method === 'GET';
    if (isGet && services.config.mode === 'development' && wantsPage(request)) {
      this.#graphiql ??= packGraphiql();
      return sendPacked(request, response, await this.#graphiql);
    }
    if (request.method === 'POST' && !isJson(request)) return sendUnsupported(response);
    const body = request.method === 'POST' ? checkSize(await readBody(request, limits.batchBytes)) : null;
    const fast = body !== null && services.config.fastLane ? fastRequest(request, body, execution) : null;
    const identifying = this.#identify(request);
    const identity = identifying instanceof Promise ? await identifying : identifying;
    if (fast !== null && fast.checked.slots !== null) {
      const text = await slotsResponse(
        fast.checked.slots,
        fast.variables,
        identity,
        request.headers['user-agent'],
        services,
      );
      if (text !== null) {
        sendFast(response, 200, fast.mediaType, text);
        return services.metrics.requestAnswered('slots', (services.now() - receivedAt) / 1000);
      }
    }
    const context = new RequestContext({
      services,
      identity,
      headers: request.headers,
      receivedAt,
      transport: 'sse',
    });
    if (fast !== null) await answerFast(fast, execution, context, response);
    else await this.#yoga.answer(request, response, body, context);
    if (fast !== null || !String(response.getHeader('content-type')).startsWith('text/event-stream')) {
      services.metrics.requestAnswered(fast === null ? 'yoga' : 'fast', (services.now() - receivedAt) / 1000);
    }
  }

  /** A token that is none is told by the resolver that needs it: startVisit works with an expired header. */
  #identify(request: IncomingMessage): Identity | UsherError | null | Promise<Identity | UsherError> {
    const asError = (error: unknown): UsherError => {
      if (isUsherError(error)) return error;
      throw error;
    };
    try {
      const identity = this.#options.services.tokens.identify(request.headers.authorization);
      return identity instanceof Promise ? identity.catch(asError) : identity;
    } catch (error) {
      return asError(error);
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const known = isUsherError(error)
      ? error
      : new UsherError('INTERNAL', 'an internal fault; the log of the server has it');
    if (!isUsherError(error))
      this.#options.services.logger.error(
        { err: error, path: pathOf(request) },
        'a request failed by a fault of Usher',
      );
    if (response.headersSent) {
      response.destroy();
      return;
    }
    // What is left of a request that was refused half read would be taken for the next one.
    if (!request.complete) response.setHeader('connection', 'close');
    if (known.code === 'SHUTTING_DOWN') {
      response.setHeader('connection', 'close');
      response.setHeader('retry-after', '1');
    }
    sendError(response, httpStatus[known.code] ?? 400, known.code, known.message);
  }
}

/** JSON only: forms and texts are what a foreign page can send without asking (CSRF). */
function isJson({ headers }: IncomingMessage): boolean {
  const type = headers['content-type'] ?? '';
  return type === 'application/json' || type.split(';', 1)[0]!.trim().toLowerCase() === 'application/json';
}

/** @throws UsherError REQUEST_TOO_LARGE */
function checkSize(body: string): string {
  if (
    body.length * 3 > limits.requestBytes &&
    Buffer.byteLength(body) > limits.requestBytes &&
    !/trackEvents|upsertProducts/.test(body)
  ) {
    throw new UsherError(
      'REQUEST_TOO_LARGE',
      `the request has ${Buffer.byteLength(body)} bytes; without trackEvents or upsertProducts at most ${limits.requestBytes} are taken`,
    );
  }
  return body;
}

function sendUnsupported(response: ServerResponse): void {
  response.setHeader('connection', 'close');
  response.setHeader('accept-post', 'application/json');
  sendError(
    response,
    415,
    'BAD_REQUEST',
    'POST a body of content-type application/json; forms and texts are not taken',
  );
}

function sendError(response: ServerResponse, status: number, code: ErrorCode, message: string): void {
  const { help, retryable } = errorCatalogue[code];
  sendJson(response, status, { errors: [{ message, extensions: { code, hint: help, retryable } }] });
}

function wantsPage(request: IncomingMessage): boolean {
  return /\btext\/html\b/.test(request.headers.accept ?? '') && !/[?&]query=/.test(request.url ?? '');
}
