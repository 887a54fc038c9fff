import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/model/json.ts';
import { playbookSchema } from '../../src/playbook/format.ts';
import { newAjv } from '../../src/playbook/jsonSchema.ts';
import type { Scope, Send } from '../../src/playbook/playbook.ts';
import { messageSaid } from '../../src/playbook/sentence.ts';
import { compileFiles, marked, playbookOf, toldAfter } from '../support/playbooks.ts';

const around = `traits: { mail: { set: text }, seen: { recent: product_viewed, of: event.productId } }
content: { a: { type: offer } }
slots: { side: { fallback: a } }
destinations:
  shop_mail: { kind: smtp, from: "Shop <shop@example.com>", rate: 50/s }
  crm: { kind: webhook, url: "https://crm.example/hooks", secret: CRM_SECRET, retryFor: 2h }
  queue: { kind: topic, rate: 600/m }
actions:
  offer_mail:
    destination: shop_mail
    with: { product: text, percent: number }
    to: traits.mail
    subject: \${with.percent} % off \${with.product}
    text: "\${lines} \${link} \${unsubscribe}"
    html: '<a href="\${link}">\${visitor.lastSearch}</a>\${lines}'
    lines: { text: "\${line.quantity} x \${line.name}", html: '<img src="\${line.image}"> \${line.total}' }
    link: /cart
    quiet: 22:00-08:00
    purpose: marketing
  level_changed: { destination: crm, with: { best: bool, at: time, worth: money }, cart: true }
  said: { destination: queue }
rules:
  r: { when: product_viewed, if: product.price > 5, then: [{ send: { action: offer_mail, with: { product: product.name, percent: 5 * 2 } } }] }
  s: { when: { left: all }, purpose: analytics, then: [{ send: { action: level_changed, with: { best: true, at: now, worth: cart.value } } }, { show: { slot: side, content: a }, purpose: personalization }] }
  t: { when: page_viewed, then: [{ send: { action: said } }] }
segments: { all: { if: visitor.orders == 0 } }
`;

describe('messages in a playbook', () => {
  const { actions, destinations, rules } = playbookOf(around);
  const mail = actions.get('offer_mail')!;

  it('has destinations, each with what its kind needs', () => {
    expect([...destinations.values()]).toEqual([
      {
        id: 'shop_mail',
        name: 'shop mail',
        kind: 'smtp',
        from: 'Shop <shop@example.com>',
        rate: { times: 50, perMs: 1_000 },
        retryForMs: 43_200_000,
      },
      {
        id: 'crm',
        name: 'crm',
        kind: 'webhook',
        url: 'https://crm.example/hooks',
        secret: 'CRM_SECRET',
        rate: null,
        retryForMs: 7_200_000,
      },
      { id: 'queue', name: 'queue', kind: 'topic', rate: { times: 600, perMs: 60_000 }, retryForMs: 43_200_000 },
    ]);
  });

  it('has mails whose texts read what the rule gives, facts of the visitor, and what is given when they leave', () => {
    expect(mail.mail!.subject.render({ with: { percent: 10, product: 'Tent' } } as unknown as Scope)).toBe(
      '10 % off Tent',
    );
    expect(mail.reads).toEqual(['visitor.lastSearch']);
    expect(mail).toMatchObject({ link: '/cart', hasCart: true, quiet: { from: 1320, to: 480 }, purpose: 'marketing' });
    expect(mail.to!.evaluate({ traits: { mail: 'a@b.example' } } as unknown as Scope)).toBe('a@b.example');
  });

  it('has messages for programs, which are no mails', () => {
    expect(actions.get('level_changed')).toMatchObject({ mail: null, to: null, hasCart: true });
    expect(actions.get('said')).toMatchObject({ mail: null, to: null, hasCart: false, purpose: null });
  });

  it('has rules that send them, for the purpose of the entry, else of the rule, else of the action', () => {
    const [send] = rules.get('r')!.entries as readonly Send[];
    expect(send).toMatchObject({ do: 'send', action: 'offer_mail', purpose: 'marketing', captures: ['product.price'] });
    const scope = { product: { name: 'Tent' } } as unknown as Scope;
    expect(send!.with.map(([name, value]) => [name, value.evaluate(scope)])).toEqual([
      ['product', 'Tent'],
      ['percent', 10],
    ]);
    expect(rules.get('s')!.entries.map(({ purpose }) => purpose)).toEqual(['analytics', 'personalization']);
    expect(rules.get('t')!.entries.map(({ purpose }) => purpose)).toEqual([null]);
  });

  it('is said in sentences', () => {
    expect(rules.get('r')!.sentence).toContain(
      "send offer_mail with product the product's name and percent `5 * 2`, given consent to marketing",
    );
    expect(messageSaid(mail)).toBe(
      'A message by shop_mail to the trait mail. Rules give it product and percent. It waits while it is between 22:00 and 08:00 where the visitor is. Only with consent to marketing.',
    );
  });

  it('is known to editors: the JSON Schema takes these, and not a mail server without a sender', () => {
    const check = newAjv().compile(playbookSchema());
    const destination = (one: JsonObject) => check({ destinations: { one } });
    expect(destination({ kind: 'smtp', from: 'shop@example.com', rate: '5/s' })).toBe(true);
    expect(destination({ kind: 'smtp' })).toBe(false);
    expect(destination({ kind: 'webhook', url: 'https://crm.example', secret: 'CRM' })).toBe(true);
    expect(destination({ kind: 'topic', url: 'https://crm.example' })).toBe(false);
    expect(check({ actions: { one: { destination: 'one', with: { a: 'colour' } } } })).toBe(false);
  });
});

/** One mistake, or more, each at its ▸; the text stands in place of a part of the playbook above. */
function problemsWith(part: string, text: string): { found: string[]; expected: string[] } {
  expect(around).toContain(part);
  const { text: plain, places } = marked(around.replace(part, text));
  return { found: toldAfter(0, compileFiles({ 'rules.yaml': plain }).problems), expected: places };
}

describe('a mistake in a message is told with its place', () => {
  it.each<[what: string, part: string, text: string, ...told: string[]]>([
    [
      'a kind of destination',
      'kind: topic',
      'kind: ▸topc',
      'expected one of smtp, webhook, topic, got "topc" (topic?)',
    ],
    [
      'a mail server without a sender',
      '{ kind: smtp, from: "Shop <shop@example.com>", rate: 50/s }',
      '▸{ kind: smtp, rate: 50/s }',
      'from is missing',
    ],
    [
      'a sender who is none',
      '"Shop <shop@example.com>"',
      '▸"Shop <shop>"',
      'expected an address such as Shop <shop@example.com>, got "Shop <shop>"',
    ],
    [
      'a sender with a line break',
      '"Shop <shop@example.com>"',
      '▸"Shop\\nBcc: x <shop@example.com>"',
      'expected an address such as Shop <shop@example.com>, got "Shop\\nBcc: x <shop@example.com>"',
    ],
    ['a rate', '50/s', '▸50 a second', 'expected a rate such as 50/s, 600/m or 5000/h, got "50 a second"'],
    [
      'a time for which is retried',
      'retryFor: 2h',
      'retryFor: ▸30d',
      'expected a duration such as 30s, 30m, 1h30m or 7d, from 1m to 7d, got "30d"',
    ],
    ['an address', '"https://crm.example/hooks"', '▸"crm.example"', 'crm.example is not an address'],
    ['an address that is not HTTP', '"https://crm.example/hooks"', '▸"ftp://crm.example"', 'ftp: is not HTTP'],
    [
      'an address with a password',
      '"https://crm.example/hooks"',
      '▸"https://a:b@crm.example"',
      'an address in a playbook holds no user and no password',
    ],
    [
      'a secret that stands in the playbook',
      'secret: CRM_SECRET',
      'secret: ▸whsec_Zm9v',
      'expected the name of a setting that holds the secret, such as CRM_SECRET, got "whsec_Zm9v"',
    ],
    [
      'an unknown destination',
      'destination: queue',
      'destination: ▸queu',
      'queu is not a destination of this playbook (queue?)',
    ],
    ['an unknown action', 'action: said', 'action: ▸siad', 'siad is not an action of this playbook (said?)'],
    [
      'a field that the rule does not give',
      '${with.percent} % off',
      '${with.▸percnt} % off',
      'with has no percnt (percent?)',
    ],
    ['a field of a line', '${line.name}', '${line.▸nam}', 'line has no nam (name?)'],
    [
      'the event in a text',
      '${visitor.lastSearch}',
      '${▸product.name}',
      'product is not known here: a message is written later; a rule hands it what it needs of these in `with`',
    ],
    [
      'a list in a text',
      '${visitor.lastSearch}',
      '${▸traits.seen}',
      'a text can show a text, number, time or true/false, not a list of text',
    ],
    ['an attribute without quotes', '"${line.image}"', '▸${line.image}', 'the value of an attribute stands in quotes'],
    [
      'a link that leads nowhere',
      '\n    link: /cart',
      '',
      // Twice in the texts, which are told where they stand.
      'link is not known here: the action has no link',
      'link is not known here: the action has no link',
    ],
    [
      'a mail without a text',
      '\n    text: "${lines} ${link} ${unsubscribe}"',
      '',
      'the action offer_mail goes to shop_mail, which sends mails, and has no text',
    ],
    [
      'a text of what is no mail',
      '{ destination: queue }',
      '{ destination: queue, ▸text: hello }',
      'text does not go with queue, which is of kind topic',
    ],
    [
      'an address that is a number',
      'to: traits.mail',
      'to: ▸visitor.orders',
      'an address is a text, and this is a number',
    ],
    [
      'quiet hours that are the whole day',
      'quiet: 22:00-08:00',
      'quiet: ▸22:00-22:00',
      'this is the whole day, or none of it',
    ],
    [
      'quiet hours that are none',
      'quiet: 22:00-08:00',
      'quiet: ▸at night',
      'expected times of the day such as 09:00-18:00, got "at night"',
    ],
    [
      'a purpose',
      'purpose: marketing',
      'purpose: ▸marketting',
      'expected one of analytics, personalization, marketing, got "marketting" (marketing?)',
    ],
    [
      'a value of another type',
      'percent: 5 * 2',
      'percent: ▸product.name',
      'percent of offer_mail is a number, and this is a text',
    ],
    ['a value that is missing', 'with: { product: product.name, percent: 5 * 2 }', 'with: { percent: 10 }'],
    [
      'a value that nobody takes',
      'percent: 5 * 2',
      'percent: 10, ▸procent: 10',
      'offer_mail takes no procent (percent?)',
    ],
    [
      'a purpose that is not its own',
      'send: { action: offer_mail',
      'purpose: analytics, send: { action: ▸offer_mail',
      'offer_mail is for marketing, and is sent here for analytics',
    ],
    [
      'two things in one entry',
      '{ send: { action: said } }',
      '▸{ send: { action: said }, show: { slot: side, content: a } }',
      'show and send stand in one entry',
    ],
  ])('%s', (_what, part, text, ...told) => {
    const { found, expected } = problemsWith(part, text);
    if (told.length === 0) expect(found.join()).toContain('offer_mail needs product');
    else if (expected.length === 0) expect(found.map((each) => each.replace(/^\S+ /, ''))).toEqual(told);
    // What names a destination that is broken is told too.
    else expect(found.slice(0, told.length)).toEqual(told.map((message, i) => `${expected[i]} ${message}`));
  });

  it('warns of messages that nothing sends, and of destinations that nothing goes to', () => {
    const { problems } = compileFiles({
      'rules.yaml': around.replace(/\n {2}t: .*/, '').replace('\nrules:', '\n  unused: { destination: queue }\nrules:'),
    });
    expect(problems.map(({ severity, message }) => `${severity} ${message}`)).toEqual([
      'warning no rule sends the action said',
      'warning no rule sends the action unused',
    ]);
    const alone = compileFiles({ 'rules.yaml': 'destinations: { queue: { kind: topic } }\n' });
    expect(alone.problems.map(({ message }) => message)).toEqual(['no action goes to the destination queue']);
  });
});
