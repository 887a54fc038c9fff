import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GraphQLError } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createSchema, createYoga } from 'graphql-yoga';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ContentUpdate, UsherClientError } from '../../src/sdk/types.ts';
import { createUsher, type Usher } from '../../src/sdk/usher.ts';

const typeDefs = `
  scalar JSON scalar Cursor
  input PageContextInput { url: String path: String title: String referrer: String page: String locale: String timeZone: String
    viewport: String }
  type Query { ok: Boolean }
  type Subscription { contentUpdates(names: [String!], after: Cursor, context: PageContextInput): ContentUpdate! }
  type ContentUpdate { kind: String! cursor: Cursor! slots: [PersonalizedSlot!]! cause: UpdateCause }
  type PersonalizedSlot { name: String! content: Content! source: String! version: Int! cursor: Cursor! decidedAt: String
    expiresAt: String stale: Boolean! why: Why! }
  type Content { id: ID! type: String! data: JSON! }
  type Why { sentence: String! ruleId: ID playbookVersion: String! eventId: ID facts: [Fact!]! losers: [Loser!]! }
  type Fact { name: String! value: JSON }
  type Loser { ruleId: ID! contentId: ID! reason: String! }
  type UpdateCause { eventId: ID eventType: String! at: String! rules: [ID!]! stages: [Stage!]! }
  type Stage { name: String! ms: Float! }
`;

interface Started {
  readonly after: string | null;
  readonly names: readonly string[] | null;
  readonly context: { readonly page?: string } | null;
}
type Source = (started: Started) => AsyncGenerator<{ contentUpdates: object }>;

const update = (cursor: string, kind = 'CHANGE') => ({ contentUpdates: { kind, cursor, slots: [], cause: null } });

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function schemaOf(source: Source) {
  const subscribe = (_: unknown, { after = null, names = null, context = null }: Partial<Started>) =>
    source({ after, names, context });
  return createSchema({ typeDefs, resolvers: { Subscription: { contentUpdates: { subscribe } } } });
}

/** A real graphql-ws server; `connect` may refuse a connection by its authorization. */
async function webSocketServer(
  source: Source,
  connect: (authorization: unknown, socket: WebSocket) => boolean = () => true,
) {
  const schema = schemaOf(source);
  const http = createServer((_, response) => void response.writeHead(404).end());
  const sockets = new WebSocketServer({ server: http, path: '/graphql' });
  const served = useServer(
    { schema, onConnect: ({ connectionParams, extra }) => connect(connectionParams?.['authorization'], extra.socket) },
    sockets,
  );
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  cleanups.push(async () => {
    await served.dispose();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, sockets };
}

/** What arrives, to be awaited one by one. */
function inbox<T>() {
  const arrived: T[] = [];
  const waiting: ((value: T) => void)[] = [];
  return {
    put: (value: T) => {
      const next = waiting.shift();
      if (next === undefined) arrived.push(value);
      else next(value);
    },
    next: () =>
      arrived.length > 0 ? Promise.resolve(arrived.shift()!) : new Promise<T>((resolve) => waiting.push(resolve)),
    size: () => arrived.length,
  };
}

function client(url: string, token: string | (() => string)): Usher {
  const usher = createUsher({ url, token });
  cleanups.push(() => usher.close());
  return usher;
}

describe('subscribe', () => {
  it('brings the snapshot and then every change over one WebSocket', async () => {
    const authorizations: unknown[] = [];
    const { url, sockets } = await webSocketServer(
      async function* ({ names }) {
        yield update(`snapshot of ${names}`, 'SNAPSHOT');
        yield update('change');
        await new Promise(() => {});
      },
      (authorization) => authorizations.push(authorization) > 0,
    );
    const usher = client(url, 'dev:alice');
    const a = inbox<ContentUpdate>();
    const b = inbox<ContentUpdate>();
    usher.subscribe(['home_hero'], a.put);
    usher.subscribe(['cart_banner'], b.put);
    expect(await a.next()).toMatchObject({ kind: 'SNAPSHOT', cursor: 'snapshot of home_hero' });
    expect(await a.next()).toMatchObject({ kind: 'CHANGE', cursor: 'change' });
    expect(await b.next()).toMatchObject({ kind: 'SNAPSHOT', cursor: 'snapshot of cart_banner' });
    expect(authorizations).toEqual(['Bearer dev:alice']);
    expect(sockets.clients.size).toBe(1);
  });

  it('comes back after a lost connection and resumes after the newest cursor', async () => {
    const started = inbox<Started>();
    const { url, sockets } = await webSocketServer(async function* (args) {
      started.put(args);
      yield update(args.after === null ? 'c1' : `after ${args.after}`);
      await new Promise(() => {});
    });
    const updates = inbox<ContentUpdate>();
    const connected: boolean[] = [];
    client(url, 'dev:alice').subscribe(null, updates.put, { onConnected: (now) => connected.push(now) });
    expect((await updates.next()).cursor).toBe('c1');
    for (const socket of sockets.clients) socket.terminate();
    expect((await updates.next()).cursor).toBe('after c1');
    expect([(await started.next()).after, (await started.next()).after]).toEqual([null, 'c1']);
    expect(connected).toEqual([true, false, true]);
  });

  it('says on which page it is, and begins anew on another one: what is shown may depend on it', async () => {
    const started = inbox<Started>();
    const { url } = await webSocketServer(async function* ({ after, names, context }) {
      started.put({ after, names, context });
      yield update(`snapshot for ${context?.page}`, 'SNAPSHOT');
      await new Promise(() => {});
    });
    const usher = createUsher({ url, token: 'dev:alice', page: 'home', onError: () => {} });
    cleanups.push(() => usher.close());
    const updates = inbox<ContentUpdate>();
    const stop = usher.subscribe(['notice'], updates.put, { context: { timeZone: 'Asia/Tokyo' } });
    expect((await updates.next()).cursor).toBe('snapshot for home');
    expect((await started.next()).context).toEqual({ page: 'home', timeZone: 'Asia/Tokyo' });

    void usher.pageViewed('cart');
    expect((await updates.next()).cursor).toBe('snapshot for cart');
    expect(await started.next()).toEqual({
      names: ['notice'],
      after: null,
      context: { page: 'cart', timeZone: 'Asia/Tokyo' },
    });

    void usher.pageViewed('cart');
    stop();
    void usher.pageViewed('home');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(started.size()).toBe(0);
  });

  it('asks for another token when the server closes with 4403', async () => {
    const { url } = await webSocketServer(
      async function* () {
        yield update('c1');
        await new Promise(() => {});
      },
      (authorization, socket) => {
        if (authorization === 'Bearer t2') return true;
        socket.close(4403, 'Forbidden');
        return true;
      },
    );
    let asked = 0;
    const updates = inbox<ContentUpdate>();
    client(url, () => `t${++asked}`).subscribe(null, updates.put);
    expect((await updates.next()).cursor).toBe('c1');
    expect(asked).toBe(2);
  });

  it('asks for another token when the stream says that its visitor has become a user, and begins anew with it', async () => {
    const tokens: unknown[] = [];
    const started = inbox<Started>();
    const superseded = new GraphQLError('merged', { extensions: { code: 'TOKEN_SUPERSEDED', retryable: false } });
    const { url } = await webSocketServer(
      async function* (each) {
        started.put(each);
        yield update(`of ${tokens.at(-1)}`, 'SNAPSHOT');
        if (tokens.length > 1) await new Promise(() => {});
        yield { contentUpdates: superseded };
      },
      (authorization) => tokens.push(authorization) > 0,
    );
    let asked = 0;
    const updates = inbox<ContentUpdate>();
    const errors = inbox<UsherClientError>();
    client(url, () => `t${++asked}`).subscribe(null, updates.put, { onError: errors.put });
    expect((await updates.next()).cursor).toBe('of Bearer t1');
    expect((await updates.next()).cursor).toBe('of Bearer t2');
    expect(tokens).toEqual(['Bearer t1', 'Bearer t2']);
    expect(errors.size()).toBe(0);
  });

  it('gives up with an error, and never connects again, when a fixed token is refused with 4401', async () => {
    let connections = 0;
    const { url } = await webSocketServer(
      async function* () {
        yield update('never');
      },
      (_, socket) => {
        connections++;
        socket.close(4401, 'Unauthorized');
        return true;
      },
    );
    const errors = inbox<UsherClientError>();
    client(url, 'forged').subscribe(null, () => {}, { onError: errors.put });
    expect(await errors.next()).toMatchObject({ code: 'TOKEN_INVALID', retryable: false });
    // A second subscription would try anew; that it does shows the first one is over and left no timer of its own.
    expect(connections).toBe(1);
  });

  it('closes the WebSocket when nobody listens any more', async () => {
    const { url, sockets } = await webSocketServer(async function* () {
      yield update('c1');
      await new Promise(() => {});
    });
    const updates = inbox<ContentUpdate>();
    const closed = new Promise<number>((resolve) => {
      sockets.on('connection', (socket) => socket.on('close', resolve));
    });
    const stop = client(url, 'dev:alice').subscribe(null, updates.put);
    await updates.next();
    stop();
    expect(await closed).toBe(1000);
  });

  it('goes by Server-Sent Events where no WebSocket opens, and resumes there too', async () => {
    let drop = () => {};
    const yoga = createYoga({
      logging: false,
      schema: schemaOf(async function* (args) {
        yield update(args.after === null ? 'c1' : `after ${args.after}`);
        await new Promise(() => {});
      }),
    });
    const http = createServer((request, response) => {
      drop = () => request.socket.destroy();
      void yoga(request, response);
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(resolve));
    });
    const updates = inbox<ContentUpdate>();
    client(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, 'dev:alice').subscribe(null, updates.put);
    expect((await updates.next()).cursor).toBe('c1');
    drop();
    expect((await updates.next()).cursor).toBe('after c1');
  });
});
