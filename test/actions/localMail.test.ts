import { createConnection } from 'node:net';
import { expect, it } from 'vitest';
import { startLocalMail } from '../../src/actions/localMail.ts';
import { smtpDestination } from '../../src/actions/smtp.ts';
import { attempt, message } from './messages.ts';

async function withMail(
  work: (parts: {
    mail: Awaited<ReturnType<typeof startLocalMail>>;
    shop: ReturnType<typeof smtpDestination>;
  }) => Promise<void>,
): Promise<void> {
  const mail = await startLocalMail();
  const shop = smtpDestination({ url: mail.url, from: 'Zoë’s Shop <shop@shop.example>' });
  try {
    await work({ mail, shop });
  } finally {
    await shop.close();
    await mail.close();
  }
}

it('keeps a mail as it came, and tells who listens', () =>
  withMail(async ({ mail, shop }) => {
    let told = 0;
    const leave = mail.onMail(() => told++);
    expect(await shop.deliver(message(1), attempt)).toMatchObject({ kind: 'delivered' });
    const [{ headers, ...first } = expect.fail('no mail')] = mail.list();
    expect(first).toMatchObject({
      number: 1,
      from: 'Zoë’s Shop <shop@shop.example>',
      to: ['shopper1@example.com'],
      subject: 'Your cart 1, Zoë',
      html: expect.stringContaining('<b>1</b>'),
    });
    expect(first.text.trimEnd()).toBe(message(1).mail!.text.trimEnd());
    expect(headers).toContainEqual({ name: 'Message-ID', value: `<${message(1).id}@shop.example>` });
    leave();
    await shop.deliver(message(2), attempt);
    expect([told, mail.list().map(({ number }) => number)]).toEqual([1, [2, 1]]);
  }));

it('keeps the last hundred', () =>
  withMail(async ({ mail, shop }) => {
    for (let n = 0; n < 105; n++) await shop.deliver(message(n), attempt);
    expect(mail.list().map(({ subject }) => subject)).toEqual(
      Array.from({ length: 100 }, (_, n) => `Your cart ${104 - n}, Zoë`),
    );
  }));

it('is there for this machine alone, and for nobody after it is closed', async () => {
  const mail = await startLocalMail();
  const { hostname, port } = new URL(mail.url);
  expect(hostname).toBe('127.0.0.1');
  await mail.close();
  const socket = createConnection({ host: hostname, port: Number(port) });
  await expect(new Promise((resolve, reject) => socket.on('connect', resolve).on('error', reject))).rejects.toThrow(
    /ECONNREFUSED/,
  );
});
