import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MessageLink, readLink, signLink } from '../../src/gateway/linkTokens.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const secret = 'a secret of at least thirty-two characters';
let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher({ playbook: join(import.meta.dirname, 'identityPlaybook'), secret });
});
afterAll(() => usher[Symbol.asyncDispose]());

const link: MessageLink = {
  use: 'offer',
  id: '0123456789abcdef0123456789abcdef',
  visitor: 'u:alice',
  action: 'cart_mail',
  destination: 'shop_mail',
  values: { discountPercent: 10 },
  purpose: 'marketing',
  expiresAt: Date.UTC(2100, 0, 1),
};
const unsubscription: MessageLink = { ...link, use: 'unsubscribe', expiresAt: null };
const unsubscribeUrl = (token: string) => `${usher.url}/unsubscribe?token=${encodeURIComponent(token)}`;

async function offer(token: string) {
  const query =
    'query($token: String!) { offer(token: $token) { offer { id visitor action values expiresAt } error { code path } } }';
  return (await usher.query(query, { token })).data.offer;
}
async function aliceIs() {
  await usher.caughtUp();
  const { data } = await usher.query('{ visitor { consent counts { folded duplicate } } }', {}, 'dev:alice');
  return data.visitor;
}

describe('a signed link', () => {
  it('says what was signed, and the same link is the same text', () => {
    expect(readLink(signLink(link, secret), secret)).toEqual(link);
    expect(signLink(link, secret)).toBe(signLink({ ...link }, secret));
  });

  it('says nothing when any character of it is changed, or under another secret', () => {
    const token = signLink(link, secret);
    const places = Array.from({ length: token.length }, (_, i) => i);
    // The last character of a base64url text has bits that say nothing.
    for (const i of places.slice(0, -1)) {
      const changed = `${token.slice(0, i)}${token[i] === 'A' ? 'B' : 'A'}${token.slice(i + 1)}`;
      expect(readLink(changed, secret), `with character ${i} changed`).toBeNull();
    }
    expect(readLink(token, `${secret}.`)).toBeNull();
    expect(readLink(`${token}.${token}`, secret)).toBeNull();
    expect(readLink('', secret)).toBeNull();
  });
});

describe('the offer of a message', () => {
  it('is told to whoever has its link', async () => {
    expect(await offer(signLink(link, secret))).toEqual({
      offer: {
        id: link.id,
        visitor: 'u:alice',
        action: 'cart_mail',
        values: { discountPercent: 10 },
        expiresAt: '2100-01-01T00:00:00.000Z',
      },
      error: null,
    });
  });

  it('is none when it is over, changed, or a link for something else', async () => {
    const over = signLink({ ...link, expiresAt: Date.UTC(2020, 0, 1) }, secret);
    expect(await offer(over)).toEqual({ offer: null, error: { code: 'OFFER_EXPIRED', path: ['token'] } });
    const invalid = { offer: null, error: { code: 'OFFER_INVALID', path: ['token'] } };
    expect(await offer(signLink(unsubscription, secret))).toEqual(invalid);
    expect(await offer(signLink(link, 'another secret of more than thirty-two'))).toEqual(invalid);
  });

  it('is no visit token, and a visit token is no offer', async () => {
    const { data } = await usher.query('mutation { startVisit { token } }');
    expect((await offer(data.startVisit.token)).error.code).toBe('OFFER_INVALID');
    const asVisit = await usher.query('{ visitor { id } }', {}, signLink(link, secret));
    expect(asVisit.errors?.[0]?.extensions?.code).toBe('TOKEN_INVALID');
  });
});

describe('the link to unsubscribe', () => {
  const token = signLink({ ...unsubscription, visitor: 'dev:alice' }, secret);

  it('asks before it does anything, because mail scanners follow links', async () => {
    await usher.query(
      'mutation { trackEvent(input: { type: "page_viewed" }) { outcome { status } } }',
      {},
      'dev:alice',
    );
    const answer = await fetch(unsubscribeUrl(token));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await answer.text()).toContain('<form method="post">');
    expect((await aliceIs()).counts).toEqual({ folded: 1, duplicate: 0 });
  });

  it('ends the consent of whom the mail was sent to, by one click, once', async () => {
    for (const expected of [
      { folded: 3, duplicate: 0 },
      { folded: 3, duplicate: 2 },
    ]) {
      // As a mail program does it (RFC 8058).
      const answer = await fetch(unsubscribeUrl(token), {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: 'List-Unsubscribe=One-Click',
      });
      expect(answer.status).toBe(200);
      expect(await answer.text()).toContain('Done');
      const alice = await aliceIs();
      expect(alice.consent.marketing).toBe(false);
      expect(alice.counts).toEqual(expected);
    }
  });

  it('does nothing with a link that is cut, or an offer', async () => {
    for (const wrong of [token.slice(0, -3), signLink(link, secret), '']) {
      const answer = await fetch(unsubscribeUrl(wrong), { method: 'POST' });
      expect(answer.status).toBe(400);
    }
    expect((await aliceIs()).counts).toEqual({ folded: 3, duplicate: 2 });
  });
});
