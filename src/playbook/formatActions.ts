import { mailAddressSource } from '../model/mailAddress.ts';
import { purposes } from '../model/purposes.ts';
import { playbookLimits } from './limits.ts';
import {
  cel,
  day,
  durationFrom,
  flag,
  hours,
  id,
  type Located,
  longText,
  mapOf,
  matching,
  object,
  oneOf,
  optional,
  required,
  type Shape,
  shown,
  startOf,
  text,
  wrote,
} from './shape.ts';
import { entryOf } from './tree.ts';

/** How destinations and actions are written: where messages go, and what they are. */

export const purpose = oneOf(...purposes);

/** `50/s`. */
export interface Rate {
  readonly times: number;
  readonly perMs: number;
}
const perUnit = { s: 1_000, m: 60_000, h: 3_600_000 } as const;
const ratePattern = /^([1-9][0-9]{0,5})\/(s|m|h)$/;
const rate: Shape<Located<Rate>> = matching('a rate such as 50/s, 600/m or 5000/h', ratePattern, (match) => ({
  times: Number(match[1]),
  perMs: perUnit[match[2] as keyof typeof perUnit],
}));

const sender = matching(
  'an address such as Shop <shop@example.com>',
  new RegExp(`^(?:[^<>\\p{Cc}\\u2028\\u2029]{1,128} <${mailAddressSource}>|${mailAddressSource})$`, 'u'),
  ([whole]) => whole,
);
const secret = matching(
  'the name of a setting that holds the secret, such as CRM_SECRET',
  /^[A-Z][A-Z0-9_]{0,63}$/,
  ([whole]) => whole,
);

const name = optional(text(), 'What people call it.');
const common = {
  name,
  rate: optional(rate, 'So many messages in that time at most; more wait.'),
  retryFor: optional(
    durationFrom(60_000, 7 * day, 'from 1m to 7d'),
    'A message that is not taken is tried again for so long [12h].',
  ),
};
const smtp = object('a mail server: { kind: smtp, from: … }', {
  kind: required(oneOf('smtp'), 'Mail. Server, user and password are settings, and no part of a playbook.'),
  from: required(sender, 'Who writes.'),
  ...common,
});
const webhook = object('a web hook: { kind: webhook, url: …, secret: … }', {
  kind: required(oneOf('webhook'), 'An HTTP address that messages are posted to, signed.'),
  url: required(text('an address such as https://crm.example.com/hooks/usher'), 'Where.'),
  secret: required(secret, 'Setting with the secret that signs the messages.'),
  ...common,
});
const topic = object('a topic: { kind: topic }', {
  kind: required(oneOf('topic'), 'The topic of actions, for programs that read queues.'),
  ...common,
});
const kinds = { smtp, webhook, topic };
type Kind = keyof typeof kinds;
const kindShape = oneOf('smtp', 'webhook', 'topic');

type Read<T> = T extends Shape<infer R> ? R : never;
export type RawDestination =
  | ({ readonly of: 'smtp' } & Read<typeof smtp>)
  | ({ readonly of: 'webhook' } & Read<typeof webhook>)
  | ({ readonly of: 'topic' } & Read<typeof topic>);
export const destinationShape: Shape<RawDestination> = {
  expected: 'a destination, such as { kind: smtp, from: Shop <shop@example.com> }',
  json: { anyOf: Object.values(kinds).map(({ json }) => json) },
  read(tree, report) {
    if (tree.kind !== 'map') {
      report.error(tree, `expected a destination, got ${shown(tree)}`, { expected: this.expected });
      return undefined;
    }
    const entry = entryOf(tree, 'kind');
    if (entry === undefined) {
      report.error(startOf(tree), 'kind is missing', { expected: `kind: ${kindShape.expected}` });
      return undefined;
    }
    const kind = kindShape.read(entry.value, report)?.value as Kind | undefined;
    const read = kind === undefined ? undefined : kinds[kind].read(tree, report);
    return read === undefined ? undefined : ({ of: kind, ...read } as RawDestination);
  },
};

/** What a rule gives a message is named as properties of events are. */
export function givenValues<T>(shape: Shape<T>) {
  const name = 'a name of letters, digits and _, beginning with a small letter, at most 64 long';
  return mapOf('values', shape, playbookLimits.with, /^[a-z][A-Za-z0-9_]{0,63}$/, name);
}
const withTypes = oneOf('text', 'number', 'money', 'bool', 'time');
export const actionShape = object('an action, such as { destination: shop_mail, subject: …, text: … }', {
  name,
  destination: required(id('the id of a destination'), 'Where it goes.'),
  with: optional(
    givenValues(withTypes),
    'What a rule that sends it must give, and its type; texts read it as with.NAME.',
  ),
  to: optional(cel('a text in CEL, such as visitor.email'), 'The address of a mail, in CEL [visitor.email].'),
  subject: optional(text(), 'Of a mail. ${…} reads with, cart, visitor, session, traits, segments and now.'),
  text: optional(longText(playbookLimits.templateCharacters), 'The mail as plain text; also ${lines} and ${link}.'),
  html: optional(
    longText(playbookLimits.templateCharacters),
    'The mail as HTML; what the holes are filled with is escaped.',
  ),
  lines: optional(
    object('how a line of the cart is written', {
      text: required(text(), 'In the plain text; reads line.name, line.quantity, line.price, line.total, line.image …'),
      html: optional(longText(2_000), 'In the HTML.'),
    }),
    'Once for each line of the cart, where ${lines} stands.',
  ),
  cart: optional(flag, 'The cart with its lines is part of the message; of a web hook or topic [false].'),
  link: optional(
    matching('a path or an address such as /cart', /^(?:\/|https?:\/\/)\S{0,500}$/, ([whole]) => whole),
    'Where ${link} leads, which is signed when the message leaves.',
  ),
  quiet: optional(hours, 'Not at these times of the day, where the visitor is: then it waits for their end.'),
  purpose: optional(purpose, 'It is not sent without consent to this.'),
});
export type RawAction = ReturnType<typeof actionShape.read> & {};

/** Keys of an action that one kind of destination alone has a use for. */
export const mailKeys = ['to', 'subject', 'text', 'html', 'lines', 'link'] as const;
export function writes(raw: RawAction, key: string): boolean {
  return wrote(raw.at, key);
}
