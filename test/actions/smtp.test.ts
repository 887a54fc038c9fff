import PostalMime from 'postal-mime';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { OutgoingMessage } from '../../src/actions/destination.ts';
import { asciiDomain } from '../../src/actions/mailAddress.ts';
import type { SmtpLimits } from '../../src/actions/smtpSession.ts';
import { runContract, until } from '../contract/contract.ts';
import type { Act, Stage } from '../support/mailServer.ts';
import { destinationCases } from './destination.contract.ts';
import { attempt, attemptWith, message } from './messages.ts';
import { closeMailServers, openSmtp, type SmtpSubject, type SmtpSubjectOptions } from './smtpSubject.ts';

const subjects: SmtpSubject[] = [];
afterEach(async () => {
  for (const subject of subjects.splice(0)) await subject.close();
});
afterAll(closeMailServers);
async function open(options: SmtpSubjectOptions = {}): Promise<SmtpSubject> {
  const subject = await openSmtp(options);
  subjects.push(subject);
  return subject;
}
const parsed = (raw: string) => PostalMime.parse(Buffer.from(raw, 'latin1'));

/** A gate that tells when it is asked, and opens or fails when it is told to. */
function gate() {
  let isAsked = false;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return {
    get isAsked() {
      return isAsked;
    },
    beforeFinal() {
      isAsked = true;
      return promise;
    },
    open: resolve,
    fail: () => reject(new Error('another owns the shard')),
  };
}

describe('the contract, over SMTP', () => runContract(destinationCases, () => openSmtp()));
describe('the contract, over a server without pipelining', () =>
  runContract(destinationCases, () => openSmtp({ server: { pipelining: false } })));

describe('a mail', () => {
  it('has what the action says: sender, receiver, subject, text, html, date, one Message-ID, and how to unsubscribe', async () => {
    const { destination, server } = await open();
    const attemptAt = Date.UTC(2026, 10, 26, 12, 30, 15);
    await destination.deliver(message(3, { attemptAt }), attempt);
    const [{ raw, from, to } = expect.fail('nothing came')] = await server.taken();
    expect([from, to]).toEqual(['shop@shop.example', ['shopper3@example.com']]);
    const mail = await parsed(raw);
    expect(mail.from).toMatchObject({ name: 'Zoë’s Shop', address: 'shop@shop.example' });
    expect(mail.to).toMatchObject([{ address: 'shopper3@example.com' }]);
    expect(mail.subject).toBe('Your cart 3, Zoë');
    expect(mail.text?.trimEnd()).toBe(message(3).mail!.text.trimEnd());
    expect(mail.html?.trim()).toBe(message(3).mail!.html);
    expect(mail.messageId).toBe(`<${message(3).id}@shop.example>`);
    expect(mail.date).toBe('2026-11-26T12:30:15.000Z');
    const header = (key: string) => mail.headers.filter((one) => one.key === key).map(({ value }) => value);
    expect(header('list-unsubscribe')).toEqual(['<https://shop.example/unsubscribe?a=3>']);
    expect(header('list-unsubscribe-post')).toEqual(['List-Unsubscribe=One-Click']);
  });

  it('is text alone without html, and has no header to unsubscribe without an address for it', async () => {
    const { destination, server } = await open();
    const mail = { subject: 'Plain', text: 'Only words.', html: null, unsubscribeUrl: null };
    await destination.deliver(message(1, { mail }), attempt);
    const { raw } = (await server.taken())[0]!;
    expect(raw).toMatch(/^Content-Type: text\/plain/im);
    expect(raw).not.toMatch(/multipart|List-Unsubscribe/i);
  });

  it('carries an address to unsubscribe as long as a signed link is, in one piece', async () => {
    const { destination, server } = await open();
    const unsubscribeUrl = `https://shop.example/u/${'0123456789abcdef'.repeat(40)}?n=Zo%C3%AB`;
    await destination.deliver(message(1, { mail: { ...message(1).mail!, unsubscribeUrl } }), attempt);
    expect((await server.taken())[0]!.raw).toContain(`List-Unsubscribe: <${unsubscribeUrl}>\r\n`);
  });

  it('has no header that a shopper’s name or a product’s brings in', async () => {
    const { destination, server } = await open();
    const evil = 'Hello\r\nBcc: all@example.com\r\nX-Evil: 1\r\n\r\n<script>';
    await destination.deliver(message(1, { mail: { ...message(1).mail!, subject: evil, text: evil } }), attempt);
    const { raw, to } = (await server.taken())[0]!;
    expect(to).toEqual(['shopper1@example.com']);
    const mail = await parsed(raw);
    expect(mail.headers.map(({ key }) => key)).not.toContain('bcc');
    expect(mail.headers.map(({ key }) => key)).not.toContain('x-evil');
    expect(mail.subject).toBe('Hello Bcc: all@example.com X-Evil: 1 <script>');
  });

  const noAddress = [
    '',
    ' ',
    'shopper',
    '@example.com',
    'a@',
    'a@b@c',
    'a b@example.com',
    'a@example.com,b@example.com',
  ];
  const evilAddresses = [
    'a@example.com>\r\nRCPT TO:<b@example.com',
    '<a@example.com>',
    '"a"@example.com',
    'a@example.com\n',
  ];
  it.each([...noAddress, ...evilAddresses, `${'a'.repeat(300)}@example.com`])(
    'is refused for the address %j',
    async (to) => {
      const { destination, server } = await open();
      expect(await destination.deliver(message(1, { to }), attempt)).toMatchObject({ kind: 'refused' });
      expect(await server.reached('connect')).toBe(0);
    },
  );

  it('goes to an address of any script', async () => {
    const { destination, server } = await open();
    for (const to of ['zoe@bücher.example', 'zoë@example.com', "o'neil+tag@example.co.uk"]) {
      expect([to, await destination.deliver(message(1, { to }), attempt)]).toMatchObject([to, { kind: 'delivered' }]);
    }
    expect((await server.taken()).length).toBe(3);
    // The server of these tests shows names of hosts as people write them.
    expect(asciiDomain('zoe@bücher.example')).toBe('zoe@xn--bcher-kva.example');
  });

  it.each<[string, Partial<OutgoingMessage>, RegExp]>([
    ['without a receiver', { to: null }, /no address/],
    ['without a text', { mail: null }, /no subject and text/],
    [
      'with no address to unsubscribe',
      { mail: { ...message(1).mail!, unsubscribeUrl: 'javascript:1' } },
      /to unsubscribe/,
    ],
    ['with an id that is no part of a header', { id: 'a b\r\n' }, /Message-ID/],
  ])('is refused %s, and says why', async (_name, changes, words) => {
    const { destination } = await open();
    const outcome = await destination.deliver(message(1, changes), attempt);
    expect(outcome).toMatchObject({ kind: 'refused', detail: expect.stringMatching(words) });
  });

  it('is refused when it is larger than the server takes', async () => {
    const { destination, server } = await open({ server: { sizeMax: 2_000 } });
    const large = message(1, { mail: { ...message(1).mail!, text: 'x'.repeat(5_000) } });
    expect(await destination.deliver(large, attempt)).toMatchObject({ kind: 'refused' });
    expect(await destination.deliver(message(2), attempt)).toMatchObject({ kind: 'delivered' });
    expect((await server.taken()).length).toBe(1);
  });
});

describe('the gate before the final dot', () => {
  it('is asked once all else is sent, and nothing is taken before it opens', async () => {
    const { destination, server } = await open();
    const held = gate();
    const delivering = destination.deliver(message(1), attemptWith(held));
    await until('the server has the text', async () => (await server.reached('body')) > 0);
    await until('the gate is asked', () => held.isAsked);
    expect([await server.reached('final'), (await server.taken()).length]).toEqual([0, 0]);
    held.open();
    expect(await delivering).toMatchObject({ kind: 'delivered' });
    expect((await server.taken()).length).toBe(1);
  });

  it('keeps the dot back for good when it fails: the connection ends, and the server has no mail', async () => {
    const { destination, server } = await open();
    const held = gate();
    const delivering = destination.deliver(message(1), attemptWith(held));
    await until('the server has the text', async () => (await server.reached('body')) > 0);
    held.fail();
    expect(await delivering).toEqual({ kind: 'retry', detail: expect.stringContaining('another owns the shard') });
    await until('the connection is gone', async () => (await server.connections()) === 0);
    expect([await server.reached('final'), (await server.taken()).length]).toEqual([0, 0]);
  });

  it.each(['mail', 'rcpt', 'data'] as const)('is not asked when the server refuses at %s', async (stage) => {
    const { destination, server } = await open();
    await server.behave(stage, { do: 'reply', code: 550 });
    const held = gate();
    expect(await destination.deliver(message(1), attemptWith(held))).toMatchObject({ kind: 'refused' });
    expect(held.isAsked).toBe(false);
  });

  it.each<[string, (subject: SmtpSubject, ending: AbortController) => unknown]>([
    ['the signal aborts', (_subject, ending) => ending.abort()],
    ['the connection breaks', ({ server }) => server.drop()],
  ])('is waited for when %s meanwhile: no dot, and no answer before it', async (_name, happen) => {
    const subject = await open();
    const { destination, server } = subject;
    const held = gate();
    const ending = new AbortController();
    let isAnswered = false;
    const delivering = destination.deliver(message(1), {
      ...held,
      beforeFinal: held.beforeFinal,
      signal: ending.signal,
    });
    void delivering.then(() => {
      isAnswered = true;
    });
    await until('the gate is asked', () => held.isAsked);
    await happen(subject, ending);
    await until('the connection is gone', async () => (await server.connections()) === 0);
    expect(isAnswered).toBe(false);
    held.open();
    expect(await delivering).toMatchObject({ kind: 'retry' });
    expect([await server.reached('final'), (await server.taken()).length]).toEqual([0, 0]);
  });
});

describe('what it makes of a server that', () => {
  const reply = (code: number): Act => ({ do: 'reply', code, text: `told ${code}` });
  const stages: readonly [Stage, Act, string, string][] = [
    ['connect', reply(421), 'retry', 'told 421'],
    ['connect', reply(554), 'retry', 'told 554'],
    ['connect', { do: 'close' }, 'retry', ''],
    ['connect', { do: 'die' }, 'retry', ''],
    ['mail', reply(421), 'retry', 'told 421'],
    ['mail', reply(452), 'retry', 'told 452'],
    ['mail', reply(530), 'retry', 'told 530'],
    ['mail', reply(550), 'refused', 'told 550'],
    ['mail', { do: 'die' }, 'retry', ''],
    ['rcpt', reply(450), 'retry', 'told 450'],
    ['rcpt', reply(550), 'refused', 'told 550'],
    ['rcpt', reply(553), 'refused', 'told 553'],
    ['rcpt', { do: 'close' }, 'retry', ''],
    ['data', reply(451), 'retry', 'told 451'],
    ['data', reply(554), 'refused', 'told 554'],
    ['data', { do: 'die' }, 'retry', ''],
    ['final', reply(421), 'unknown', 'told 421'],
    ['final', reply(451), 'retry', 'told 451'],
    ['final', reply(550), 'refused', 'told 550'],
    ['final', { do: 'close' }, 'unknown', 'did not say whether it took it'],
    ['final', { do: 'die' }, 'unknown', 'did not say whether it took it'],
  ];
  for (const pipelining of [true, false]) {
    describe(pipelining ? 'takes commands in advance, and' : 'takes one command at a time, and', () => {
      it.each(stages)('at stage %s does %j', async (stage, act, kind, words) => {
        const { destination, server } = await open({ server: { pipelining } });
        await server.behave(stage, act);
        const outcome = await destination.deliver(message(1), attempt);
        expect(outcome).toMatchObject({ kind, detail: expect.stringContaining(words) });
        expect(await server.reached(stage)).toBe(1);
        expect((await server.taken()).length).toBe(stage === 'final' && act.do !== 'reply' ? 1 : 0);
      });
    });
  }

  it.each<[Stage, Partial<SmtpLimits>, string, string]>([
    ['connect', { connectMs: 100 }, 'retry', 'not ready within 100 ms'],
    ['mail', { handOverMs: 100 }, 'retry', 'not handed over within 100 ms'],
    ['rcpt', { handOverMs: 100 }, 'retry', 'not handed over within 100 ms'],
    ['data', { handOverMs: 100 }, 'retry', 'not handed over within 100 ms'],
    ['final', { finalReplyMs: 100 }, 'unknown', 'no reply to the final dot within 100 ms'],
  ])('says nothing more at stage %s', async (stage, limits, kind, words) => {
    const { destination, server } = await open({ limits });
    await server.behave(stage, { do: 'hang' });
    const outcome = await destination.deliver(message(1), attempt);
    expect(outcome).toMatchObject({ kind, detail: expect.stringContaining(words) });
    expect((await server.taken()).length).toBe(stage === 'final' ? 1 : 0);
  });

  it('hangs after the final dot when the signal aborts: it may have the mail', async () => {
    const { destination, server } = await open();
    await server.behave('final', { do: 'hang' });
    const ending = new AbortController();
    const delivering = destination.deliver(message(1), attemptWith({ signal: ending.signal }));
    await until('the server has the dot', async () => (await server.reached('final')) > 0);
    ending.abort();
    expect(await delivering).toMatchObject({ kind: 'unknown' });
  });

  it('comes back after it died: mail goes on', async () => {
    const { destination, server } = await open();
    await destination.deliver(message(1), attempt);
    await server.close();
    expect(await destination.deliver(message(2), attempt)).toMatchObject({ kind: 'retry' });
    await server.restart();
    expect(await destination.deliver(message(2), attempt)).toMatchObject({ kind: 'delivered' });
    expect((await server.taken()).length).toBe(2);
  });
});

describe('connections', () => {
  it('are used again, for so many mails, and no more are open than may be', async () => {
    const { destination, server } = await open({ limits: { connections: 2, mailsPerConnection: 5 } });
    for (let n = 0; n < 10; n++) await destination.deliver(message(n), attempt);
    expect(await server.reached('connect')).toBe(2);
    let most = 0;
    const delivering = Promise.all(Array.from({ length: 40 }, (_, n) => destination.deliver(message(n), attempt)));
    let isDone = false;
    void delivering.then(() => {
      isDone = true;
    });
    while (!isDone) most = Math.max(most, await server.connections());
    expect((await delivering).every(({ kind }) => kind === 'delivered')).toBe(true);
    // One that says good-bye may still be there.
    expect(most).toBeLessThanOrEqual(4);
    expect((await server.taken()).length).toBe(50);
  });

  it('that the server has ended meanwhile cost no attempt', async () => {
    const { destination, server } = await open();
    await destination.deliver(message(1), attempt);
    await server.drop();
    expect(await destination.deliver(message(2), attempt)).toMatchObject({ kind: 'delivered' });
    // And one that is ended as soon as the next mail begins.
    await server.behave('mail', { do: 'close', once: true });
    expect(await destination.deliver(message(3), attempt)).toMatchObject({ kind: 'delivered' });
    expect((await server.taken()).length).toBe(3);
  });

  it('are closed when they are not used', async () => {
    const { destination, server } = await open({ limits: { idleMs: 50 } });
    await destination.deliver(message(1), attempt);
    await until('it is closed', async () => (await server.connections()) === 0);
  });

  it('that wait for their turn end with the signal', async () => {
    const { destination, server } = await open({ limits: { connections: 1 } });
    await server.behave('mail', { do: 'hang' });
    const [first, second] = [new AbortController(), new AbortController()];
    const hanging = destination.deliver(message(1), attemptWith({ signal: first.signal }));
    await until('the first hangs', async () => (await server.reached('mail')) > 0);
    const waiting = destination.deliver(message(2), attemptWith({ signal: second.signal }));
    second.abort();
    expect(await waiting).toMatchObject({ kind: 'retry' });
    await server.behave('mail', null);
    const third = destination.deliver(message(3), attempt);
    first.abort();
    expect(await hanging).toMatchObject({ kind: 'retry' });
    expect(await third).toMatchObject({ kind: 'delivered' });
  });
});

describe('TLS and login', () => {
  const login = { user: 'shop@shop.example', password: 'pass/w:rd@%' };
  const withLogin = (port: number, scheme = 'smtp', more = '') =>
    `${scheme}://${encodeURIComponent(login.user)}:${encodeURIComponent(login.password)}@localhost:${port}${more}`;

  it('begins TLS when the server offers it, before it logs in', async () => {
    const { destination, server } = await open({ server: { tls: 'offered', login }, url: (port) => withLogin(port) });
    expect(await destination.deliver(message(1), attempt)).toMatchObject({ kind: 'delivered' });
    expect(await server.logins()).toMatchObject([{ secure: true, user: login.user }]);
    expect((await server.taken())[0]!.secure).toBe(true);
  });

  it('has TLS from the first byte with smtps', async () => {
    const { destination, server } = await open({
      server: { tls: 'always', login },
      url: (port) => withLogin(port, 'smtps'),
    });
    expect(await destination.deliver(message(1), attempt)).toMatchObject({ kind: 'delivered' });
    expect((await server.taken())[0]!.secure).toBe(true);
  });

  it('sends nothing to a server without TLS, unless the address says so', async () => {
    const required = await open({ server: { tls: 'none' } });
    expect(await required.destination.deliver(message(1), attempt)).toMatchObject({ kind: 'retry' });
    expect(await required.server.reached('mail')).toBe(0);
    const offered = await open({ server: { tls: 'none' }, url: (port) => `smtp://localhost:${port}?tls=offered` });
    expect(await offered.destination.deliver(message(1), attempt)).toMatchObject({ kind: 'delivered' });
    expect((await offered.server.taken())[0]!.secure).toBe(false);
  });

  it('never sends a password without TLS', async () => {
    const { destination, server } = await open({
      server: { tls: 'none', login },
      url: (port) => withLogin(port, 'smtp', '?tls=offered'),
    });
    expect(await destination.deliver(message(1), attempt)).toMatchObject({
      kind: 'retry',
      detail: expect.stringContaining('no TLS'),
    });
    expect(await server.logins()).toEqual([]);
  });

  it('sends nothing to a server whose certificate it does not trust', async () => {
    for (const tls of ['offered', 'always'] as const) {
      const scheme = tls === 'always' ? 'smtps' : 'smtp';
      const { destination, server } = await open({
        server: { tls },
        url: (port) => `${scheme}://localhost:${port}`,
        trusting: false,
      });
      expect(await destination.deliver(message(1), attempt)).toMatchObject({ kind: 'retry' });
      expect(await server.reached('mail')).toBe(0);
    }
  });

  it('tries again after a wrong password, which whoever runs Usher can mend, and does not tell it', async () => {
    const { destination } = await open({
      server: { tls: 'offered', login: { ...login, password: 'another' } },
      url: (port) => withLogin(port),
    });
    const outcome = await destination.deliver(message(1), attempt);
    expect(outcome).toMatchObject({ kind: 'retry', detail: expect.stringContaining('535') });
    expect(outcome.detail).not.toContain(login.password);
  });
});
