import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import type { Destination } from '../../src/actions/destination.ts';
import { type WebhookOptions, webhookDestination } from '../../src/actions/webhook.ts';
import { runContract, until } from '../contract/contract.ts';
import { testCertificate } from '../support/certificate.ts';
import { type HookReceiver, startHookReceiver, status } from '../support/hookReceiver.ts';
import { destinationCases } from './destination.contract.ts';
import { attempt, attemptWith, message } from './messages.ts';
import { openWebhook, secret } from './webhookSubject.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.reverse().splice(0)) await close();
});

async function receiver(options: Parameters<typeof startHookReceiver>[0] = {}): Promise<HookReceiver> {
  const started = await startHookReceiver(options);
  closers.push(() => started.close());
  return started;
}
function destination(options: Partial<WebhookOptions> & { readonly url: string }): Destination {
  const opened = webhookDestination({ secrets: [secret], allowPrivate: ['127.0.0.1'], ...options });
  closers.push(() => opened.close());
  return opened;
}

describe('the contract, over HTTP', () => runContract(destinationCases, openWebhook));

describe('what a receiver gets', () => {
  it('is one POST of the payload, signed as the published library of the specification checks it', async () => {
    const to = await receiver();
    const hook = destination({ url: `http://127.0.0.1:${to.port}/hooks/usher?shop=1` });
    await hook.deliver(message(7), attempt);
    const [{ method, path, headers, body } = expect.fail('nothing came')] = to.received;
    expect([method, path, headers['content-type']]).toEqual(['POST', '/hooks/usher?shop=1', 'application/json']);
    expect(new Webhook(secret).verify(body, headers as Record<string, string>)).toEqual(message(7).payload);
    expect(headers['webhook-id']).toBe(message(7).id);
    const changed = body.replace('12.5', '0.5');
    expect(() => new Webhook(secret).verify(changed, headers as Record<string, string>)).toThrow(/No matching/);
  });

  it('has a signature for each secret, so that either end may change first', async () => {
    const to = await receiver();
    const older = 'an older secret, of 24 bytes or more';
    const hook = destination({ url: `http://127.0.0.1:${to.port}/`, secrets: [secret, older] });
    await hook.deliver(message(1), attempt);
    const { body, headers } = to.received[0]!;
    const given = headers as Record<string, string>;
    expect(new Webhook(secret).verify(body, given)).toEqual(message(1).payload);
    expect(new Webhook(older, { format: 'raw' }).verify(body, given)).toEqual(message(1).payload);
    const other = Buffer.from('another secret, of 24 bytes').toString('base64');
    expect(() => new Webhook(other).verify(body, given)).toThrow(/No matching/);
  });

  it('has the time of the attempt, and the same id, when it comes again', async () => {
    const to = await receiver();
    const hook = destination({ url: `http://127.0.0.1:${to.port}/` });
    for (const attemptAt of [1_700_000_000_999, 1_700_000_060_000])
      await hook.deliver(message(1, { attemptAt }), attempt);
    expect(to.received.map(({ headers }) => [headers['webhook-timestamp'], headers['webhook-id']])).toEqual([
      ['1700000000', message(1).id],
      ['1700000060', message(1).id],
    ]);
  });

  it('comes over TLS, whose certificate must be right for the name', async () => {
    const to = await receiver({ tls: true });
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
    const open = (name: string, ca?: string) =>
      destination({ url: `https://${name}:${to.port}/`, resolve, ...(ca !== undefined && { ca }) });
    expect(await open('hook.example', testCertificate).deliver(message(1), attempt)).toMatchObject({
      kind: 'delivered',
    });
    expect(await open('other.example', testCertificate).deliver(message(1), attempt)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
    expect(await open('hook.example').deliver(message(1), attempt)).toMatchObject({ kind: 'retry' });
    expect(to.received.length).toBe(1);
  });

  it('comes over one connection again and again, and over no more at a time than it may', async () => {
    const to = await receiver();
    const hook = destination({ url: `http://127.0.0.1:${to.port}/`, connections: 2 });
    for (let n = 0; n < 5; n++) await hook.deliver(message(n), attempt);
    expect(to.connected()).toBe(1);
    await Promise.all(Array.from({ length: 20 }, (_, n) => hook.deliver(message(n), attempt)));
    expect(to.connected()).toBe(2);
  });
});

describe('what it makes of an answer', () => {
  const cases: readonly [number, string, string][] = [
    [200, 'delivered', ''],
    [202, 'delivered', ''],
    [204, 'delivered', ''],
    [300, 'refused', 'redirects are not followed'],
    [304, 'refused', 'redirects are not followed'],
    [400, 'refused', ''],
    [401, 'refused', ''],
    [404, 'refused', ''],
    [408, 'retry', ''],
    [410, 'refused', 'gone for good'],
    [413, 'refused', ''],
    [422, 'refused', ''],
    [425, 'retry', ''],
    [429, 'retry', ''],
    [500, 'retry', ''],
    [502, 'retry', ''],
    [503, 'retry', ''],
    [599, 'retry', ''],
  ];
  it.each(cases)('%i is %s', async (code, kind, words) => {
    const to = await receiver();
    to.answer = status(code);
    const outcome = await destination({ url: `http://127.0.0.1:${to.port}/` }).deliver(message(1), attempt);
    expect(outcome.kind).toBe(kind);
    expect(outcome.detail).toContain(`status ${code}`);
    expect(outcome.detail).toContain(words);
  });

  it('waits as long as Retry-After says, in seconds or as a date, and at most a day', async () => {
    const to = await receiver();
    const hook = destination({ url: `http://127.0.0.1:${to.port}/` });
    const attemptAt = Date.UTC(2026, 10, 26, 12);
    const after: [string, number | undefined][] = [
      ['120', 120_000],
      ['0', 0],
      ['Thu, 26 Nov 2026 12:01:30 GMT', 90_000],
      ['Thu, 26 Nov 2020 12:00:00 GMT', 0],
      ['99999999', 86_400_000],
      ['soon', undefined],
    ];
    for (const code of [429, 503]) {
      for (const [header, afterMs] of after) {
        to.answer = status(code, { 'retry-after': header });
        const outcome = await hook.deliver(message(1, { attemptAt }), attempt);
        expect([header, outcome]).toEqual([
          header,
          { kind: 'retry', detail: `status ${code}`, ...(afterMs !== undefined && { afterMs }) },
        ]);
      }
    }
  });

  it('tells the beginning of what the receiver answered', async () => {
    const to = await receiver();
    to.answer = status(422, {}, `no such\r\ncustomer ${'x'.repeat(1_000)}`);
    const { detail } = await destination({ url: `http://127.0.0.1:${to.port}/` }).deliver(message(1), attempt);
    expect(detail).toMatch(/^status 422: no such customer x+…$/);
    expect(detail.length).toBeLessThan(250);
  });

  it('reads no more than 64 kB of an answer, and takes its status', async () => {
    const to = await receiver();
    let isCut = false;
    let bytes = 0;
    to.answer = (_request, response) => {
      response.writeHead(200);
      response.on('close', () => {
        isCut = true;
      });
      const more = () => {
        bytes += 16_384;
        if (response.write('x'.repeat(16_384))) setImmediate(more);
        else response.once('drain', more);
      };
      more();
    };
    const hook = destination({ url: `http://127.0.0.1:${to.port}/`, limitMs: 600_000 });
    expect(await hook.deliver(message(1), attempt)).toMatchObject({ kind: 'delivered' });
    await until('the receiver cannot go on', () => isCut);
    // What lies in the buffers between the two was sent too.
    expect(bytes).toBeLessThan(20_000_000);
  });

  it.each([
    ['that does not come', () => {}],
    [
      'whose head does not end',
      (_: unknown, response: { socket: { write(text: string): void } | null }) =>
        response.socket?.write('HTTP/1.1 200 OK\r\nx-a: '),
    ],
  ])('waits no longer than its limit for one %s', async (_name, answer) => {
    const to = await receiver();
    to.answer = answer as typeof to.answer;
    const outcome = await destination({ url: `http://127.0.0.1:${to.port}/`, limitMs: 200 }).deliver(
      message(1),
      attempt,
    );
    expect(outcome).toEqual({ kind: 'retry', detail: 'no answer within 200 ms' });
    await until('the connection is closed', () => to.open.size === 0);
  });

  it('waits no longer than its limit for an answer’s end, and takes its status', async () => {
    const to = await receiver();
    to.answer = (_request, response) => void response.writeHead(202).write('and');
    const outcome = await destination({ url: `http://127.0.0.1:${to.port}/`, limitMs: 200 }).deliver(
      message(1),
      attempt,
    );
    expect(outcome.kind).toBe('delivered');
  });

  it('tries again when nobody listens, or nobody knows the name', async () => {
    const to = await receiver();
    await to.close();
    const nobody = destination({ url: `http://127.0.0.1:${to.port}/` });
    expect(await nobody.deliver(message(1), attempt)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    const unnamed = destination({
      url: 'https://hook.example/',
      resolve: () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })),
    });
    expect(await unnamed.deliver(message(1), attempt)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('ENOTFOUND'),
    });
    const empty = destination({ url: 'https://hook.example/', resolve: async () => [] });
    expect(await empty.deliver(message(1), attempt)).toMatchObject({ kind: 'retry' });
  });

  it('follows no redirect, wherever it leads', async () => {
    const inside = await receiver();
    const to = await receiver();
    for (const code of [301, 302, 303, 307, 308]) {
      to.answer = status(code, { location: `http://127.0.0.1:${inside.port}/admin` });
      const outcome = await destination({ url: `http://127.0.0.1:${to.port}/` }).deliver(message(1), attempt);
      expect(outcome).toMatchObject({ kind: 'refused', detail: expect.stringContaining('not followed') });
    }
    expect(inside.connected()).toBe(0);
  });

  it('answers `retry` at once when the signal aborts while the name is looked up', async () => {
    const ending = new AbortController();
    let isAsked = false;
    const hook = destination({
      url: 'https://hook.example/',
      limitMs: 600_000,
      resolve: () => {
        isAsked = true;
        return new Promise(() => {});
      },
    });
    const waiting = hook.deliver(message(1), attemptWith({ signal: ending.signal }));
    await until('the name is looked up', () => isAsked);
    ending.abort();
    expect(await waiting).toEqual({ kind: 'retry', detail: 'the attempt was broken off' });
  });
});

describe('what it is opened with', () => {
  const base = { url: 'https://hook.example/', secrets: [secret], allowPrivate: [] };
  it.each([
    ['no address', { url: 'hook.example' }, /expected an address like https/],
    ['a user and a password', { url: 'https://me:pw@hook.example/' }, /without user and password/],
    ['a user', { url: 'https://me@hook.example/' }, /without user and password/],
    ['ftp', { url: 'ftp://hook.example/' }, /expected https, came ftp:/],
    ['a file', { url: 'file:///etc/passwd' }, /expected https, came file:/],
    ['gopher', { url: 'gopher://127.0.0.1:25/' }, /expected https, came gopher:/],
    ['data', { url: 'data:text/plain,x' }, /expected https, came data:/],
    ['no secret', { secrets: [] }, /a secret to sign with/],
    ['a short secret', { secrets: [secret, 'short'] }, /at least 24 bytes, came one of 5/],
    ['a short secret in base64', { secrets: [`whsec_${Buffer.alloc(23).toString('base64')}`] }, /came one of 23/],
    ['what is no base64', { secrets: ['whsec_this is not base64, though long'] }, /expected base64 after whsec_/],
    ['a name among the networks', { allowPrivate: ['localhost'] }, /expected an IP address/],
    ['a network that is none', { allowPrivate: ['10.0.0.0/33'] }, /expected an IP address/],
  ])('is not %s', (_name, changes, message) => {
    expect(() => webhookDestination({ ...base, ...changes })).toThrow(message);
  });
  it('tells no secret in what it says', () => {
    const open = () => webhookDestination({ ...base, secrets: ['hunter2'] });
    expect(open).toThrow(/24 bytes/);
    expect(open).not.toThrow(/hunter2/);
  });
});
