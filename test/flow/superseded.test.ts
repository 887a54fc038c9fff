import { expect, it } from 'vitest';
import { stream, subscribe } from '../gateway/client.ts';
import { describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import { flowPlaybook, lookedAt } from './shopper.ts';

const identity = 'mutation($token: String!) { identify(input: { token: $token }) { visit { token } error { code } } }';
const slots = '{ personalizedSlots(names: ["last_look"]) { source content { data } } }';
const updates = 'subscription { contentUpdates(names: ["last_look"]) { kind slots { source content { data } } } }';
const view = `mutation($productId: String!) { trackEvent(input: { type: "product_viewed", properties: { productId: $productId } }) {
  outcome { status } slots(names: ["last_look"], waitMs: 10000) { source content { data } } } }`;
const superseded = [{ extensions: { code: 'TOKEN_SUPERSEDED' } }];

/** A visitor of an own visit, who has looked at something. */
async function anonymous(usher: WholeUsher, productId: string): Promise<string> {
  const { token } = (await usher.query('mutation { startVisit { token } }')).data.startVisit;
  const { data } = await usher.query(view, { productId }, token);
  expect(data.trackEvent.slots).toMatchObject([{ source: 'RULE', content: { data: { title: lookedAt(productId) } } }]);
  return token;
}
const identify = async (usher: WholeUsher, visit: string, user: string) =>
  (await usher.query(identity, { token: `dev:${user}` }, visit)).data.identify;

async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describePair('the token of a visitor who has become a user', () => {
  it('reads nothing of the user: fallbacks, and an error that says so; its events still count, for the user', async () => {
    await using usher = await startWhole({ playbook: flowPlaybook });
    const visit = await anonymous(usher, 'p_1');
    const known = (await identify(usher, visit, 'reader')).visit.token;
    const shown = await until(
      () => usher.query(slots, {}, visit),
      ({ errors }) => errors !== undefined,
    );
    expect(shown).toMatchObject({ data: { personalizedSlots: [{ source: 'FALLBACK' }] }, errors: superseded });
    // As every lane answers: this one is GraphQL Yoga's.
    for (const url of usher.urls) {
      const long = await fetch(`${url}/graphql?query=${encodeURIComponent(slots)}`, {
        headers: { authorization: `Bearer ${visit}`, accept: 'application/json' },
      });
      expect(await long.json()).toMatchObject({
        data: { personalizedSlots: [{ source: 'FALLBACK' }] },
        errors: superseded,
      });
    }
    const hers = async (productId: string) =>
      until(
        () => usher.query(slots, {}, known),
        ({ data }) => data.personalizedSlots[0].content.data.title === lookedAt(productId),
      );
    expect(await hers('p_1')).not.toHaveProperty('errors');

    const late = await usher.query(view, { productId: 'p_2' }, visit);
    expect(late).toMatchObject({
      data: { trackEvent: { outcome: { status: 'ACCEPTED' }, slots: [{ source: 'FALLBACK' }] } },
      errors: superseded,
    });
    await hers('p_2');
    expect(await usher.query(slots, {}, visit)).toMatchObject({ errors: superseded });
  }, 120_000);

  it.each([
    ['WebSocket', subscribe],
    ['server-sent events', stream],
  ] as const)(
    'gets the fallbacks by %s, then the end of its subscription',
    async (_name, open) => {
      await using usher = await startWhole({ playbook: flowPlaybook });
      const visit = await anonymous(usher, 'p_3');
      await using received = open(usher, updates, visit);
      expect(await received.next()).toMatchObject({ data: { contentUpdates: { slots: [{ source: 'RULE' }] } } });
      await identify(usher, visit, 'subscriber');
      expect(await received.next()).toMatchObject({
        data: { contentUpdates: { kind: 'SNAPSHOT', slots: [{ source: 'FALLBACK' }] } },
      });
      expect(await received.next()).toMatchObject({ errors: superseded });
      expect(await received.ended()).toBe('complete');
      // And at once when it asks again.
      await using again = open(usher, updates, visit);
      expect(await again.next()).toMatchObject({ data: { contentUpdates: { slots: [{ source: 'FALLBACK' }] } } });
      expect(await again.next()).toMatchObject({ errors: superseded });
    },
    120_000,
  );

  it('is the same user again when the same one logs in, and no other', async () => {
    await using usher = await startWhole({ playbook: flowPlaybook });
    const visit = await anonymous(usher, 'p_4');
    await identify(usher, visit, 'first');
    await until(
      () => usher.query(slots, {}, visit),
      ({ errors }) => errors !== undefined,
    );
    expect(await identify(usher, visit, 'first')).toMatchObject({ visit: { token: expect.any(String) }, error: null });
    expect(await identify(usher, visit, 'second')).toEqual({ visit: null, error: { code: 'IDENTITY_KNOWN_USER' } });
  }, 120_000);
});
