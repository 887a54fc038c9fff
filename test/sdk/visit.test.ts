import { describe, expect, it } from 'vitest';
import { createUsher } from '../../src/sdk/usher.ts';
import { type Call, scriptedServer } from './scriptedServer.ts';

const monthMs = 30 * 24 * 3_600_000;

function memoryStorage() {
  const values = new Map<string, string>();
  return {
    getItem: (key: string) => values.get(key) ?? null,
    setItem: (key: string, value: string) => void values.set(key, value),
    removeItem: (key: string) => void values.delete(key),
  };
}

function grant(call: Call, token: string, visitorId: string, lifeMs = monthMs) {
  call.answer({ data: { startVisit: { token, visitorId, expiresAt: new Date(Date.now() + lifeMs).toISOString() } } });
}
const expired = { data: null, errors: [{ message: 'expired', extensions: { code: 'TOKEN_EXPIRED' } }] };

describe('the visit token', () => {
  it('is asked for once, kept, and used by the next page', async () => {
    await using server = await scriptedServer();
    const storage = memoryStorage();
    const first = createUsher({ url: server.url, storage });
    const tracked = first.track('page_viewed');
    const start = await server.next();
    expect(start.query).toContain('startVisit');
    expect(start.variables.input).toBeNull();
    grant(start, 't1', 'v1');
    const call = await server.next();
    expect(call.token).toBe('Bearer t1');
    call.accept();
    await tracked;
    first.close();

    const second = createUsher({ url: server.url, storage });
    const again = second.track('page_viewed');
    const next = await server.next();
    expect(next.token).toBe('Bearer t1');
    next.accept();
    await again;
    second.close();
  });

  it('is renewed before it ends, for the same visitor', async () => {
    await using server = await scriptedServer();
    const usher = createUsher({ url: server.url, storage: memoryStorage() });
    const first = usher.track('page_viewed');
    grant(await server.next(), 't1', 'v1', 60_000);
    const renewal = server.next();
    (await renewal).accept();
    await first;
    const second = usher.track('page_viewed');
    const renew = await server.next();
    expect(renew.variables.input).toEqual({ token: 't1' });
    grant(renew, 't2', 'v1');
    const call = await server.next();
    expect(call.token).toBe('Bearer t2');
    expect(call.events[0]!.sequence).toBe(2);
    call.accept();
    await second;
    usher.close();
  });

  it('is renewed after TOKEN_EXPIRED, and the events go out under the same numbers', async () => {
    await using server = await scriptedServer();
    const usher = createUsher({ url: server.url, storage: memoryStorage() });
    const tracked = usher.track('page_viewed');
    grant(await server.next(), 't1', 'v1');
    const first = await server.next();
    first.answer(expired, 401);
    grant(await server.next(), 't2', 'v1');
    const second = await server.next();
    expect(second.token).toBe('Bearer t2');
    expect(second.events).toEqual(first.events);
    second.accept();
    expect((await tracked).status).toBe('ACCEPTED');
    usher.close();
  });

  it('becomes a new visitor, with a source of its own from 1, when it cannot be renewed', async () => {
    await using server = await scriptedServer();
    const usher = createUsher({ url: server.url, storage: memoryStorage() });
    const one = usher.track('page_viewed');
    grant(await server.next(), 't1', 'v1');
    const first = await server.next();
    first.accept();
    await one;
    const two = usher.track('page_viewed');
    (await server.next()).answer(expired, 401);
    (await server.next()).answer(
      { data: null, errors: [{ message: 'forged', extensions: { code: 'TOKEN_INVALID' } }] },
      401,
    );
    const fresh = await server.next();
    expect(fresh.variables.input).toBeNull();
    grant(fresh, 't2', 'v2');
    const last = await server.next();
    expect(last.events[0]!.sequence).toBe(1);
    expect(last.events[0]!.source).not.toBe(first.events[0]!.source);
    last.accept();
    expect((await two).status).toBe('ACCEPTED');
    usher.close();
  });

  it('comes from a function, which is asked again when the server refuses what it gave', async () => {
    await using server = await scriptedServer();
    let asked = 0;
    const usher = createUsher({ url: server.url, token: async () => `t${++asked}` });
    const tracked = usher.track('page_viewed');
    (await server.next()).answer(expired, 401);
    const second = await server.next();
    expect(second.token).toBe('Bearer t2');
    second.accept();
    await tracked;
    usher.close();
  });
});
