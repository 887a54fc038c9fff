import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { stream, subscribe } from './client.ts';

let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher({ playbook: join(import.meta.dirname, 'playbook') });
});
afterAll(() => usher[Symbol.asyncDispose]());

const updates = `subscription ($names: [String!], $after: Cursor, $visitor: VisitorRef) {
  contentUpdates(names: $names, after: $after, visitor: $visitor) {
    kind cursor slots { name source version content { data } } cause { eventId eventType rules at stages { name ms } }
  } }`;
let made = 0;
const newVisitor = () => `dev:updates-${++made}`;
async function view(token: string, productId: string): Promise<{ id: string; cursor: string }> {
  const { data } = await usher.query(
    'mutation ($p: JSON) { trackEvent(input: { type: "product_viewed", properties: $p }) { outcome { id cursor } } }',
    { p: { productId } },
    token,
  );
  return data.trackEvent.outcome;
}
async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${usher.url}/metrics`)).text();
  return Number(
    text
      .split('\n')
      .find((each) => each.startsWith(line))
      ?.split(' ')
      .at(-1) ?? 0,
  );
}

describe.each([
  ['WebSocket', subscribe, 'ws'],
  ['server-sent events', stream, 'sse'],
] as const)('contentUpdates over %s', (_name, open, transport) => {
  it('sends a snapshot of every slot, then what each event changed, with its cause and where the time went', async () => {
    const token = newVisitor();
    await using feed = open(usher, updates, token);
    const snapshot = (await feed.next()).data.contentUpdates;
    expect(snapshot).toMatchObject({ kind: 'SNAPSHOT', cause: null });
    expect(snapshot.slots.map((slot: { name: string }) => slot.name)).toEqual(['last_look', 'second_look']);
    for (const productId of ['p_1', 'p_2']) {
      const { id } = await view(token, productId);
      const change = (await feed.next()).data.contentUpdates;
      expect(change).toMatchObject({
        kind: 'CHANGE',
        slots: [{ name: 'last_look', source: 'RULE', content: { data: { title: `You looked at ${productId}` } } }],
        cause: { eventId: id, eventType: 'product_viewed', rules: ['show_last_look'] },
      });
      expect(change.cause.stages.map((stage: { name: string }) => stage.name)).toEqual([
        'accept→log',
        'log→fold',
        'fold→commit',
        'commit→push',
      ]);
    }
  });

  it('sends nobody another visitor’s changes', async () => {
    const [mine, other] = [newVisitor(), newVisitor()];
    await using feed = open(usher, updates, mine);
    await feed.next();
    await view(other, 'p_other');
    await view(mine, 'p_mine');
    const { slots } = (await feed.next()).data.contentUpdates;
    expect(slots[0].content.data.title).toBe('You looked at p_mine');
    expect(feed.all).toHaveLength(2);
  });

  it('resumes after a cursor: nothing when nothing changed, the missed change otherwise', async () => {
    const token = newVisitor();
    await view(token, 'p_1');
    await usher.caughtUp();
    await using first = open(usher, updates, token);
    const { cursor } = (await first.next()).data.contentUpdates;
    await using same = open(usher, updates, token, { after: cursor });
    await expect.poll(() => metric(`usher_subscriptions_active{transport="${transport}"}`)).toBe(2);
    const { id } = await view(token, 'p_2');
    expect((await same.next()).data.contentUpdates.cause.eventId).toBe(id);
    await using later = open(usher, updates, token, { after: cursor });
    const missed = (await later.next()).data.contentUpdates;
    expect(missed).toMatchObject({ kind: 'SNAPSHOT', slots: [{ name: 'last_look' }] });
  });

  it('sends only the slots asked for, and says which name is unknown', async () => {
    const token = newVisitor();
    await using feed = open(usher, updates, token, { names: ['second_look'] });
    expect((await feed.next()).data.contentUpdates.slots).toHaveLength(1);
    await using wrong = open(usher, updates, token, { names: ['second_lok'] });
    expect((await wrong.next()).errors?.[0]?.extensions.code).toBe('SLOT_UNKNOWN');
    expect(await wrong.ended()).toBe('complete');
  });

  it('refuses another visitor’s cursor', async () => {
    const { cursor } = await view(newVisitor(), 'p_1');
    await using feed = open(usher, updates, newVisitor(), { after: cursor });
    expect((await feed.next()).errors?.[0]?.extensions.code).toBe('BAD_CURSOR');
    expect(await feed.ended()).toBe('complete');
  });

  it('is forgotten when the subscriber goes', async () => {
    const line = `usher_subscriptions_active{transport="${transport}"}`;
    const feed = open(usher, updates, newVisitor());
    await feed.next();
    expect(await metric(line)).toBeGreaterThan(0);
    feed.stop();
    await expect.poll(() => metric(line)).toBe(0);
    await feed[Symbol.asyncDispose]();
  });

  it('ends with complete when the process stops', async () => {
    await using own = await startTestUsher({ playbook: join(import.meta.dirname, 'playbook') });
    await using feed = open(own, updates, 'dev:alice');
    await feed.next();
    await own.stop();
    expect(await feed.ended()).toBe('complete');
  });
});

describe('a named visitor', () => {
  it('is watched with a secret key of scope read, and not with a visit token', async () => {
    const key = readFileSync(join(usher.config.data, 'dev-key'), 'utf8').trim();
    const token = newVisitor();
    await using feed = subscribe(usher, updates, key, { visitor: { visitorId: token } });
    await feed.next();
    await view(token, 'p_1');
    expect((await feed.next()).data.contentUpdates.kind).toBe('CHANGE');
    await using refused = subscribe(usher, updates, newVisitor(), { visitor: { visitorId: token } });
    expect((await refused.next()).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});

describe('activity', () => {
  const activity =
    'subscription ($visitor: VisitorRef) { activity(visitor: $visitor) { visitorId what eventId type properties rules slots { name content { data } } } }';

  /** There is no first message, so the count of subscriptions tells when it is open. */
  async function watch(token: string) {
    const open = () => metric('usher_subscriptions_active{transport="ws"}');
    await expect.poll(open).toBe(0);
    const feed = subscribe(usher, activity, token);
    await expect.poll(open).toBe(1);
    return feed;
  }

  it('tells a visitor what became of each event, and only of its own', async () => {
    const token = newVisitor();
    await using feed = await watch(token);
    await view(newVisitor(), 'p_other');
    const id = '00000000-0000-4000-8000-00000000000a';
    const twice = { id, type: 'product_viewed', properties: { productId: 'p_1' } };
    await usher.query(
      'mutation ($e: [EventRecordInput!]!) { trackEvents(input: { events: $e }) { accepted } }',
      { e: [twice, twice] },
      token,
    );
    expect((await feed.next()).data.activity).toEqual({
      visitorId: token,
      what: 'FOLDED',
      eventId: id,
      type: 'product_viewed',
      properties: { productId: 'p_1' },
      rules: ['show_last_look'],
      slots: [{ name: 'last_look', content: { data: { title: 'You looked at p_1' } } }],
    });
    expect((await feed.next()).data.activity).toMatchObject({
      visitorId: token,
      what: 'DUPLICATE',
      eventId: id,
      slots: [],
    });
  });

  it('tells a secret key of everybody', async () => {
    const key = readFileSync(join(usher.config.data, 'dev-key'), 'utf8').trim();
    await using feed = await watch(key);
    const [one, two] = [newVisitor(), newVisitor()];
    await view(one, 'p_1');
    await view(two, 'p_1');
    const seen = [(await feed.next()).data.activity.visitorId, (await feed.next()).data.activity.visitorId];
    expect(seen.sort()).toEqual([one, two].sort());
  });
});
