import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const explain = `query ($visitor: ID!, $slot: String!) { explain(visitor: { visitorId: $visitor }, slot: $slot) {
  winner contentId rules { ruleId outcome reasons } } }`;

let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher();
  const cart = 'cart_item_added", properties: {productId: "p_003", quantity: 1, price: 120.50}';
  for (const event of [`"${cart}`, '"product_viewed", properties: {productId: "p_017"}'])
    await usher.query(`mutation { trackEvent(input: {type: ${event}}) { outcome { status } } }`);
  await usher.caughtUp();
});
afterAll(() => usher[Symbol.asyncDispose]());

const ask = (visitor: string, slot: string, token = usher.devKey!) => usher.query(explain, { visitor, slot }, token);

describe('the explanation of a slot, asked of a running Usher', () => {
  it('names the winner, who lost to it and who is out, each with its reasons', async () => {
    const { data, errors } = await ask('dev:alice', 'product_upsell');
    expect(errors).toBeUndefined();
    expect(data.explain).toMatchObject({ winner: 'upsell_over_100', contentId: 'extra_warranty' });
    const rules = data.explain.rules as { ruleId: string; outcome: string; reasons: string[] }[];
    expect(rules.slice(0, 2)).toEqual([
      { ruleId: 'upsell_over_100', outcome: 'shown', reasons: ['you viewed p_017'] },
      { ruleId: 'tent_repair_kit', outcome: 'lost', reasons: ['lost on priority'] },
    ]);
    expect(rules.slice(2).every(({ outcome, reasons }) => outcome === 'out' && reasons.length > 0)).toBe(true);
  });

  it('is none for a visitor of whom nothing is known', async () => {
    expect(await ask('dev:nobody', 'product_upsell')).toEqual({ data: { explain: null } });
  });

  it('refuses a slot that the playbook has not, whoever the visitor is, with the nearest name', async () => {
    for (const visitor of ['dev:alice', 'dev:nobody']) {
      const { errors } = await ask(visitor, 'product_upsel');
      expect(errors?.[0]).toMatchObject({
        message: '"product_upsel" is not a slot of the playbook; did you mean "product_upsell"?',
        extensions: { code: 'SLOT_UNKNOWN' },
      });
    }
  });

  it('is for a secret key alone: a visitor may not read another', async () => {
    expect((await ask('dev:alice', 'product_upsell', 'dev:bob')).errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
  });
});

describe('the explanation of a message, asked of a running Usher', () => {
  const askAction = (visitor: string, action: string, token = usher.devKey!) =>
    usher.query(
      `query ($visitor: ID!, $action: String!) { explainAction(visitor: { visitorId: $visitor }, action: $action) { ruleId contentId outcome reasons } }`,
      { visitor, action },
      token,
    );

  it('tells of each rule that sends it what keeps it from that: consent, an address, what its trigger waits for', async () => {
    const { data, errors } = await askAction('dev:alice', 'cart_mail');
    expect(errors).toBeUndefined();
    expect(data.explainAction).toMatchObject([{ ruleId: 'cart_reminder', contentId: 'cart_mail', outcome: 'out' }]);
    const [{ reasons }] = data.explainAction as [{ reasons: string[] }];
    expect(reasons).toEqual([
      expect.stringMatching(/^waits until .*, unless order_completed comes$/),
      'visitor.email != "" does not hold: visitor.email = ""',
      'there is no consent to marketing',
      'cart_mail has no address to go to',
    ]);
  });

  it('is none for a visitor of whom nothing is known, and refuses an action that the playbook has not', async () => {
    expect(await askAction('dev:nobody', 'cart_mail')).toEqual({ data: { explainAction: null } });
    expect((await askAction('dev:alice', 'cart_mial')).errors?.[0]).toMatchObject({
      message: '"cart_mial" is not an action of the playbook; did you mean "cart_mail"?',
      extensions: { code: 'ACTION_UNKNOWN' },
    });
    expect((await askAction('dev:alice', 'cart_mail', 'dev:bob')).errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
  });
});
