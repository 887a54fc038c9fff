import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { expect, it } from 'vitest';
import { readTopic } from '../outputs/cluster.ts';
import { sharedEngine } from '../support/engines.ts';
import { startHookReceiver } from '../support/hookReceiver.ts';
import { MailServer } from '../support/mailServer.ts';
import { adapters, describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';

const secret = `whsec_${Buffer.from('a secret of the tests, of 24 bytes or more').toString('base64')}`;

/** What is looked at is told three ways: by mail, to a web hook, and to the topic. */
async function playbookFolder(hookPort: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'usher-messages-'));
  const playbook = `format: 1
currency: USD
timezone: UTC
destinations:
  mail: { kind: smtp, from: Shop <shop@shop.example> }
  hook: { kind: webhook, url: "http://127.0.0.1:${hookPort}/hooks/usher", secret: HOOK_SECRET }
  queue: { kind: topic }
actions:
  look_mail:
    destination: mail
    to: visitor.email
    with: { product: text }
    subject: You looked at \${with.product}
    text: "Still there: \${with.product}. No more: \${unsubscribe}"
  look_hook: { destination: hook, with: { product: text } }
  look_queue: { destination: queue, with: { product: text } }
rules:
  tell:
    when: product_viewed
    then:
      - send: { action: look_mail, with: { product: event.productId } }
      - send: { action: look_hook, with: { product: event.productId } }
      - send: { action: look_queue, with: { product: event.productId } }
`;
  await writeFile(join(folder, 'playbook.yaml'), playbook);
  return folder;
}

async function ask(usher: WholeUsher, document: string, input: object, token: string): Promise<void> {
  const { data, errors } = await usher.query(document, { input }, token);
  expect([errors, Object.values(data ?? {})]).toEqual([undefined, [expect.anything()]]);
}

describePair('messages of rules', () => {
  it('reach a mail server, a web hook and the topic, each once, under the id of the action', async () => {
    const [server, receiver] = [await MailServer.start({ tls: 'none' }), await startHookReceiver()];
    const playbook = await playbookFolder(receiver.port);
    try {
      await using usher = await startWhole({
        playbook,
        smtpUrl: [`smtp://127.0.0.1:${server.port}?tls=offered`],
        webhookSecrets: [`HOOK_SECRET=${secret}`],
        webhookAllowPrivate: ['127.0.0.1'],
      });
      const shoppers = ['ann', 'bob', 'cy'];
      for (const name of shoppers) {
        const profile = 'mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { __typename } }';
        const visitor = { visitorId: `dev:${name}` };
        await ask(usher, profile, { visitor, email: `${name}@example.com` }, usher.devKey!);
        const track = 'mutation ($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status } } }';
        const event = { id: randomUUID(), type: 'product_viewed', properties: { productId: `p_${name}` } };
        await ask(usher, track, event, `dev:${name}`);
      }
      await usher.caughtUp();
      await expect.poll(async () => (await server.taken()).length, { timeout: 30_000 }).toBe(shoppers.length);
      // A shard that changed hands meanwhile may call again, under the same id.
      const hooks = () => new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size;
      await expect.poll(hooks, { timeout: 30_000 }).toBe(shoppers.length);
      const mails = await server.taken();
      expect(mails.map(({ to }) => to).sort()).toEqual(shoppers.map((name) => [`${name}@example.com`]));
      expect(new Set(mails.map(({ raw }) => /^Message-ID: <([0-9a-f]{32})@shop/im.exec(raw)?.[1])).size).toBe(3);
      for (const { raw } of mails) expect(raw).toMatch(/^List-Unsubscribe: <http/m);
      const told = receiver.received.map(({ body, headers }) =>
        new Webhook(secret).verify(body, headers as Record<string, string>),
      );
      expect(JSON.stringify(told)).toContain('p_bob');
      expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
      if (adapters === 'clustered') {
        const kafka = await sharedEngine('kafka');
        const records = () => readTopic(kafka, `${usher.config.namespace}.actions`);
        const keys = async () => [...new Set((await records()).map(({ key }) => key))].sort();
        await expect.poll(keys, { timeout: 30_000 }).toEqual(shoppers.map((name) => `dev:${name}`));
      }
      // A stop comes after what is under way; no mail came twice.
      await usher.stop();
      expect([(await server.taken()).length, hooks()]).toEqual([3, 3]);
    } finally {
      await server.close();
      await receiver.close();
      await rm(playbook, { recursive: true, force: true });
    }
  }, 120_000);
});
