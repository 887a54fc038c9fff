import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { subscribe } from './client.ts';

const writer = 'usk_writer_0123456789';
const reader = 'usk_reader_0123456789';
let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher({
    playbook: join(import.meta.dirname, 'identityPlaybook'),
    secretKeys: [`${writer}=write`, `${reader}=read`],
  });
});
afterAll(() => usher[Symbol.asyncDispose]());

const outcome = 'outcome { status cursor error { code message path } }';
const update = `mutation($input: UpdateProfileInput!) { updateProfile(input: $input) { ${outcome} } }`;
const consent = `mutation($input: SetConsentInput!) { setConsent(input: $input) { ${outcome} } }`;
const track = `mutation($type: String!, $properties: JSON, $visitor: VisitorRef) {
  trackEvent(input: { type: $type, properties: $properties, visitor: $visitor }) { ${outcome} } }`;

async function updateProfile(userId: string, profile: object, token = writer) {
  const { data, errors } = await usher.query(update, { input: { visitor: { userId }, ...profile } }, token);
  return errors?.[0]?.extensions?.code ?? data.updateProfile.outcome;
}
async function setConsent(input: object, token: string) {
  const { data } = await usher.query(consent, { input }, token);
  return data.setConsent.outcome;
}
/** The visitor's facts, from the log to the state. */
async function factsOf(visitorId: string) {
  await usher.caughtUp();
  const { data } = await usher.query(
    `{ visitor(ref: { visitorId: ${JSON.stringify(visitorId)} }) { visitor traits consent counts { folded duplicate } } }`,
    {},
    reader,
  );
  return data.visitor;
}
async function shownTo(visitorId: string, slot: string): Promise<string> {
  await usher.caughtUp();
  const { data } = await usher.query(
    'query($visitor: VisitorRef!, $names: [String!]) { personalizedSlots(names: $names, visitor: $visitor) { content { id } } }',
    { visitor: { visitorId }, names: [slot] },
    reader,
  );
  return data.personalizedSlots[0].content.id;
}
/** With headers of the request's own. */
async function post(token: string, headers: Record<string, string>, query: string, variables: object = {}) {
  const response = await fetch(`${usher.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify({ query, variables }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever they asked for
  return (await response.json()) as { data: any };
}

describe('updateProfile', () => {
  it('tells facts that conditions read, and changes what is shown', async () => {
    const profile = { email: 'anna@shop.example', name: 'Anna', locale: 'de-AT', timeZone: 'Europe/Vienna' };
    expect(await updateProfile('anna', { ...profile, attributes: { tier: 'gold', points: 120 } })).toMatchObject({
      status: 'ACCEPTED',
      cursor: expect.any(String),
      error: null,
    });
    const { visitor, traits } = await factsOf('u:anna');
    expect(visitor).toMatchObject(profile);
    expect(traits).toEqual({ tier: 'gold', points: 120 });
    expect(await shownTo('u:anna', 'hero')).toBe('gold_hello');
  });

  it('leaves as it is what is not told, and removes what is null', async () => {
    await updateProfile('ben', { email: 'ben@shop.example', name: 'Ben', locale: 'en', attributes: { tier: 'gold' } });
    await updateProfile('ben', { name: 'Benjamin', attributes: { points: 1 } });
    expect(await factsOf('u:ben')).toMatchObject({
      visitor: { email: 'ben@shop.example', name: 'Benjamin', locale: 'en' },
      traits: { tier: 'gold', points: 1 },
    });
    await updateProfile('ben', { email: null, name: null, locale: null });
    expect((await factsOf('u:ben')).visitor).toMatchObject({ email: '', name: '', locale: '' });
  });

  it('counts once under one id', async () => {
    const id = randomUUID();
    await updateProfile('once', { id, name: 'One' });
    await updateProfile('once', { id, name: 'Two' });
    expect(await factsOf('u:once')).toMatchObject({ visitor: { name: 'One' }, counts: { folded: 1, duplicate: 1 } });
  });

  it.each<[string, object, string[]]>([
    ['an e-mail address without @', { email: 'anna' }, ['email']],
    ['an e-mail address with another line in it', { email: 'a@b.example\nBcc: c@d.example' }, ['email']],
    ['two e-mail addresses', { email: 'a@b.example,c@d.example' }, ['email']],
    ['an e-mail address that is too long', { email: `${'a'.repeat(60)}@${'b'.repeat(200)}.example` }, ['email']],
    ['a name that is too long', { name: 'x'.repeat(201) }, ['name']],
    ['half of a surrogate pair', { name: '\ud800' }, ['name']],
    ['a locale that is none', { locale: 'deutsch!' }, ['locale']],
    ['a time zone that is none', { timeZone: 'Europe/Wien' }, ['timeZone']],
    ['no time zone, which only another can replace', { timeZone: null }, ['timeZone']],
    ['an attribute that the playbook does not declare', { attributes: { shoeSize: 43 } }, ['attributes', 'shoeSize']],
    ['an attribute of another type', { attributes: { points: '120' } }, ['attributes', 'points']],
    ['an attribute out of its range', { attributes: { points: -1 } }, ['attributes', 'points']],
    ['attributes that are no map', { attributes: [1] }, ['attributes']],
  ])('refuses %s, and says where', async (_name, profile, path) => {
    expect(await updateProfile('bad', profile)).toMatchObject({
      status: 'REFUSED',
      error: { code: 'EVENT_INVALID', path, message: expect.stringContaining(path.join('.')) },
    });
    expect(await factsOf('u:bad')).toBeNull();
  });

  it('is for servers that may write: a browser could else take another’s e-mail address', async () => {
    expect(await updateProfile('carl', { name: 'x' }, 'dev:carl')).toBe('FORBIDDEN');
    expect(await updateProfile('carl', { name: 'x' }, reader)).toBe('FORBIDDEN');
    const { token, visitorId } = (await usher.query('mutation { startVisit { token visitorId } }')).data.startVisit;
    const told = { type: 'profile_updated', properties: { email: 'a@b.example' } };
    const { data } = await usher.query(track, told, token);
    expect(data.trackEvent.outcome).toMatchObject({ status: 'REFUSED', error: { code: 'FORBIDDEN', path: ['type'] } });
    const typed = 'mutation { trackEvent(input: { event: { profileUpdated: { name: "x" } } }) { outcome { status } } }';
    expect((await usher.query(typed, {}, token)).data.trackEvent.outcome.status).toBe('REFUSED');
    expect(await factsOf(visitorId)).toBeNull();
  });

  it('is told of a development name by its page, which plays the backend too', async () => {
    const told = { type: 'profile_updated', properties: { email: 'carl@shop.example' } };
    const { data } = await usher.query(track, told, 'dev:carl');
    expect(data.trackEvent.outcome.status).toBe('ACCEPTED');
    expect((await factsOf('dev:carl')).visitor.email).toBe('carl@shop.example');
  });
});

describe('setConsent', () => {
  it('is told by the visitor, or by a server, and is null before', async () => {
    await usher.query(track, { type: 'page_viewed' }, 'dev:dora');
    expect((await factsOf('dev:dora')).consent).toEqual({
      analytics: null,
      personalization: null,
      marketing: null,
      marketingAt: null,
    });
    expect(await setConsent({ purpose: 'ANALYTICS', granted: true }, 'dev:dora')).toMatchObject({ status: 'ACCEPTED' });
    await setConsent({ purpose: 'PERSONALIZATION', granted: false }, 'dev:dora');
    await setConsent({ purpose: 'MARKETING', granted: true, visitor: { visitorId: 'dev:dora' } }, writer);
    expect((await factsOf('dev:dora')).consent).toEqual({
      analytics: true,
      personalization: false,
      marketing: true,
      marketingAt: expect.any(Number),
    });
  });

  it('changes what is shown, and changes it back', async () => {
    await updateProfile('eva', { email: 'eva@shop.example' });
    const visitor = { userId: 'eva' };
    expect(await shownTo('u:eva', 'offer')).toBe('plain');
    await setConsent({ purpose: 'MARKETING', granted: true, visitor }, writer);
    expect(await shownTo('u:eva', 'offer')).toBe('newsletter_offer');
    await setConsent({ purpose: 'MARKETING', granted: false, visitor }, writer);
    expect(await shownTo('u:eva', 'offer')).toBe('plain');
  });

  it('is nobody else’s to give', async () => {
    const input = { purpose: 'MARKETING', granted: true, visitor: { userId: 'fritz' } };
    for (const token of ['dev:other', reader])
      expect((await setConsent(input, token)).error).toMatchObject({ code: 'FORBIDDEN' });
    const { errors } = await usher.query(consent, { input: { purpose: 'SALES', granted: true } }, 'dev:other');
    expect(errors?.[0]?.extensions?.code).toBe('BAD_REQUEST');
    expect(await factsOf('u:fritz')).toBeNull();
  });
});

describe('Global Privacy Control', () => {
  const viewed = 'mutation { trackEvent(input: { type: "page_viewed" }) { outcome { status } } }';

  it('is no to marketing, whatever was agreed to before, and to nothing else', async () => {
    for (const purpose of ['MARKETING', 'ANALYTICS']) await setConsent({ purpose, granted: true }, 'dev:gpc');
    await post('dev:gpc', { 'sec-gpc': '0' }, viewed);
    expect((await factsOf('dev:gpc')).consent).toMatchObject({ marketing: true, analytics: true });
    await post('dev:gpc', { 'sec-gpc': '1' }, viewed);
    expect((await factsOf('dev:gpc')).consent).toMatchObject({ marketing: false, analytics: true });
  });

  it('is no where nothing was told', async () => {
    await post('dev:gpc-only', { 'sec-gpc': '1' }, viewed);
    const { consent, visitor } = await factsOf('dev:gpc-only');
    expect(consent).toMatchObject({ marketing: false, personalization: null });
    expect(visitor.privacyControlAt).toEqual(expect.any(Number));
  });

  it('stands against what the same browser tells, until a server tells otherwise', async () => {
    await updateProfile('gil', { email: 'gil@shop.example' });
    const input = { purpose: 'MARKETING', granted: true };
    const { visit } = (
      await usher.query(
        'mutation { identify(input: { token: "dev:gil" }) { visit { token } } }',
        {},
        'dev:gil-anonymous',
      )
    ).data.identify;
    await post(visit.token, { 'sec-gpc': '1' }, consent, { input });
    expect((await factsOf('u:gil')).consent).toMatchObject({ marketing: false });
    expect(await shownTo('u:gil', 'offer')).toBe('plain');
    await setConsent({ ...input, visitor: { userId: 'gil' } }, writer);
    expect((await factsOf('u:gil')).consent).toMatchObject({ marketing: true });
    expect(await shownTo('u:gil', 'offer')).toBe('newsletter_offer');
    await post(visit.token, { 'sec-gpc': '1' }, viewed);
    expect(await shownTo('u:gil', 'offer')).toBe('plain');
  });

  it('cannot be told by a page instead of the header', async () => {
    const query =
      'mutation($context: PageContextInput) { trackEvent(input: { type: "page_viewed", context: $context }) { outcome { status } } }';
    const { errors } = await usher.query(query, { context: { globalPrivacyControl: true } }, 'dev:gpc-page');
    expect(errors?.[0]?.extensions?.code).toBe('BAD_REQUEST');
  });
});

it('the consent of a subscriber changes what is pushed', async () => {
  await updateProfile('hanna', { email: 'hanna@shop.example' });
  const { visit } = (
    await usher.query(
      'mutation { identify(input: { token: "dev:hanna" }) { visit { token } } }',
      {},
      'dev:hanna-anonymous',
    )
  ).data.identify;
  await using updates = subscribe(
    usher,
    'subscription { contentUpdates(names: ["offer"]) { slots { content { id } } } }',
    visit.token,
  );
  const next = async () => (await updates.next()).data.contentUpdates.slots[0].content.id;
  expect(await next()).toBe('plain');
  await setConsent({ purpose: 'MARKETING', granted: true }, visit.token);
  expect(await next()).toBe('newsletter_offer');
});
