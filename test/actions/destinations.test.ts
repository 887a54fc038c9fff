import { afterEach, expect, it } from 'vitest';
import { type DestinationSettings, Destinations } from '../../src/actions/destinations.ts';
import { startLocalMail } from '../../src/actions/localMail.ts';
import { loadConfig } from '../../src/config.ts';
import type { DestinationDefinition } from '../../src/playbook/sending.ts';
import { startHookReceiver } from '../support/hookReceiver.ts';
import { attempt, message } from './messages.ts';
import { secret } from './webhookSubject.ts';

const none: DestinationSettings = { smtpUrl: [], webhookSecrets: [], webhookAllowPrivate: [], outputs: null };
const common = { id: '', name: '', rate: null, retryForMs: 43_200_000 };
const shopMail = { kind: 'smtp', from: 'Shop <shop@shop.example>', ...common } as const;
const crm = { kind: 'webhook', url: 'https://crm.example/hook', secret: 'CRM_SECRET', ...common } as const;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.reverse().splice(0)) await close();
});
function destinations(settings: Partial<DestinationSettings>): Destinations {
  const opened = new Destinations({ ...none, ...settings });
  closers.push(() => opened.close());
  return opened;
}
const declared = (entries: Record<string, DestinationDefinition>) =>
  new Map(Object.entries(entries).map(([id, each]) => [id, { ...each, id, name: id }]));

it('opens what the playbook declares: each with its server or secret, its rate and its time', async () => {
  const [mail, other, hook] = [await startLocalMail(), await startLocalMail(), await startHookReceiver()];
  for (const server of [mail, other, hook]) closers.push(() => server.close());
  const open = destinations({
    smtpUrl: [mail.url, `other_mail=${other.url}`],
    webhookSecrets: [`CRM_SECRET=${secret}`, 'CRM_SECRET=the one before, of 24 bytes', 'CRM=short'],
    webhookAllowPrivate: ['127.0.0.1'],
  });
  const url = `http://127.0.0.1:${hook.port}/`;
  const rate = { times: 600, perMs: 60_000 };
  const problems = open.use(
    declared({ shop_mail: shopMail, other_mail: shopMail, crm: { ...crm, url, rate, retryForMs: 60_000 } }),
  );
  expect(problems).toEqual([]);
  expect(open.get('crm')).toMatchObject({ perSecond: 10, retryForMs: 60_000 });
  expect(open.get('shop_mail')).toMatchObject({ perSecond: Number.POSITIVE_INFINITY });
  expect(open.get('nobody')).toBeNull();
  for (const id of ['shop_mail', 'other_mail', 'crm']) {
    expect(await open.get(id)!.destination.deliver(message(1), attempt)).toMatchObject({ kind: 'delivered' });
  }
  expect([mail.list().length, other.list().length, hook.received.length]).toEqual([1, 1, 1]);
  expect(String(hook.received[0]!.headers['webhook-signature']).split(' ')).toHaveLength(2);
});

it('says which setting is missing, and tries its messages again until it is there', async () => {
  const open = destinations({ smtpUrl: ['other_mail=smtp://mail.example'], webhookSecrets: ['CRM_SECRET=short'] });
  const problems = open.use(declared({ shop_mail: shopMail, crm, hr: { ...crm, secret: 'HR_SECRET' } }));
  expect(problems).toEqual([
    { id: 'shop_mail', message: expect.stringContaining('USHER_SMTP_URL') },
    { id: 'crm', message: expect.stringContaining('at least 24 bytes') },
    { id: 'hr', message: expect.stringContaining('USHER_WEBHOOK_SECRETS) to HR_SECRET=whsec_') },
  ]);
  expect(JSON.stringify(problems)).not.toContain('short');
  expect(await open.get('crm')!.destination.deliver(message(1), attempt)).toMatchObject({ kind: 'retry' });
});

it('says that an embedded Usher has no topics, and starts all the same', async () => {
  const open = destinations({});
  expect(open.use(declared({ platform: { kind: 'topic', ...common } }))).toEqual([
    { id: 'platform', message: expect.stringContaining('needs Kafka') },
  ]);
  expect(await open.get('platform')!.destination.deliver(message(1), attempt)).toMatchObject({ kind: 'refused' });
});

it('keeps what another playbook declares alike, opens anew what has changed, and closes what is gone', async () => {
  const open = destinations({ smtpUrl: ['smtp://mail.example'], webhookSecrets: [`CRM_SECRET=${secret}`] });
  open.use(declared({ shop_mail: shopMail, crm }));
  const [mail, hook] = [open.get('shop_mail')!.destination, open.get('crm')!.destination];
  open.use(declared({ shop_mail: { ...shopMail }, crm: { ...crm, url: 'https://crm.example/new' } }));
  expect(open.get('shop_mail')!.destination).toBe(mail);
  expect(open.get('crm')!.destination).not.toBe(hook);
  open.use(declared({ crm }));
  expect(open.get('shop_mail')).toBeNull();
  expect(await mail.deliver(message(1), attempt)).toEqual({ kind: 'retry', detail: 'the destination is closed' });
});

it('has settings that are read from the environment, and say what is wrong without showing it', () => {
  const env = {
    USHER_SMTP_URL: 'smtp://u:p@mail.example:587, other_mail=smtps://mail.example',
    USHER_WEBHOOK_SECRETS: `CRM_SECRET=${secret},CRM_SECRET=whsec_b2xk`,
    USHER_WEBHOOK_ALLOW_PRIVATE: '10.1.0.0/16,::1',
  };
  expect(loadConfig({ env }).config).toMatchObject({
    smtpUrl: ['smtp://u:p@mail.example:587', 'other_mail=smtps://mail.example'],
    webhookSecrets: [`CRM_SECRET=${secret}`, 'CRM_SECRET=whsec_b2xk'],
    webhookAllowPrivate: ['10.1.0.0/16', '::1'],
  });
  for (const wrong of [{ USHER_SMTP_URL: 'mail.example:hunter2' }, { USHER_WEBHOOK_SECRETS: 'hunter2' }]) {
    expect(() => loadConfig({ env: wrong })).toThrow(/CONFIG_INVALID|expected/);
    expect(() => loadConfig({ env: wrong })).not.toThrow(/hunter2/);
  }
});
