import { type Json, UsherClientError } from './types.ts';

const slotFields = `name content { id type data } source version cursor decidedAt expiresAt stale
  why { sentence ruleId playbookVersion eventId facts { name value } losers { ruleId contentId reason } }`;

/** Every operation that the SDK sends. */
export const operations = {
  startVisit:
    'mutation StartVisit($input: StartVisitInput) { startVisit(input: $input) { token expiresAt visitorId } }',
  identify: `mutation Identify($input: IdentifyInput!) { identify(input: $input) { visit { token expiresAt visitorId }
    error { code message hint retryable retryAfterMs } } }`,
  trackEvents: `mutation TrackEvents($input: TrackEventsInput!) { trackEvents(input: $input) {
    outcomes { id status cursor error { code message hint retryable retryAfterMs } } } }`,
  slots: `query Slots($names: [String!], $after: Cursor, $waitMs: Int, $context: PageContextInput) {
    personalizedSlots(names: $names, after: $after, waitMs: $waitMs, context: $context) { ${slotFields} } }`,
  visitor: `query Visitor { visitor { id visitor session cart { id value lines { productId quantity price } } traits consent
    counts { folded duplicate late held skipped beyondWindow failed sessions } } }`,
  contentUpdates: `subscription ContentUpdates($names: [String!], $after: Cursor, $context: PageContextInput) {
    contentUpdates(names: $names, after: $after, context: $context) { kind cursor slots { ${slotFields} }
      cause { eventId eventType at rules stages { name ms } } } }`,
  activity: `subscription Activity { activity { visitorId position what eventId type at properties rules detail
    slots { ${slotFields} } stages { name ms } } }`,
} as const;

export interface GraphQLError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: { readonly [key: string]: unknown };
}
export interface GraphQLResult<T> {
  readonly data?: T | null;
  readonly errors?: readonly GraphQLError[];
}

export interface PostOptions {
  readonly token: string | null;
  readonly timeoutMs: number;
  /** Lets the request outlive the page; browsers allow 64 kB of such bodies at a time. */
  readonly keepalive?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * One GraphQL request.
 * @throws UsherClientError NETWORK when no answer that is GraphQL came, else the code of the first error if there is no data
 */
export async function post<T>(url: string, body: string, options: PostOptions): Promise<GraphQLResult<T>> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/graphql-response+json, application/json',
  };
  if (options.token !== null) headers['authorization'] = `Bearer ${options.token}`;
  let response: Response;
  let result: GraphQLResult<T>;
  try {
    response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers,
      body,
      keepalive: options.keepalive ?? false,
      credentials: 'omit',
      signal: options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
    });
    const text = await response.text();
    try {
      result = JSON.parse(text) as GraphQLResult<T>;
    } catch {
      throw notGraphQL(url, response.status);
    }
  } catch (error) {
    if (error instanceof UsherClientError) throw error;
    throw new UsherClientError('NETWORK', `Usher at ${url} could not be reached: ${(error as Error).message}`);
  }
  if (result === null || typeof result !== 'object' || (result.data === undefined && result.errors === undefined)) {
    throw notGraphQL(url, response.status);
  }
  if ((result.data === undefined || result.data === null) && result.errors?.[0] !== undefined)
    throw toError(result.errors[0], response);
  return result;
}

/** A proxy's error page, say. 413 and the other 4xx will not get better by trying again; 408, 429 and 5xx may. */
function notGraphQL(url: string, status: number): UsherClientError {
  if (status === 413) return new UsherClientError('REQUEST_TOO_LARGE', `${url}/graphql answered 413`);
  const permanent = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return permanent
    ? new UsherClientError(
        'BAD_REQUEST',
        `${url}/graphql answered ${status}, expected GraphQL; is it the address of an Usher?`,
      )
    : new UsherClientError('NETWORK', `${url}/graphql answered ${status} without GraphQL`);
}

export function toError(error: GraphQLError, response?: Response): UsherClientError {
  const { code, retryable, retryAfterMs, hint } = error.extensions ?? {};
  const retryAfterSeconds = Number(response?.headers.get('retry-after') ?? Number.NaN);
  return new UsherClientError(typeof code === 'string' ? code : 'BAD_REQUEST', error.message, {
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    retryAfterMs:
      typeof retryAfterMs === 'number'
        ? retryAfterMs
        : Number.isFinite(retryAfterSeconds)
          ? retryAfterSeconds * 1000
          : null,
    hint: typeof hint === 'string' ? hint : null,
  });
}

export function requestBody(query: string, variables: { readonly [name: string]: Json | undefined }): string {
  return JSON.stringify({ query, variables });
}
