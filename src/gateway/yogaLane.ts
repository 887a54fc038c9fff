import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DocumentNode, GraphQLSchema } from 'graphql';
import { createYoga, type Plugin } from 'graphql-yoga';
import type { RequestContext } from './context.ts';
import type { Execution } from './execution.ts';
import { publicError } from './publicError.ts';
import type { Services } from './services.ts';

interface ServerContext {
  readonly usher: RequestContext;
}

/** GET, server-sent events, content negotiation and whatever is wrong with a request: GraphQL over HTTP as GraphQL Yoga does it. */
export class YogaLane {
  readonly #yoga;

  constructor(execution: Execution, { logger }: Services) {
    this.#yoga = createYoga<ServerContext>({
      schema: () => execution.schema,
      // Node's own: the stand-ins that Yoga brings would make streams that Node cannot pipe.
      fetchAPI: { Request, Response, Headers, ReadableStream, TextEncoder, TextDecoder, URL },
      logging: false,
      graphiql: false,
      landingPage: false,
      multipart: false,
      batching: false,
      cors: false,
      parserAndValidationCache: false,
      maskedErrors: { maskError: (error) => publicError(error, logger), errorMessage: '' },
      plugins: [useExecution(execution)],
    });
  }

  async answer(
    request: IncomingMessage,
    response: ServerResponse,
    body: string | null,
    context: RequestContext,
  ): Promise<void> {
    const aborted = new AbortController();
    response.on('close', () => aborted.abort());
    const answer = await this.#yoga.fetch(
      `http://${request.headers.host ?? 'localhost'}${request.url}`,
      { method: request.method ?? 'GET', headers: plainHeaders(request), body, signal: aborted.signal },
      { usher: context },
    );
    const headers: Record<string, string> = {};
    answer.headers.forEach((value, name) => {
      if (name !== 'cache-control') headers[name] = value;
    });
    response.writeHead(answer.status, headers);
    if (answer.body === null) {
      response.end();
      return;
    }
    response.flushHeaders();
    // The reader going away is an end, not a fault: `cancel` then ends the subscription.
    await pipeline(Readable.fromWeb(answer.body as import('node:stream/web').ReadableStream), response).catch(() => {});
  }
}

/** Yoga's transport with the parser, validator and executor that all transports share. */
function useExecution(execution: Execution): Plugin<ServerContext> {
  return {
    onParse({ params, setParseFn }) {
      setParseFn(() => parseChecked(execution, String(params.source)));
    },
    onValidate({ setResult }) {
      // Validated together with parsing.
      setResult([]);
    },
    onExecute({ setExecuteFn }) {
      setExecuteFn((args) => execution.execute(argsOf(args as ExecuteArgs)));
    },
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn((args) => execution.subscribe(argsOf(args as ExecuteArgs)));
    },
  };
}

interface ExecuteArgs {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly variableValues?: Record<string, unknown> | null;
  readonly operationName?: string | null;
  readonly contextValue: ServerContext;
}
function argsOf({ document, variableValues, operationName, contextValue }: ExecuteArgs) {
  return { document, variables: variableValues, operationName, context: contextValue.usher };
}

function parseChecked(execution: Execution, query: string): DocumentNode {
  const checked = execution.documents.check(query);
  if (!('errors' in checked)) return checked.document;
  for (const error of checked.errors) error.extensions['http'] = { spec: true, status: 400 };
  if (checked.errors.length === 1) throw checked.errors[0];
  throw new AggregateError(checked.errors);
}

function plainHeaders(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name in request.headers) {
    const value = request.headers[name];
    if (value !== undefined && name !== 'content-length')
      headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}
