import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityToken } from '../../src/sdk/server.ts';
import type { UsherClientError, UsherOptions } from '../../src/sdk/types.ts';
import { createUsher } from '../../src/sdk/usher.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { type Call, scriptedServer } from './scriptedServer.ts';

const inAMonth = () => new Date(Date.now() + 30 * 24 * 3_600_000).toISOString();

function memoryStorage() {
  const values = new Map<string, string>();
  return {
    values,
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => void values.set(key, value),
    removeItem: (key: string) => void values.delete(key),
  };
}
const grant = (call: Call, token: string, visitorId: string) =>
  call.answer({ data: { startVisit: { token, visitorId, expiresAt: inAMonth() } } });
const becomes = (call: Call, token: string, visitorId: string) =>
  call.answer({ data: { identify: { visit: { token, visitorId, expiresAt: inAMonth() }, error: null } } });
/** A page over the server, whose visit has begun: an event of it is recorded. */
async function visiting(server: Awaited<ReturnType<typeof scriptedServer>>, options: UsherOptions = {}) {
  const storage = memoryStorage();
  const usher = createUsher({ url: server.url, storage, ...options });
  const tracked = usher.track('page_viewed');
  grant(await server.next(), 'anonymous', 'v1');
  const first = await server.next();
  first.accept();
  await tracked;
  return { usher, storage, first: first.events[0]! };
}

describe('identify', () => {
  it('sends what was tracked before as the visitor of then, and what comes after as the user', async () => {
    await using server = await scriptedServer();
    const { usher, storage, first } = await visiting(server);
    const before = usher.track('product_viewed', { productId: 'before' });
    const waiting = await server.next();
    // Under way, and one that waits behind it.
    const behind = usher.track('product_viewed', { productId: 'behind' });
    const identified = usher.identify('signed');
    const call = await server.next();
    expect([call.query, call.token, call.variables.input]).toEqual([
      expect.stringContaining('identify'),
      'Bearer anonymous',
      { token: 'signed' },
    ]);
    becomes(call, 'known', 'u:anna');
    await identified;
    const after = usher.track('product_viewed', { productId: 'after' });
    waiting.cut();
    const again = await server.next();
    expect(again.token).toBe('Bearer anonymous');
    expect(again.events.map(({ source, sequence, properties }) => [source, sequence, properties['productId']])).toEqual(
      [
        [first.source, 2, 'before'],
        [first.source, 3, 'behind'],
      ],
    );
    again.accept();
    const last = await server.next();
    expect(last.token).toBe('Bearer known');
    expect(last.events).toMatchObject([{ sequence: 1, properties: { productId: 'after' } }]);
    expect(last.events[0]!.source).not.toBe(first.source);
    last.accept();
    for (const outcome of [before, behind, after]) expect((await outcome).status).toBe('ACCEPTED');
    expect([...storage.values.values()].map((text) => JSON.parse(text))).toMatchObject([
      { token: 'known', visitorId: 'u:anna' },
    ]);
    usher.close();
  });

  it('changes nothing where the visitor is that user already', async () => {
    await using server = await scriptedServer();
    const { usher, first } = await visiting(server);
    const identified = usher.identify('signed');
    becomes(await server.next(), 'newer', 'v1');
    await identified;
    const tracked = usher.track('page_viewed');
    const call = await server.next();
    expect(call.token).toBe('Bearer newer');
    expect(call.events).toMatchObject([{ source: first.source, sequence: 2 }]);
    call.accept();
    await tracked;
    usher.close();
  });

  it('rejects with the code of a token that is not taken, and the visitor stays who it was', async () => {
    await using server = await scriptedServer();
    const { usher, first } = await visiting(server);
    const identified = usher.identify('forged');
    const error = { code: 'IDENTITY_TOKEN_INVALID', message: 'm', hint: 'h', retryable: false, retryAfterMs: null };
    (await server.next()).answer({ data: { identify: { visit: null, error } } });
    await expect(identified).rejects.toMatchObject({ code: 'IDENTITY_TOKEN_INVALID', hint: 'h', retryable: false });
    const tracked = usher.track('page_viewed');
    const call = await server.next();
    expect([call.token, call.events[0]!.source]).toEqual(['Bearer anonymous', first.source]);
    call.accept();
    await tracked;
    usher.close();
  });
});

describe('reset', () => {
  it('sends the queue of the one who leaves first, as theirs, then is a new visitor', async () => {
    await using server = await scriptedServer();
    const { usher, storage, first } = await visiting(server);
    const theirs = usher.track('product_viewed', { productId: 'theirs' });
    usher.reset();
    expect(storage.values.size).toBe(0);
    const next = usher.track('page_viewed');
    const calls = [await server.next(), await server.next()];
    const start = calls.find(({ query }) => query.includes('startVisit'))!;
    const old = calls.find(({ events }) => events.length > 0)!;
    expect(start.variables.input).toBeNull();
    expect([old.token, old.events.map(({ source, sequence }) => [source, sequence])]).toEqual([
      'Bearer anonymous',
      [[first.source, 2]],
    ]);
    old.accept();
    grant(start, 'fresh', 'v2');
    const call = await server.next();
    expect(call.token).toBe('Bearer fresh');
    expect(call.events).toMatchObject([{ type: 'page_viewed', sequence: 1 }]);
    call.accept();
    expect([(await theirs).status, (await next).status]).toEqual(['ACCEPTED', 'ACCEPTED']);
    usher.close();
  });

  it.each<[string, () => UsherOptions]>([
    ['token', () => ({ token: 'page 1' })],
    [
      'token function',
      () => {
        let asked = 0;
        return { token: () => `page ${++asked}` };
      },
    ],
  ])('goes back to the page’s own %s, asked anew', async (name, options) => {
    await using server = await scriptedServer();
    const usher = createUsher({ url: server.url, ...options() });
    const tokens: unknown[] = [];
    const track = async () => {
      const tracked = usher.track('page_viewed');
      const call = await server.next();
      tokens.push(call.token);
      call.accept();
      await tracked;
    };
    await track();
    const identified = usher.identify('signed');
    becomes(await server.next(), 'known', 'u:anna');
    await identified;
    await track();
    usher.reset();
    await track();
    expect(tokens).toEqual(['Bearer page 1', 'Bearer known', name === 'token' ? 'Bearer page 1' : 'Bearer page 2']);
    usher.close();
  });

  it('gives up what the one who left can no longer send, rather than calling it the next one’s', async () => {
    await using server = await scriptedServer();
    const errors: UsherClientError[] = [];
    const { usher } = await visiting(server, { onError: (error) => errors.push(error) });
    const theirs = usher.track('product_viewed', { productId: 'theirs' });
    usher.reset();
    const calls = [await server.next(), await server.next()];
    grant(calls.find(({ query }) => query.includes('startVisit'))!, 'fresh', 'v2');
    calls
      .find(({ events }) => events.length > 0)!
      .answer({ data: null, errors: [{ message: 'expired', extensions: { code: 'TOKEN_EXPIRED' } }] }, 401);
    expect(await theirs).toMatchObject({ status: 'REFUSED', error: { code: 'TOKEN_EXPIRED' } });
    expect(errors).toHaveLength(1);
    usher.close();
  });
});

describe('a token that is superseded', () => {
  const shown = (name: string) => ({ data: { personalizedSlots: [{ name }] } });
  const merged = { errors: [{ message: 'merged', extensions: { code: 'TOKEN_SUPERSEDED', retryable: false } }] };

  it('is put away for a new visit, with which the slots are asked for again', async () => {
    await using server = await scriptedServer();
    const { usher } = await visiting(server);
    const slots = usher.slots();
    (await server.next()).answer({ ...shown('fallback'), ...merged });
    const start = await server.next();
    expect(start.variables.input).toBeNull();
    grant(start, 'fresh', 'v2');
    const again = await server.next();
    expect(again.token).toBe('Bearer fresh');
    again.answer(shown('mine'));
    expect(await slots).toEqual([{ name: 'mine' }]);
    usher.close();
  });

  it('is put away for the visit that another tab has kept, and what waits is still sent as the visitor of before', async () => {
    await using server = await scriptedServer();
    const { usher, storage, first } = await visiting(server);
    const waiting = usher.track('product_viewed', { productId: 'p' });
    (await server.next()).cut();
    const [key] = storage.values.keys();
    storage.setItem(key!, JSON.stringify({ token: 'known', visitorId: 'u:anna', expiresAt: Date.now() + 1e9 }));
    const slots = usher.slots();
    const read = await server.next();
    expect(read.token).toBe('Bearer known');
    read.answer(shown('hers'));
    expect(await slots).toEqual([{ name: 'hers' }]);
    const late = await server.next();
    expect([late.token, late.events[0]!.source]).toEqual(['Bearer anonymous', first.source]);
    late.accept();
    await waiting;
    usher.close();
  });
});

describe('over a running Usher', () => {
  const secret = 'what the backend signs with, 32 letters or more';
  let server: TestUsher;
  beforeAll(async () => {
    server = await startTestUsher({ identitySecrets: [secret] });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it.each<[string, UsherOptions]>([
    ['with a visit of its own', { storage: memoryStorage() }],
    ['with a token of the page', { token: 'dev:page' }],
    ['with a token function', { token: async () => 'dev:asked' }],
  ])('%s a page is the user after identify, and no other user', async (_name, options) => {
    const usher = createUsher({ url: server.url, ...options });
    const whoAmI = async () => {
      await usher.track('page_viewed');
      await server.caughtUp();
      return (await usher.visitor())!.id;
    };
    const before = await whoAmI();
    await usher.identify(identityToken({ userId: `user of ${before}`, secret }));
    expect(await whoAmI()).toBe(`u:user of ${before}`);
    await expect(usher.identify(identityToken({ userId: 'somebody else', secret }))).rejects.toMatchObject({
      code: 'IDENTITY_KNOWN_USER',
    });
    usher.close();
  });

  it('a page without a token is somebody new after reset', async () => {
    const usher = createUsher({ url: server.url, storage: memoryStorage() });
    const ids: string[] = [];
    for (const act of [
      () => {},
      () => usher.identify(identityToken({ userId: 'leaver', secret })),
      () => usher.reset(),
    ]) {
      await act();
      await usher.track('page_viewed');
      await server.caughtUp();
      ids.push((await usher.visitor())!.id);
    }
    expect(ids).toEqual([expect.stringMatching(/^v_/), 'u:leaver', expect.stringMatching(/^v_/)]);
    expect(ids[2]).not.toBe(ids[0]);
    usher.close();
  });

  it('a subscription begins anew as the user, and again as the next visitor', async () => {
    const usher = createUsher({ url: server.url, storage: memoryStorage() });
    const kinds: string[] = [];
    let wake = () => {};
    const count = async (n: number) => {
      while (kinds.length < n) await new Promise<void>((resolve) => (wake = resolve));
    };
    usher.subscribe(['home_hero'], ({ kind }) => {
      kinds.push(kind);
      wake();
    });
    await count(1);
    await usher.identify(identityToken({ userId: 'subscriber', secret }));
    await count(2);
    usher.reset();
    await count(3);
    expect(kinds).toEqual(['SNAPSHOT', 'SNAPSHOT', 'SNAPSHOT']);
    usher.close();
  });

  it('consent is told through the queue, in its order', async () => {
    const usher = createUsher({ url: server.url, storage: memoryStorage() });
    void usher.setConsent('marketing', true);
    expect((await usher.setConsent('marketing', false)).status).toBe('ACCEPTED');
    await server.caughtUp();
    const { id } = (await usher.visitor())!;
    const { data } = await server.query(`{ visitor(ref: { visitorId: "${id}" }) { consent } }`, {}, server.devKey!);
    expect(data.visitor.consent.marketing).toBe(false);
    usher.close();
  });
});
