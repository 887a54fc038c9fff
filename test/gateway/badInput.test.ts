import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../src/gateway/limits.ts';
import { propertyLimits } from '../../src/playbook/events.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher({ playbook: join(import.meta.dirname, 'playbook') });
});
afterAll(() => usher[Symbol.asyncDispose]());

const single =
  'mutation ($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status error { code message path } } } }';
const batch =
  'mutation ($input: TrackEventsInput!) { trackEvents(input: $input) { accepted refused outcomes { status error { code } } } }';
const viewed = { type: 'product_viewed', properties: { productId: 'p_001' } };

/** POSTs a body as it is, for what JSON.stringify would not write. */
async function post(body: string | Buffer, headers: Record<string, string> = {}) {
  const response = await fetch(`${usher.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer dev:alice', ...headers },
    body: body as BodyInit,
  });
  return { status: response.status, body: await response.json() };
}
const withProperties = (properties: string) =>
  `{"query": ${JSON.stringify(single)}, "variables": {"input": {"type": "anything", "properties": ${properties}}}}`;
async function track(input: object) {
  const { data } = await usher.query(single, { input });
  return data.trackEvent.outcome as { status: string; error: { code: string; message: string; path: string[] } | null };
}
const codeOf = async (input: object) => (await track(input)).error?.code ?? 'none';

describe('a request that is no GraphQL request', () => {
  it.each([
    ['JSON that breaks off', '{"query": "{', 400],
    ['JSON with NaN', withProperties('{"productId": "p", "n": NaN}'), 400],
    ['a list', '[]', 400],
    ['an unknown parameter', '{"query": "{ __typename }", "other": 1}', 400],
  ])('is refused with BAD_REQUEST: %s', async (_name, body, status) => {
    const answer = await post(body);
    expect(answer.body.errors[0].extensions.code).toBe('BAD_REQUEST');
    expect((await post(body, { accept: 'application/graphql-response+json' })).status).toBe(status);
  });
  it('is refused when it is not UTF-8, instead of recording something else', async () => {
    const [before, after] = withProperties('{"s": "HERE"}').split('HERE');
    const body = (middle: Buffer) => Buffer.concat([Buffer.from(before!), middle, Buffer.from(after!)]);
    expect((await post(body(Buffer.from('é')))).body.data.trackEvent.outcome.status).toBe('ACCEPTED');
    expect((await post(body(Buffer.from([0xff, 0xfe])))).body.errors[0].extensions.code).toBe('BAD_REQUEST');
  });
  it('is refused by size: 64 kB alone, 512 kB with trackEvents', async () => {
    const padded = (bytes: number, query: string) => JSON.stringify({ query, variables: { pad: 'x'.repeat(bytes) } });
    expect((await post(padded(limits.requestBytes, '{ __typename }'))).status).toBe(413);
    expect((await post(padded(limits.requestBytes - 500, '{ __typename }'))).status).toBe(200);
    const small = { ...viewed, id: '00000000-0000-4000-8000-000000000000' };
    const fits = JSON.stringify({
      query: batch,
      variables: { input: { events: [small] }, pad: 'x'.repeat(limits.batchBytes - 1_000) },
    });
    expect((await post(fits)).status).toBe(200);
    expect((await post(padded(limits.batchBytes, batch))).body.errors[0].extensions.code).toBe('REQUEST_TOO_LARGE');
  });
  it('is refused when an event of 1 MiB comes, and the next request of another connection is answered', async () => {
    const answer = await post(withProperties(`{"productId": "${'x'.repeat(2 ** 20)}"}`));
    expect(answer.status).toBe(413);
    expect(answer.body.errors[0].extensions.code).toBe('REQUEST_TOO_LARGE');
    expect((await track(viewed)).status).toBe('ACCEPTED');
  });
  it('is refused when its document has too many tokens, levels or aliases', async () => {
    const code = async (query: string) => (await usher.query(query)).errors?.[0]?.extensions?.code;
    const aliases = (count: number) =>
      `{ ${Array.from({ length: count }, (_, i) => `a${i}: playbook { version }`).join(' ')} }`;
    expect(await code(aliases(limits.aliases))).toBeUndefined();
    expect(await code(aliases(limits.aliases + 1))).toBe('QUERY_TOO_LARGE');
    expect(await code(`{ playbook { ${'version '.repeat(limits.queryTokens)} } }`)).toBe('QUERY_TOO_LARGE');
    expect(await code('{ visitor { slots { why { losers { ruleId } } } } }')).toBeUndefined();
    const nest = (levels: number) => `{ ${'a { '.repeat(levels)} b ${'} '.repeat(levels)} }`;
    expect(await code(nest(limits.queryDepth))).toBe('QUERY_TOO_LARGE');
    expect(await code(nest(limits.queryDepth - 1))).toBe('BAD_REQUEST');
  });
  it('is refused when aliases hide in fragments', async () => {
    const fields = Array.from({ length: 8 }, (_, i) => `a${i}: version`).join(' ');
    const { errors } = await usher.query(
      `{ x: playbook { ...F } y: playbook { ...F } } fragment F on PlaybookInfo { ${fields} }`,
    );
    expect(errors?.[0]?.extensions?.code).toBe('QUERY_TOO_LARGE');
  });
});

describe('an event that cannot be kept', () => {
  it('is refused with the nearest known type', async () => {
    const { error } = await track({ type: 'product_veiwed', properties: {} });
    expect(error).toMatchObject({ code: 'EVENT_TYPE_UNKNOWN', path: ['type'] });
    expect(error?.message).toContain('did you mean "product_viewed"?');
  });
  it('is refused with the path of the property that does not fit the tracking plan', async () => {
    expect((await track({ type: 'product_viewed', properties: { productId: 7 } })).error).toMatchObject({
      code: 'EVENT_INVALID',
      path: ['properties', 'productId'],
    });
    expect(await codeOf({ type: 'product_viewed', properties: {} })).toBe('EVENT_INVALID');
    expect(await codeOf({ type: 'product_viewed', properties: [] })).toBe('EVENT_INVALID');
    expect(await codeOf({ type: 'product_viewed', properties: 'p_001' })).toBe('EVENT_INVALID');
  });
  it.each([
    ['a key __proto__', '{"__proto__": {"polluted": true}}', '__proto__'],
    ['a key __proto__ further in', '{"a": [{"__proto__": {"polluted": true}}]}', 'a.0.__proto__'],
    ['2^53 + 1', '{"n": 9007199254740993}', 'n: is a whole number beyond 2^53'],
    ['a number beyond all doubles', '{"n": 1e999}', 'n: is not a number'],
    ['half a surrogate pair', '{"s": "\\ud800"}', 's: has half of a surrogate pair'],
    ['a key with half a surrogate pair', '{"\\udc00": 1}', 'is not a name'],
    ['10,000 levels', `{"deep": ${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'nested deeper'],
  ])('is refused, though its schema takes any property: %s', async (_name, properties, message) => {
    const { status, body } = await post(withProperties(properties));
    expect(status).toBe(200);
    const { error } = body.data.trackEvent.outcome;
    expect(error.code).toBe('EVENT_INVALID');
    expect(error.message).toContain(message);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
  it('is refused when __proto__ or NaN stands in the document itself', async () => {
    const inline = (value: string) =>
      usher.query(
        `mutation { trackEvent(input: { type: "anything", properties: ${value} }) { outcome { error { code } } } }`,
      );
    expect((await inline('{ productId: "p", __proto__: { polluted: true } }')).data.trackEvent.outcome.error.code).toBe(
      'EVENT_INVALID',
    );
    expect((await inline('{ productId: "p", n: NaN }')).errors?.[0]?.extensions?.code).toBe('BAD_REQUEST');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
  it('takes nesting up to the limit and not beyond', async () => {
    const nested = (levels: number) => ({
      type: 'anything',
      properties: { deep: JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) },
    });
    expect(await codeOf(nested(propertyLimits.depth - 1))).toBe('none');
    expect(await codeOf(nested(propertyLimits.depth))).toBe('EVENT_INVALID');
  });
  it('is refused by size at 32 kB of UTF-8, not of characters', async () => {
    const many = (count: number) => ({
      type: 'anything',
      properties: { list: Array.from({ length: count }, () => 'é'.repeat(1_000)) },
    });
    expect(await codeOf(many(15))).toBe('none');
    expect(await codeOf(many(16))).toBe('EVENT_TOO_LARGE');
  });
  it('is refused when its times are not times, too old, and not when they lie in the future', async () => {
    const at = (occurredAt: string, sentAt?: string) =>
      codeOf({ ...viewed, occurredAt, ...(sentAt === undefined ? {} : { sentAt }) });
    expect(await at('yesterday')).toBe('TIME_INVALID');
    expect(await at('2026-02-30T10:00:00Z')).toBe('TIME_INVALID');
    expect(await at('2026-11-23T20:15:00')).toBe('TIME_INVALID');
    expect(await at(new Date().toISOString(), 'now')).toBe('TIME_INVALID');
    expect(await at(new Date(Date.now() - 23.9 * 3_600_000).toISOString())).toBe('none');
    expect(await at(new Date(Date.now() - 24.1 * 3_600_000).toISOString())).toBe('TOO_OLD');
    expect(await at(new Date(Date.now() + 3_600_000).toISOString())).toBe('none');
    // The client's clock is two days behind: what it calls an hour ago was an hour ago.
    const clock = Date.now() - 48 * 3_600_000;
    expect(await at(new Date(clock - 3_600_000).toISOString(), new Date(clock).toISOString())).toBe('none');
  });
  it('is refused when its id is no UUID or its numbers are no numbers', async () => {
    expect(await codeOf({ ...viewed, id: 'seven' })).toBe('EVENT_ID_INVALID');
    expect(await codeOf({ ...viewed, source: 's' })).toBe('SEQUENCE_INVALID');
    expect(await codeOf({ ...viewed, sequence: 1 })).toBe('SEQUENCE_INVALID');
    expect(await codeOf({ ...viewed, source: 's', sequence: 0 })).toBe('SEQUENCE_INVALID');
    expect(await codeOf({ ...viewed, source: 'x'.repeat(limits.sourceChars + 1), sequence: 1 })).toBe(
      'SEQUENCE_INVALID',
    );
    const skipped = Array.from({ length: limits.skipped + 1 }, (_, i) => i + 1);
    expect(await codeOf({ ...viewed, source: 's', sequence: 99, skipped })).toBe('SEQUENCE_INVALID');
    expect(await codeOf({ ...viewed, source: 's', sequence: 99, skipped: skipped.slice(1) })).toBe('none');
  });
  it('is refused with EVENT_SHAPE when both or neither form came', async () => {
    const event = { productViewed: { productId: 'p_001' } };
    expect(await codeOf({ ...viewed, event })).toBe('EVENT_SHAPE');
    expect(await codeOf({ event, properties: {} })).toBe('EVENT_SHAPE');
    expect(await codeOf({})).toBe('EVENT_SHAPE');
    expect(await codeOf({ event })).toBe('none');
  });
});

describe('a batch', () => {
  const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  it('keeps 499 good events when one is bad', async () => {
    const events = Array.from({ length: 500 }, (_, i) => ({ ...viewed, id: i === 250 ? 'bad' : id(i) }));
    const { data } = await usher.query(batch, { input: { events } });
    expect(data.trackEvents).toMatchObject({ accepted: 499, refused: 1 });
    expect(data.trackEvents.outcomes[250].error.code).toBe('EVENT_ID_INVALID');
    expect(data.trackEvents.outcomes[251].status).toBe('ACCEPTED');
  });
  it('is refused with 501 events, none of which is kept', async () => {
    const before = await folded('dev:many');
    const events = Array.from({ length: 501 }, (_, i) => ({ ...viewed, id: id(1_000 + i) }));
    const { errors } = await usher.query(batch, { input: { events } }, 'dev:many');
    expect(errors?.[0]?.extensions?.code).toBe('BATCH_TOO_LARGE');
    expect(await folded('dev:many')).toBe(before);
  });
  it('counts an id that comes twice once', async () => {
    const events = [1, 1, 2].map((n) => ({ ...viewed, id: id(5_000 + n) }));
    const { data } = await usher.query(batch, { input: { events } }, 'dev:twice');
    expect(data.trackEvents.accepted).toBe(3);
    expect(await folded('dev:twice')).toBe(2);
  });
  async function folded(name: string): Promise<number> {
    await usher.caughtUp();
    const { data } = await usher.query('{ visitor { counts { folded } } }', {}, name);
    return data.visitor?.counts.folded ?? 0;
  }
});
