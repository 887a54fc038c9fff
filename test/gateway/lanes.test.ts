import { join } from 'node:path';
import { auditServer } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const playbook = join(import.meta.dirname, 'playbook');
let fast: TestUsher;
let yoga: TestUsher;
beforeAll(async () => {
  fast = await startTestUsher({ playbook });
  yoga = await startTestUsher({ playbook, fastLane: false });
});
afterAll(async () => {
  await fast[Symbol.asyncDispose]();
  await yoga[Symbol.asyncDispose]();
});

const id = '00000000-0000-4000-8000-000000000001';
const json = 'application/json';
const response = 'application/graphql-response+json';
const track =
  'mutation Track($input: TrackEventInput!) { trackEvent(input: $input) { outcome { id status error { code message path hint retryable } } } }';
const viewed = { type: 'product_viewed', properties: { productId: 'p_001' }, id };

/** [name, body, more headers]; each is sent with several Accept headers. */
const requests: readonly (readonly [string, string | object, Record<string, string>?])[] = [
  ['a query', { query: '{ playbook { slots rules { id } } }' }],
  [
    'a query with all parameters',
    {
      query: 'query A { __typename } query B { playbook { slots } }',
      operationName: 'B',
      variables: {},
      extensions: {},
    },
  ],
  ['null parameters', { query: '{ __typename }', variables: null, operationName: null, extensions: null }],
  ['an accepted event', { query: track, variables: { input: viewed } }],
  ['a refused event', { query: track, variables: { input: { ...viewed, type: 'product_veiwed' } } }],
  [
    'an event of both shapes',
    { query: track, variables: { input: { ...viewed, event: { productViewed: { productId: 'p' } } } } },
  ],
  ['a visitor named by a visit token', { query: '{ visitor(ref: { userId: "u" }) { id } }' }],
  [
    'slots, one of them unknown',
    { query: '{ personalizedSlots(names: ["second_look", "last_lok"]) { name source content { id data } } }' },
  ],
  ['too many names', { query: `{ personalizedSlots(names: ${JSON.stringify(Array(51).fill('x'))}) { name } }` }],
  ['a cursor that is none', { query: '{ personalizedSlots(after: "nonsense") { name } }' }],
  ['no token', { query: '{ visitor { id } }' }, { authorization: '' }],
  ['a forged token', { query: '{ visitor { id } }' }, { authorization: 'Bearer eyJhbGciOiJub25lIn0.e30.' }],
  ['a forged token for what needs none', { query: '{ __typename }' }, { authorization: 'Bearer nonsense' }],
  ['a missing permission', { query: '{ status { lag } }' }],
  ['introspection', { query: '{ __schema { queryType { name } } }' }],
  ['a syntax error', { query: '{ playbook {' }],
  ['an unknown field', { query: '{ playbok { version } other }' }],
  ['a missing variable', { query: track }],
  ['a variable of another type', { query: track, variables: { input: { ...viewed, sequence: 'one' } } }],
  [
    'two members of a @oneOf input',
    { query: track, variables: { input: { event: { productViewed: { productId: 'p' }, anything: {} } } } },
  ],
  ['an unknown operation name', { query: 'query A { __typename }', operationName: 'B' }],
  ['several operations and no name', { query: 'query A { __typename } query B { __typename }' }],
  ['a subscription without a stream', { query: 'subscription { contentUpdates { kind } }' }],
  [
    'too many aliases',
    { query: `{ ${Array.from({ length: 16 }, (_, i) => `a${i}: __schema { description }`).join(' ')} }` },
  ],
  ['JSON that breaks off', '{"query": "{'],
  ['a list', '[{"query": "{ __typename }"}]'],
  ['a text', '"{ __typename }"'],
  ['null', 'null'],
  ['nothing', ''],
  ['variables that are a list', { query: '{ __typename }', variables: [] }],
  ['a query that is a number', { query: 7 }],
  ['no query', { variables: {} }],
  ['an unknown parameter', { query: '{ __typename }', other: 1 }],
  ['a body that is too large', { query: `{ __typename } # ${'x'.repeat(64_000)}` }],
  ['a form', 'query=%7B__typename%7D', { 'content-type': 'application/x-www-form-urlencoded' }],
  ['a text that is JSON', { query: '{ __typename }' }, { 'content-type': 'text/plain' }],
];
const accepts = [
  undefined,
  json,
  response,
  '*/*',
  `${response}, ${json};q=0.9`,
  `${json}, ${response}`,
  'application/json;charset=utf-8',
  'application/xml',
  'text/event-stream',
];

async function send(
  usher: TestUsher,
  body: string | object,
  accept: string | undefined,
  headers: Record<string, string>,
) {
  const answer = await fetch(`${usher.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': json,
      authorization: 'Bearer dev:alice',
      origin: 'http://localhost:5173',
      ...(accept === undefined ? {} : { accept }),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const kept = ['content-type', 'cache-control', 'access-control-allow-origin', 'vary', 'accept', 'allow'];
  const text = await answer.text();
  return {
    status: answer.status,
    headers: kept.map((name) => `${name}: ${answer.headers.get(name)}`),
    body: text.startsWith('{') ? JSON.parse(text) : text,
  };
}

describe('the fast lane', () => {
  it.each(requests.map(([name, body, headers]) => [name, body, headers ?? {}] as const))(
    'answers as the long way does: %s',
    async (name, body, headers) => {
      for (const accept of accepts) {
        // A subscription is a stream for those who take one, and does not end by itself.
        if (
          name.includes('subscription') &&
          (accept === undefined || accept === '*/*' || accept.includes('event-stream'))
        )
          continue;
        expect({ accept, ...(await send(fast, body, accept, headers)) }).toEqual({
          accept,
          ...(await send(yoga, body, accept, headers)),
        });
      }
    },
  );
  it('answers most of these itself', async () => {
    const text = await (await fetch(`${fast.url}/metrics`)).text();
    const count = (lane: string) =>
      Number(new RegExp(`usher_request_seconds_count\\{lane="${lane}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
    expect(count('fast')).toBeGreaterThan(80);
    expect(await (await fetch(`${yoga.url}/metrics`)).text()).not.toContain('usher_request_seconds_count{lane="fast"}');
  });
});

describe('GraphQL over HTTP', () => {
  it.each(['fast', 'yoga'])('passes the audit of graphql-http: %s', async (lane) => {
    const { url } = lane === 'fast' ? fast : yoga;
    const results = await auditServer({ url: `${url}/graphql` });
    expect(
      results
        .filter(({ status }) => status !== 'ok')
        .map((result) => `${result.name} ${'reason' in result ? result.reason : ''}`),
    ).toEqual([]);
    expect(results.length).toBeGreaterThan(55);
  });
  it('runs queries by GET and no mutation', async () => {
    const get = (query: string) =>
      fetch(`${fast.url}/graphql?query=${encodeURIComponent(query)}`, {
        headers: { authorization: 'Bearer dev:alice' },
      });
    expect(await (await get('{ playbook { slots } }')).json()).toEqual({
      data: { playbook: { slots: ['last_look', 'second_look'] } },
    });
    const refused = await get('mutation { startVisit { token } }');
    expect(refused.status).toBe(405);
    expect(((await refused.json()) as { errors: { extensions: { code: string } }[] }).errors[0]!.extensions.code).toBe(
      'BAD_REQUEST',
    );
  });
});
