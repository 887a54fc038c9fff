import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionResult, GraphQLError } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { RequestContext } from './context.ts';
import { type CheckedDocument, isSubscription } from './documents.ts';
import type { Execution } from './execution.ts';

/** A GraphQL request that the fast lane can answer. */
export interface FastRequest {
  readonly checked: CheckedDocument;
  readonly variables: { readonly [name: string]: unknown } | null;
  readonly operationName: string | null;
  readonly mediaType: MediaType;
}
type MediaType = 'application/json' | 'application/graphql-response+json';

/**
 * What a well-formed JSON POST of a query or mutation asks for; null: anything else, which goes the long way through GraphQL Yoga. Whatever is
 * wrong with a request is also told there, so the two ways cannot differ in it; what executes is answered the same by both
 * (test/gateway/lanes.test.ts).
 *
 * Why: Yoga's Fetch-API layer costs three quarters of the time of such a request (docs/performance.md).
 */
export function fastRequest(request: IncomingMessage, body: string, execution: Execution): FastRequest | null {
  const mediaType = mediaTypeOf(request.headers.accept);
  if (mediaType === null) return null;
  let params: unknown;
  try {
    params = JSON.parse(body);
  } catch {
    return null;
  }
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return null;
  for (const name in params)
    if (name !== 'query' && name !== 'variables' && name !== 'operationName' && name !== 'extensions') return null;
  const { query, variables = null, operationName = null, extensions = null } = params as Record<string, unknown>;
  if (typeof query !== 'string' || (operationName !== null && typeof operationName !== 'string')) return null;
  if (!isMap(variables) || !isMap(extensions)) return null;
  const checked = execution.documents.check(query);
  if ('slots' in checked && checked.slots !== null && (operationName ?? checked.slots.name) === checked.slots.name)
    return { checked, variables, operationName, mediaType };
  if ('errors' in checked || isSubscription(checked.document, operationName)) return null;
  // Without exactly one operation to run there is nothing to execute: the long way says so.
  if (operationOf(checked, operationName) === null) return null;
  return { checked, variables, operationName, mediaType };
}

export async function answerFast(
  { checked, variables, operationName, mediaType }: FastRequest,
  execution: Execution,
  context: RequestContext,
  response: ServerResponse,
): Promise<void> {
  const pending = execution.execute({ document: checked.document, variables, operationName, context });
  const result = pending instanceof Promise ? await pending : pending;
  const text = JSON.stringify(
    result.errors === undefined ? result : { ...result, errors: result.errors.map(withoutHttp) },
  );
  sendFast(response, statusOf(result, mediaType), mediaType, text);
}

const contentTypes: Record<MediaType, string> = {
  'application/json': 'application/json; charset=utf-8',
  'application/graphql-response+json': 'application/graphql-response+json; charset=utf-8',
};

export function sendFast(response: ServerResponse, status: number, mediaType: MediaType, text: string): void {
  response.statusCode = status;
  response.setHeader('content-type', contentTypes[mediaType]);
  // Node adds the length; naming it here would make it copy all headers.
  response.end(text);
}

/** 400 for a request that could not begin, told to those who asked for application/graphql-response+json; 200 otherwise. */
function statusOf(result: ExecutionResult, mediaType: MediaType): number {
  return !('data' in result) && mediaType === 'application/graphql-response+json' ? 400 : 200;
}

function withoutHttp(error: GraphQLError): object {
  const shown = error.toJSON();
  const { http: _, ...extensions } = shown.extensions ?? {};
  return { ...shown, extensions };
}

function isMap(value: unknown): value is { readonly [name: string]: unknown } | null {
  return value === null || (typeof value === 'object' && !Array.isArray(value));
}

function operationOf({ document }: CheckedDocument, name: string | null): object | null {
  const operations = document.definitions.filter((definition) => definition.kind === 'OperationDefinition');
  if (name === null) return operations.length === 1 ? operations[0]! : null;
  return operations.find((operation) => operation.name?.value === name) ?? null;
}

const mediaTypes = new LRUCache<string, MediaType | 'other'>({ max: 200 });

/** As Yoga chooses: the first that is asked for of the two; whoever also takes streams goes the long way. */
function mediaTypeOf(accept: string | undefined): MediaType | null {
  if (accept === undefined) return 'application/json';
  let known = mediaTypes.get(accept);
  if (known === undefined) {
    known = chooseMediaType(accept);
    mediaTypes.set(accept, known);
  }
  return known === 'other' ? null : known;
}

function chooseMediaType(accept: string): MediaType | 'other' {
  const asked = accept.replace(/\s/g, '').toLowerCase().split(',');
  for (const entry of asked) {
    const [type, ...params] = entry.split(';');
    if (params.some((param) => param.startsWith('charset=') && param !== 'charset=utf-8')) continue;
    if (type === 'application/graphql-response+json') return type;
    if (type === 'application/json' || type === '*/*' || type === 'application/*') return 'application/json';
    return 'other';
  }
  return 'other';
}
