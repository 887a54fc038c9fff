import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Destination } from '../../src/actions/destination.ts';
import { smtpDestination } from '../../src/actions/smtp.ts';
import { attempt, message } from '../actions/messages.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const lookMails = `format: 1
currency: USD
timezone: UTC
destinations:
  mail: { kind: smtp, from: Shop <shop@shop.example> }
actions:
  look: { destination: mail, to: visitor.email, with: { product: text }, subject: "You looked at \${with.product}", text: "\${unsubscribe}" }
rules:
  tell: { when: product_viewed, then: [{ send: { action: look, with: { product: event.productId } } }] }
`;

let usher: TestUsher;
let shop: Destination;
beforeAll(async () => {
  usher = await startTestUsher();
  shop = smtpDestination({ url: usher.mailUrl!, from: 'Shop <shop@shop.example>' });
});
afterAll(async () => {
  await shop.close();
  await usher[Symbol.asyncDispose]();
});
const send = async (n: number, html: string | null = message(n).mail!.html) =>
  expect(await shop.deliver(message(n, { mail: { ...message(n).mail!, html } }), attempt)).toMatchObject({
    kind: 'delivered',
  });
/** Read to its end, so that a stop has no connection to wait for. */
async function statusOf(url: string): Promise<number> {
  const response = await fetch(url);
  await response.text();
  return response.status;
}
const list = async () =>
  (await (await fetch(`${usher.url}/inbox/mails.json`)).json()) as {
    isLocal: boolean;
    mails: { number: number; subject: string; hasHtml: boolean; to: string[] }[];
  };

describe('the inbox of development', () => {
  it('lists what arrived, the newest first', async () => {
    await send(1);
    await send(2, null);
    expect(await list()).toMatchObject({
      isLocal: true,
      mails: [
        { number: 2, subject: 'Your cart 2, Zoë', hasHtml: false, to: ['shopper2@example.com'] },
        { number: 1, subject: 'Your cart 1, Zoë', hasHtml: true, to: ['shopper1@example.com'] },
      ],
    });
  });

  it('tells of each mail while somebody listens', async () => {
    const listening = new AbortController();
    const response = await fetch(`${usher.url}/inbox/updates`, { signal: listening.signal });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const hears = async (words: RegExp) => {
      while (!words.test(text)) text += (await reader.read()).value ?? '';
    };
    await hears(/retry: 1000/);
    await send(3);
    await hears(/data: mail/);
    listening.abort();
  });

  it('serves a mail’s HTML where it can do nothing: no script, no form, no origin, and links in tabs of their own', async () => {
    await send(
      4,
      '<html><head><title>x</title></head><body><script>parent.alert(1)</script><a href="https://shop.example">x</a></body></html>',
    );
    const { number } = (await list()).mails[0]!;
    const response = await fetch(`${usher.url}/inbox/mails/${number}.html`);
    const policy = response.headers.get('content-security-policy')!;
    for (const part of ['sandbox allow-popups', "default-src 'none'", "form-action 'none'", "frame-ancestors 'self'"])
      expect(policy).toContain(part);
    expect(policy).not.toMatch(/allow-scripts|allow-same-origin|script-src/);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await response.text()).toContain('<head><base target="_blank"><title>');
    await send(5, 'just <b>words</b>');
    const words = await fetch(`${usher.url}/inbox/mails/${number + 1}.html`);
    expect(await words.text()).toMatch(/^<!doctype html><base target="_blank">just <b>words<\/b>/);
  });

  it.each([
    '/inbox/mails/0.html',
    '/inbox/mails/9999.html',
    '/inbox/mails/2.html',
    '/inbox/mails/x.html',
    '/inbox/nothing',
    '/inboxes',
  ])('has nothing at %s', async (path) => {
    expect(await statusOf(`${usher.url}${path}`)).toBe(404);
  });

  it('shows what rules send, with nothing configured', async () => {
    const playbook = await mkdtemp(join(tmpdir(), 'usher-inbox-'));
    await writeFile(join(playbook, 'playbook.yaml'), lookMails);
    try {
      await using own = await startTestUsher({ playbook });
      const profile = 'mutation ($i: UpdateProfileInput!) { updateProfile(input: $i) { __typename } }';
      const visitor = { visitorId: 'dev:ann' };
      const track = 'mutation ($i: TrackEventInput!) { trackEvent(input: $i) { outcome { status } } }';
      const event = { type: 'product_viewed', properties: { productId: 'p_017' } };
      await own.query(profile, { i: { visitor, email: 'ann@example.com' } }, own.devKey!);
      await own.query(track, { i: event }, 'dev:ann');
      const mails = async () => (await (await fetch(`${own.url}/inbox/mails.json`)).json()).mails;
      await expect
        .poll(mails, { timeout: 20_000 })
        .toMatchObject([{ to: ['ann@example.com'], subject: 'You looked at p_017', from: 'Shop <shop@shop.example>' }]);
    } finally {
      await rm(playbook, { recursive: true, force: true });
    }
  });

  it('has no mails when they go to another server, and says so', async () => {
    await using own = await startTestUsher({ smtpUrl: ['smtp://mail.example'] });
    expect(own.mailUrl).toBeNull();
    expect(await (await fetch(`${own.url}/inbox/mails.json`)).json()).toEqual({ isLocal: false, mails: [] });
    expect(await statusOf(`${own.url}/inbox/updates`)).toBe(404);
  });

  it('is not there in production', async () => {
    await using own = await startTestUsher({
      mode: 'production',
      secret: 'a secret of the tests, of 32 letters or more',
    });
    expect(own.mailUrl).toBeNull();
    for (const path of ['/inbox', '/inbox/mails.json', '/inbox/updates', '/inbox/mails/1.html'])
      expect(await statusOf(`${own.url}${path}`)).toBe(404);
  });

  it('keeps no stop waiting while somebody listens', async () => {
    await using own = await startTestUsher();
    const response = await fetch(`${own.url}/inbox/updates`);
    await own.stop();
    await expect(response.text()).resolves.toContain('retry');
  });
});
