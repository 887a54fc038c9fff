import { describe, expect, it } from 'vitest';
import { mailbox } from '../../src/actions/mailAddress.ts';
import { smtpServer } from '../../src/actions/smtpUrl.ts';

describe('the address of a mail server', () => {
  it.each([
    ['smtp://mail.example', { host: 'mail.example', port: 587, tls: 'required', login: null }],
    ['smtps://mail.example', { host: 'mail.example', port: 465, tls: 'always', login: null }],
    ['smtp://[::1]:2525/?tls=offered', { host: '::1', port: 2525, tls: 'offered', login: null }],
    [
      'smtp://a%40b:p%2Fw%3A@mail.example:25',
      { host: 'mail.example', port: 25, tls: 'required', login: { user: 'a@b', password: 'p/w:' } },
    ],
  ])('%s is read', (text, server) => expect(smtpServer(text)).toEqual(server));

  it.each([
    'mail.example:25',
    'http://mail.example',
    'smtp://',
    'smtp://mail.example/inbox',
    'smtp://mail.example?tls=no',
    'smtp://mail.example?pool=1',
    'smtp://hunter2@mail.example',
    'smtp://:hunter2@mail.example',
    'smtp://user:hunter2%@mail.example',
  ])('%s is refused, and not shown', (text) => {
    expect(() => smtpServer(text)).toThrow(/expected smtp:\/\//);
    expect(() => smtpServer(text)).not.toThrow(/hunter2/);
  });
});

describe('a sender', () => {
  it.each([
    ['Shop <shop@shop.example>', 'Shop', 'shop@shop.example'],
    ['"Shop, Ltd." <shop@shop.example>', 'Shop, Ltd.', 'shop@shop.example'],
    ['Zoë "Z" Shop <shop@shop.example>', 'Zoë "Z" Shop', 'shop@shop.example'],
    ['shop@shop.example', '', 'shop@shop.example'],
  ])('%s is read', (text, name, address) => {
    expect(mailbox(text)).toEqual({ name, address, domain: 'shop.example' });
  });
  it.each(['', 'Shop', 'Shop <>', 'Shop <a@b, c@d>', 'Shop <a@b> <c@d>', 'S\nhop <a@b.example>'])(
    '%j is refused',
    (text) => {
      expect(() => mailbox(text)).toThrow(/expected a sender/);
    },
  );
});
