import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsherError } from '../../src/errors.ts';
import { limits } from '../../src/gateway/limits.ts';
import { bound } from '../support/bound.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { rawSocket, stream, subscribe } from './client.ts';

const secret = 'a secret of the tests, of 32 letters or more';
const options = { secret, corsOrigins: ['https://shop.example'] };
let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher(options);
});
afterAll(() => usher[Symbol.asyncDispose]());

const updates = 'subscription { contentUpdates { kind } }';
const init = (token: string) => ({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
const visitToken = (expiresInS: number) =>
  new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer('usher')
    .setSubject('v_test')
    .setExpirationTime(Math.floor(Date.now() / 1000) + expiresInS)
    .sign(new TextEncoder().encode(secret));

describe('a socket', () => {
  it('closes with 4401 when its token is wrong, which clients do not retry', async () => {
    for (const token of ['nonsense', 'usk_wrong_wrong_wrong_wrong', 'dev:', `${await visitToken(60)}x`]) {
      await using socket = rawSocket(usher);
      await socket.send(init(token));
      expect(await socket.ended()).toBe('closed 4401 TOKEN_INVALID');
    }
  });
  it('closes with 4403 when its token has expired, and when it expires', async () => {
    await using late = rawSocket(usher);
    await late.send(init(await visitToken(-5)));
    expect(await late.ended()).toBe('closed 4403 TOKEN_EXPIRED');
    await using soon = rawSocket(usher);
    await soon.send(init(await visitToken(1)));
    expect((await soon.next())['type']).toBe('connection_ack');
    expect(await soon.ended()).toBe('closed 4403 TOKEN_EXPIRED');
  });
  it('may be opened without a token, and then says VISIT_REQUIRED to what needs one', async () => {
    await using socket = rawSocket(usher);
    await socket.send({ type: 'connection_init' });
    await socket.next();
    await socket.send({ type: 'subscribe', id: '1', payload: { query: updates } });
    expect(JSON.stringify(await socket.next())).toContain('VISIT_REQUIRED');
  });
  it('closes with 4401 before connectionInit, 4429 at a second one, 4400 at nonsense, 4408 without one', async () => {
    await using early = rawSocket(usher);
    await early.send({ type: 'subscribe', id: '1', payload: { query: updates } });
    expect(await early.ended()).toMatch(/^closed 4401/);
    await using twice = rawSocket(usher);
    await twice.send(init('dev:alice'));
    await twice.send(init('dev:alice'));
    expect(await twice.ended()).toMatch(/^closed 4429/);
    await using nonsense = rawSocket(usher);
    await nonsense.send('{');
    expect(await nonsense.ended()).toMatch(/^closed 4400/);
    await using silent = rawSocket(usher);
    expect(await silent.ended()).toMatch(/^closed 4408/);
  });
  it('closes with 1009 at a message larger than the limit', async () => {
    await using socket = rawSocket(usher);
    await socket.send(init('dev:alice'));
    await socket.next();
    await socket.send({ type: 'ping', payload: { pad: 'x'.repeat(limits.messageBytes) } });
    expect(await socket.ended()).toMatch(/^closed 1009/);
  });
  it('takes 20 subscriptions and refuses the next, without disturbing the others', async () => {
    await using socket = rawSocket(usher);
    await socket.send(init('dev:alice'));
    await socket.next();
    const ids = Array.from({ length: limits.subscriptions + 1 }, (_, i) => String(i));
    for (const id of ids) await socket.send({ type: 'subscribe', id, payload: { query: updates } });
    const answers = new Map<unknown, string>();
    while (answers.size < ids.length) {
      const message = await socket.next();
      if (message['type'] !== 'complete') answers.set(message['id'], JSON.stringify(message));
    }
    const refused = [...answers].filter(([, text]) => text.includes('TOO_MANY_SUBSCRIPTIONS'));
    expect(refused.map(([id]) => id)).toEqual(['20']);
    await socket.send({ type: 'complete', id: '0' });
    await socket.send({ type: 'subscribe', id: 'again', payload: { query: updates } });
    expect(JSON.stringify(await socket.next())).toContain('SNAPSHOT');
  });
  it('runs queries and mutations too, with the same limits', async () => {
    await using socket = rawSocket(usher);
    await socket.send(init('dev:socket'));
    await socket.next();
    const query = 'mutation { trackEvent(input: { type: "page_viewed" }) { outcome { status } } }';
    await socket.send({ type: 'subscribe', id: '1', payload: { query } });
    expect(await socket.next()).toMatchObject({
      payload: { data: { trackEvent: { outcome: { status: 'ACCEPTED' } } } },
    });
    await socket.next();
    await socket.send({
      type: 'subscribe',
      id: '2',
      payload: { query: `{ ${'a { '.repeat(9)} b ${'} '.repeat(9)} }` },
    });
    expect(JSON.stringify(await socket.next())).toContain('QUERY_TOO_LARGE');
  });
  it('is refused to pages of other origins, and given to those of the list', async () => {
    await using foreign = rawSocket(usher, { origin: 'https://evil.example' });
    expect(await foreign.ended()).toContain('403');
    await using listed = rawSocket(usher, { origin: 'https://shop.example' });
    await listed.send(init('dev:alice'));
    expect((await listed.next())['type']).toBe('connection_ack');
  });
  it('closes with 1012 when the process stops, after complete', async () => {
    await using own = await startTestUsher();
    await using socket = rawSocket(own);
    await socket.send(init('dev:alice'));
    await socket.next();
    await socket.send({ type: 'subscribe', id: '1', payload: { query: updates } });
    await socket.next();
    await own.stop();
    expect(await socket.next()).toEqual({ id: '1', type: 'complete' });
    expect(await socket.ended()).toMatch(/^closed 1012/);
  });
});

describe('a stream of server-sent events', () => {
  it('ends when its token expires', async () => {
    await using feed = stream(usher, updates, await visitToken(1));
    await feed.next();
    expect(await feed.ended()).toBe('complete');
  });
});

describe('a query on a subscription', () => {
  it('answers with the error of the field when the state is not what it must be', async () => {
    const damaged = () => Promise.reject(new UsherError('DATA_DAMAGED', 'a key of another type'));
    await using own = await startTestUsher({}, { wrapStore: (store) => ({ ...bound(store), readSlots: damaged }) });
    await using feed = subscribe(own, updates, 'dev:alice');
    expect((await feed.next()).errors?.[0]?.extensions.code).toBe('DATA_DAMAGED');
  });
  it('begins with fallbacks when the state does not answer', async () => {
    const gone = () => Promise.reject(new Error('gone'));
    await using own = await startTestUsher({}, { wrapStore: (store) => ({ ...bound(store), readSlots: gone }) });
    await using feed = subscribe(own, 'subscription { contentUpdates { slots { source stale } } }', 'dev:alice');
    const { slots } = (await feed.next()).data.contentUpdates;
    for (const slot of slots) expect(slot).toEqual({ source: 'FALLBACK', stale: true });
    expect(slots.length).toBeGreaterThan(0);
  });
});
