import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendFile } from '../../src/gateway/pages.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

let usher: TestUsher;
let production: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher();
  production = await startTestUsher({
    mode: 'production',
    secret: 'a secret of the tests, of 32 letters or more',
    corsOrigins: ['https://shop.example'],
  });
});
afterAll(async () => {
  await usher[Symbol.asyncDispose]();
  await production[Symbol.asyncDispose]();
});

/** fetch would tidy the path up; this sends it as it is. */
function rawGet(url: string, path: string): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    sent.on('error', reject);
    sent.end();
  });
}
const html = { accept: 'text/html,application/xhtml+xml' };

describe('health', () => {
  it('is alive, and ready with a playbook, in JSON', async () => {
    const health = await fetch(`${usher.url}/health`);
    expect([health.status, await health.json()]).toEqual([200, { status: 'alive' }]);
    const ready = await fetch(`${usher.url}/ready`);
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [], degraded: [] }]);
  });
  it('is counted in Prometheus’ words', async () => {
    const event = { type: 'product_viewed', properties: { productId: 'p_001' } };
    const track = 'mutation ($i: TrackEventInput!) { trackEvent(input: $i) { outcome { status } } }';
    await usher.query(track, { i: event }, 'dev:metrics');
    await usher.query(track, { i: { ...event, type: 'nothing' } }, 'dev:metrics');
    await usher.caughtUp();
    const response = await fetch(`${usher.url}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const text = await response.text();
    expect(text).toContain('usher_events_accepted_total{type="product_viewed"} 1');
    expect(text).toContain('usher_events_refused_total{reason="EVENT_TYPE_UNKNOWN"} 1');
    expect(text).toContain('usher_fold_total{what="folded"} 1');
    expect(text.match(/^usher_log_lag\{shard="\d"\} 0$/gm)).toHaveLength(8);
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).not.toContain('dev:metrics');
  });
});

describe('files', () => {
  it('are the playbook’s images, with an ETag and no scripts', async () => {
    const first = await fetch(`${usher.url}/playbook/images/p_017.svg`);
    expect(first.status).toBe(200);
    expect(first.headers.get('content-type')).toBe('image/svg+xml');
    expect(first.headers.get('content-security-policy')).toContain("default-src 'none'");
    const again = await fetch(`${usher.url}/playbook/images/p_017.svg`, {
      headers: { 'if-none-match': first.headers.get('etag')! },
    });
    expect(again.status).toBe(304);
  });
  it.each([
    '/playbook/images/../playbook.yaml',
    '/playbook/images/..%2fplaybook.yaml',
    '/playbook/images/%2e%2e/%2e%2e/package.json',
    '/playbook/images/....//package.json',
    '/playbook/images//etc/passwd',
    '/playbook/images/%00.svg',
    '/playbook/images/%E0%A4%A',
    '/playbook/images/',
    '/playbook/images/nothing.svg',
    '/assets/../../package.json',
    '/src/main.ts',
  ])('are nothing else: %s', async (path) => {
    expect(await rawGet(usher.url, path)).toBe(404);
  });
  it('do not lead out of their folder by a symbolic link', async () => {
    const [folder, outside] = [
      mkdtempSync(join(tmpdir(), 'usher-files-')),
      mkdtempSync(join(tmpdir(), 'usher-files-')),
    ];
    writeFileSync(join(folder, 'in.json'), '{}');
    writeFileSync(join(outside, 'out.json'), '{}');
    symlinkSync(join(outside, 'out.json'), join(folder, 'link.json'));
    const server: Server = createServer((asked, answer) => void sendFile(asked, answer, folder, asked.url!.slice(1)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await rawGet(url, '/in.json')).toBe(200);
    expect(await rawGet(url, '/link.json')).toBe(404);
    await new Promise((resolve) => server.close(resolve));
    for (const each of [folder, outside]) rmSync(each, { recursive: true });
  });
  it('are read only', async () => {
    expect((await fetch(`${usher.url}/health`, { method: 'DELETE' })).status).toBe(405);
  });
});

describe('GraphiQL', () => {
  it('comes compressed, once, and not again when nothing changed', async () => {
    const page = await fetch(`${usher.url}/graphql`, { headers: { ...html, 'accept-encoding': 'gzip' } });
    expect(page.status).toBe(200);
    expect(page.headers.get('content-encoding')).toBe('gzip');
    expect(Number(page.headers.get('content-length'))).toBeLessThan(4_000_000);
    const text = await page.text();
    expect(text).toContain('Usher GraphiQL');
    const again = await fetch(`${usher.url}/graphql`, {
      headers: { ...html, 'if-none-match': page.headers.get('etag')! },
    });
    expect(again.status).toBe(304);
    const plain = await fetch(`${usher.url}/graphql`, { headers: { ...html, 'accept-encoding': 'identity' } });
    expect(await plain.text()).toBe(text);
  });
});

describe('production', () => {
  it('has neither GraphiQL, nor the start page, nor the shop, nor development names', async () => {
    expect((await fetch(`${production.url}/graphql`, { headers: html })).status).not.toBe(200);
    expect((await fetch(`${production.url}/`)).status).toBe(404);
    expect((await fetch(`${production.url}/playbook/products.json`)).status).toBe(404);
    expect((await production.query('{ visitor { id } }', {}, 'dev:alice')).errors?.[0]?.extensions?.code).toBe(
      'TOKEN_INVALID',
    );
  });
  it('gives visits to browsers', async () => {
    const { data } = await production.query(
      'mutation { startVisit { token visitorId expiresAt } }',
      {},
      'expired-and-wrong',
    );
    const { token, visitorId } = data.startVisit;
    await production.query('mutation { trackEvent(input: { type: "page_viewed" }) { outcome { status } } }', {}, token);
    await production.caughtUp();
    expect((await production.query('{ visitor { id } }', {}, token)).data.visitor.id).toBe(visitorId);
    const renewed = await production.query('mutation ($t: String) { startVisit(input: { token: $t }) { visitorId } }', {
      t: token,
    });
    expect(renewed.data.startVisit.visitorId).toBe(visitorId);
  });
});

describe('pages of other origins', () => {
  const from = (url: string, origin: string, method = 'POST') =>
    fetch(`${url}/graphql`, {
      method,
      headers: {
        origin,
        'content-type': 'application/json',
        authorization: 'Bearer dev:alice',
        'access-control-request-method': 'POST',
      },
      ...(method === 'POST' ? { body: '{"query":"{ __typename }"}' } : {}),
    });
  const allowed = (response: Response) => response.headers.get('access-control-allow-origin');

  it('may call a production Usher when they are on its list', async () => {
    expect(allowed(await from(production.url, 'https://shop.example'))).toBe('https://shop.example');
    expect(allowed(await from(production.url, 'https://shop.example', 'OPTIONS'))).toBe('https://shop.example');
    for (const origin of [
      'https://evil.example',
      'https://shop.example.evil.example',
      'http://shop.example',
      'null',
      'http://localhost:5173',
    ]) {
      expect(allowed(await from(production.url, origin))).toBeNull();
      expect(allowed(await from(production.url, origin, 'OPTIONS'))).toBeNull();
    }
  });
  it('may call a development Usher when they are of this machine', async () => {
    for (const origin of ['http://localhost:5173', 'http://127.0.0.1:8080', 'https://localhost'])
      expect(allowed(await from(usher.url, origin))).toBe(origin);
    for (const origin of ['http://localhost.evil.example', 'http://evil.example', 'http://127.0.0.1.evil.example:80']) {
      expect(allowed(await from(usher.url, origin))).toBeNull();
    }
  });
  it('never get credentials, and nobody may keep an answer', async () => {
    const response = await from(usher.url, 'http://localhost:5173');
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
    expect(response.headers.get('cache-control')).toBe('private, no-store');
    expect(response.headers.get('vary')).toContain('Origin');
  });
  it.each([
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'application/graphql',
  ])('cannot send what browsers send without asking: %s', async (type) => {
    const response = await fetch(`${usher.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: '{"query":"mutation { startVisit { token } }"}',
    });
    expect(response.status).toBe(415);
    expect(await response.text()).not.toContain('startVisit');
  });
});

describe('stopping', () => {
  it('finishes the request under way and takes no other', async () => {
    await using own = await startTestUsher();
    // Number 1 never comes, so this event is held for a while, and the request waits for it.
    const input = { type: 'page_viewed', source: 'a', sequence: 2 };
    const waiting = own.query(
      'mutation ($i: TrackEventInput!) { trackEvent(input: $i) { outcome { status } slots(names: ["notice"], waitMs: 5000) { stale } } }',
      { i: input },
    );
    await expect
      .poll(async () => (await fetch(`${own.url}/metrics`)).text())
      .toContain('usher_events_accepted_total{type="page_viewed"} 1');
    await own.stop();
    expect((await waiting).data.trackEvent).toMatchObject({ outcome: { status: 'ACCEPTED' } });
    await expect(fetch(`${own.url}/health`)).rejects.toThrow();
    await own.stop();
  });
});
