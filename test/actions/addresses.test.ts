import { afterEach, describe, expect, it } from 'vitest';
import { AddressList, isPublic } from '../../src/actions/addresses.ts';
import { type WebhookOptions, webhookDestination } from '../../src/actions/webhook.ts';
import { type HookReceiver, startHookReceiver } from '../support/hookReceiver.ts';
import { attempt, message } from './messages.ts';
import { secret } from './webhookSubject.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.reverse().splice(0)) await close();
});

async function receiver(address?: string): Promise<HookReceiver> {
  const started = await startHookReceiver(address === undefined ? {} : { address });
  closers.push(() => started.close());
  return started;
}
async function deliver(options: Partial<WebhookOptions> & { readonly url: string }) {
  const hook = webhookDestination({ secrets: [secret], allowPrivate: [], ...options });
  try {
    return await hook.deliver(message(1), attempt);
  } finally {
    await hook.close();
  }
}
const family = (address: string) => ({ address, family: address.includes(':') ? 6 : 4 });
const answers =
  (...addresses: string[]) =>
  async () =>
    addresses.map(family);

/** Ways to write the address of this machine, in an address of the web. */
const spellings = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '127.0.0.1.',
  '127.000.000.001',
  '0177.0.0.1',
  '0177.0.0.01',
  '0177.1',
  '0x7f.0.0.1',
  '0x7f.1',
  '0x7F.0x0.0x0.0x1',
  '0x7f000001',
  '0x000000007f000001',
  '2130706433',
  '017700000001',
  '0000000017700000001',
  '%31%32%37.0.0.1',
  '127%2e0%2e0%2e1',
  '１２７.０.０.１',
  '①②⑦.⓪.⓪.①',
  '127。0。0。1',
  '127．0．0．1',
  '127.255.255.254',
  '127.0.0.53',
  '0.0.0.0',
  '0',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[0000::0001]',
  '[::]',
  '[::127.0.0.1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::FFFF:7F00:0001]',
  '[0:0:0:0:0:ffff:127.0.0.1]',
  '[::ffff:0:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::127.0.0.1]',
  '[2002:7f00:1::]',
  '[2001:0:7f00:1::]',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'shop.localhost',
  'ｌｏｃａｌｈｏｓｔ',
  'lo\tcalhost',
];

describe('this machine', () => {
  it.each(spellings)('is not called as %s', async (host) => {
    const to = await receiver();
    for (const scheme of ['http', 'https']) {
      const outcome = await deliver({ url: `${scheme}://${host}:${to.port}/` });
      expect(outcome).toEqual({
        kind: 'refused',
        detail: expect.stringContaining('may not be called: it is not public'),
      });
    }
    expect(to.connected()).toBe(0);
  });

  it('is called when its address is listed, as whatever it is written', async () => {
    const to = await receiver();
    for (const host of ['127.0.0.1', '127.1', '0x7f.1', '2130706433', 'localhost']) {
      const allowPrivate = ['127.0.0.0/8', '::1'];
      // localhost may be ::1 too, where nobody listens; a connection goes to whichever answers.
      expect(await deliver({ url: `http://${host}:${to.port}/`, allowPrivate })).toMatchObject({ kind: 'delivered' });
    }
  });
});

const special = [
  ...['0.1.2.3', '10.0.0.1', '100.64.0.1', '100.100.100.200', '100.127.255.255', '127.0.0.1', '168.63.129.16'],
  ...['169.254.169.254', '169.254.170.2', '172.16.0.1', '172.31.255.255', '192.0.0.192', '192.0.2.1', '192.88.99.1'],
  ...['192.168.1.1', '198.18.0.1', '198.19.255.255', '198.51.100.7', '203.0.113.9', '224.0.0.1', '239.255.255.255'],
  ...['240.0.0.1', '255.255.255.255', '::', '::1', '::ffff:8.8.8.8', '::ffff:10.0.0.1', 'fe80::1', 'fe80::1%eth0'],
  ...['fc00::1', 'fd00:ec2::254', 'fec0::1', 'ff02::1', '64:ff9b::10.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::1'],
  ...['100::1', '2001::1', '2001:10::1', '2001:db8::1', '2002:a00:1::1', '3fff::1', '5f00::1', '4000::1'],
];
const open = ['1.1.1.1', '8.8.8.8', '100.63.255.255', '100.128.0.1', '172.15.0.1', '172.32.0.1', '192.0.1.1'];
const openV6 = ['2606:4700::1111', '2a00:1450:4001::1', '2001:4860:4860::8888', '64:ff9b::8.8.8.8', '64:ff9b::808:808'];

describe('an address', () => {
  it.each(special)(
    '%s is not public: neither by itself nor as what a name resolves to is it called',
    async (address) => {
      expect(isPublic(address)).toBe(false);
      expect(await deliver({ url: 'https://hook.example/', resolve: answers(address) })).toMatchObject({
        kind: 'refused',
      });
      // One forbidden address among others is enough.
      expect(await deliver({ url: 'https://hook.example/', resolve: answers('8.8.8.8', address) })).toMatchObject({
        kind: 'refused',
        detail: expect.stringContaining(`hook.example resolves to ${address}, which may not be called`),
      });
    },
  );
  it.each([...open, ...openV6])('%s is public', (address) => expect(isPublic(address)).toBe(true));
  it.each(['', 'localhost', '1.2.3', '1.2.3.4.5', '::g', '8.8.8.8 '])('%j is none, and not public', (address) => {
    expect(isPublic(address)).toBe(false);
  });
  it('is listed by itself or by its network, and others are not', () => {
    const listed = new AddressList(['10.1.0.0/16', '192.168.1.7', 'fd12::/16']);
    const may = ['10.1.2.3', '192.168.1.7', 'fd12:3::1'];
    const mayNot = ['10.2.0.1', '192.168.1.8', 'fd13::1', '127.0.0.1', '::1', '8.8.8.8', 'localhost', ''];
    expect([...may, ...mayNot].filter((address) => listed.has(address))).toEqual(may);
  });
  it('that is public is called over TLS alone', async () => {
    for (const url of ['http://8.8.8.8/', 'http://hook.example/']) {
      const outcome = await deliver({ url, resolve: answers('8.8.8.8') });
      expect(outcome).toMatchObject({ kind: 'refused', detail: expect.stringContaining('https') });
    }
  });
});

describe('a name server that answers another address the second time', () => {
  it('is asked once a connection, which goes to what was checked', async () => {
    const [open, inside] = [await receiver('127.0.0.2'), await receiver('127.0.0.1')];
    let asked = 0;
    const resolve = async () => [family(asked++ % 2 === 0 ? '127.0.0.2' : '127.0.0.1')];
    const options = { url: `http://hook.example:${open.port}/`, allowPrivate: ['127.0.0.2'], resolve };
    expect(await deliver(options)).toMatchObject({ kind: 'delivered' });
    expect(asked).toBe(1);
    expect(await deliver(options)).toMatchObject({ kind: 'refused' });
    expect(asked).toBe(2);
    expect([open.received.length, inside.connected()]).toEqual([1, 0]);
  });

  it('does not get a message over a connection of the first', async () => {
    const open = await receiver('127.0.0.2');
    let address = '127.0.0.2';
    const url = `http://hook.example:${open.port}/`;
    const hook = webhookDestination({
      url,
      secrets: [secret],
      allowPrivate: ['127.0.0.2'],
      resolve: async () => [family(address)],
    });
    closers.push(() => hook.close());
    expect(await hook.deliver(message(1), attempt)).toMatchObject({ kind: 'delivered' });
    address = '127.0.0.1';
    // The connection that is there goes to the address that was checked for it.
    expect(await hook.deliver(message(2), attempt)).toMatchObject({ kind: 'delivered' });
    for (const socket of open.open) socket.destroy();
    await expect.poll(async () => (await hook.deliver(message(3), attempt)).kind).toBe('refused');
    expect(open.received.length).toBe(2);
  });

  it('is found out at the connection, if the address that was checked is not the one connected to', async () => {
    const inside = await receiver('127.0.0.1');
    // As if the operating system had its own mind: told 127.0.0.2, the name server's answer turns before the connection is made.
    const found = [family('127.0.0.2')];
    const resolve = async () => {
      const shifty = { family: 4, asked: 0 } as { family: number; asked: number; address: string };
      Object.defineProperty(shifty, 'address', { get: () => (shifty.asked++ === 0 ? '127.0.0.2' : '127.0.0.1') });
      found[0] = shifty;
      return found;
    };
    const url = `http://hook.example:${inside.port}/`;
    const outcome = await deliver({ url, allowPrivate: ['127.0.0.2'], resolve });
    expect(outcome).toMatchObject({ kind: 'refused', detail: expect.stringContaining('127.0.0.1') });
    expect(inside.received.length).toBe(0);
  });
});
