import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCursor } from '../../src/gateway/cursor.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { bound } from '../support/bound.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const playbook = join(import.meta.dirname, 'playbook');
let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher({ playbook });
});
afterAll(() => usher[Symbol.asyncDispose]());

const slots = `query ($names: [String!], $after: Cursor, $waitMs: Int, $context: PageContextInput, $visitor: VisitorRef) {
  personalizedSlots(names: $names, after: $after, waitMs: $waitMs, context: $context, visitor: $visitor) {
    name source stale version cursor decidedAt expiresAt content { id type data ... on JsonContent { id } } why { sentence ruleId eventId }
  } }`;
const track = `mutation ($input: TrackEventInput!, $waitMs: Int) { trackEvent(input: $input) {
  outcome { id status cursor } slots(names: ["last_look"], waitMs: $waitMs) { source stale version content { data } } } }`;
const viewed = (productId: string, more: object = {}) => ({
  input: { type: 'product_viewed', properties: { productId }, ...more },
});
let made = 0;
const newVisitor = () => `dev:slots-${++made}`;
const namesOf = (data: { personalizedSlots: { name: string }[] }) =>
  data.personalizedSlots.map((slot) => slot?.name ?? null);

describe('personalizedSlots', () => {
  it('gives each slot its fallback to a visitor nobody knows', async () => {
    const { data } = await usher.query(slots, { names: ['last_look'] }, newVisitor());
    expect(data.personalizedSlots).toEqual([
      {
        name: 'last_look',
        source: 'FALLBACK',
        stale: false,
        version: 0,
        cursor: expect.any(String),
        decidedAt: null,
        expiresAt: null,
        content: { id: 'nothing_yet', type: 'text', data: { title: 'Look at something' } },
        why: { sentence: expect.stringContaining('fallback'), ruleId: null, eventId: null },
      },
    ]);
  });
  it('gives the slots of any page, and with context.page those of that page', async () => {
    expect(namesOf((await usher.query(slots)).data)).toEqual(['last_look']);
    expect(namesOf((await usher.query(slots, { context: { page: 'product' } })).data)).toEqual([
      'last_look',
      'second_look',
    ]);
  });
  it('gives the names asked for in their order, null and SLOT_UNKNOWN at the place of an unknown one', async () => {
    const { data, errors } = await usher.query(slots, {
      names: ['second_look', 'last_lok', 'last_look', 'second_look'],
    });
    expect(namesOf(data)).toEqual(['second_look', null, 'last_look', 'second_look']);
    expect(errors).toHaveLength(1);
    expect(errors![0]).toMatchObject({ path: ['personalizedSlots', 1], extensions: { code: 'SLOT_UNKNOWN' } });
    expect(errors![0]!.message).toContain('did you mean "last_look"?');
  });
  it('takes 50 names and not 51', async () => {
    expect((await usher.query(slots, { names: Array(50).fill('last_look') })).data.personalizedSlots).toHaveLength(50);
    expect((await usher.query(slots, { names: Array(51).fill('last_look') })).errors?.[0]?.extensions?.code).toBe(
      'TOO_MANY_NAMES',
    );
  });
  it('wants to know who asks, and says what to send', async () => {
    const answer = await fetch(`${usher.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ personalizedSlots { name } }' }),
    });
    const { errors } = (await answer.json()) as { errors: { message: string; extensions: { code: string } }[] };
    expect(errors[0]!.extensions.code).toBe('VISIT_REQUIRED');
    expect(errors[0]!.message).toContain('"Authorization: Bearer dev:alice"');
  });
});

describe('read your own writes', () => {
  it('answers an event with slots decided after it', async () => {
    const token = newVisitor();
    for (const productId of ['p_1', 'p_2', 'p_3']) {
      const { data } = await usher.query(track, { ...viewed(productId), waitMs: 2_000 }, token);
      expect(data.trackEvent.slots[0]).toMatchObject({
        source: 'RULE',
        stale: false,
        content: { data: { title: `You looked at ${productId}` } },
      });
    }
  });
  it('answers a query after a cursor when that is folded', async () => {
    const token = newVisitor();
    const { data } = await usher.query(track, { ...viewed('p_1'), waitMs: 0 }, token);
    const answer = await usher.query(
      slots,
      { names: ['last_look'], after: data.trackEvent.outcome.cursor, waitMs: 2_000 },
      token,
    );
    expect(answer.data.personalizedSlots[0]).toMatchObject({
      source: 'RULE',
      stale: false,
      why: { ruleId: 'show_last_look', eventId: data.trackEvent.outcome.id },
    });
    const again = await usher.query(
      slots,
      { names: ['last_look'], after: answer.data.personalizedSlots[0].cursor },
      token,
    );
    expect(again.data.personalizedSlots[0]).toMatchObject({ source: 'RULE', stale: false });
  });
  it('waits for a held event until its hold ends, and says stale when that takes too long', async () => {
    const token = newVisitor();
    const numbered = (sequence: number, productId: string) => viewed(productId, { source: 'a', sequence });
    await usher.query(track, { ...numbered(1, 'p_1'), waitMs: 2_000 }, token);
    // Number 2 never comes: 3 is held for 50 ms, then folded.
    const late = await usher.query(track, { ...numbered(3, 'p_3'), waitMs: 1 }, token);
    expect(late.data.trackEvent.slots[0].stale).toBe(true);
    const waited = await usher.query(
      slots,
      { names: ['last_look'], after: late.data.trackEvent.outcome.cursor, waitMs: 5_000 },
      token,
    );
    expect(waited.data.personalizedSlots[0]).toMatchObject({
      stale: false,
      content: { data: { title: 'You looked at p_3' } },
    });
  });
  it('refuses a cursor of another visitor, of the future, or of nobody', async () => {
    const [mine, other] = [newVisitor(), newVisitor()];
    const { data } = await usher.query(track, viewed('p_1'), other);
    const codeOf = async (after: string) =>
      (await usher.query(slots, { after, waitMs: 5_000 }, mine)).errors?.[0]?.extensions?.code;
    expect(await codeOf(data.trackEvent.outcome.cursor)).toBe('BAD_CURSOR');
    expect(await codeOf(encodeCursor({ visitor: mine, upTo: 1_000_000, slots: null }))).toBe('BAD_CURSOR');
    expect(await codeOf('nonsense')).toBe('BAD_CURSOR');
    expect(await codeOf('')).toBe('BAD_CURSOR');
    expect(await codeOf(encodeCursor({ visitor: mine, upTo: 0, slots: null }))).toBeUndefined();
  });
  it('refuses to wait longer than ten seconds', async () => {
    expect((await usher.query(slots, { waitMs: 10_001 })).errors?.[0]?.extensions?.code).toBe('BAD_REQUEST');
    expect((await usher.query(slots, { waitMs: -1 })).errors?.[0]?.extensions?.code).toBe('BAD_REQUEST');
  });
});

describe('a state that does not answer', () => {
  const faults: Record<string, Partial<StateStore>> = {
    'fails at once': { readSlots: () => Promise.reject(new Error('gone')) },
    'never answers': { readSlots: () => new Promise(() => {}) },
  };
  it.each(Object.entries(faults))(
    'gives fallbacks that say stale, within the deadline: it %s',
    async (_name, fault) => {
      await using broken = await startTestUsher(
        { playbook, slotsDeadlineMs: 50 },
        { wrapStore: (store) => ({ ...bound(store), ...fault }) },
      );
      const startedAt = performance.now();
      const { data, errors } = await broken.query(slots, { names: ['last_look'] });
      expect(errors).toBeUndefined();
      expect(data.personalizedSlots[0]).toMatchObject({
        source: 'FALLBACK',
        stale: true,
        content: { id: 'nothing_yet' },
      });
      expect(performance.now() - startedAt).toBeLessThan(5_000);
      const tracked = await broken.query(track, viewed('p_1'));
      expect(tracked.data.trackEvent).toMatchObject({
        outcome: { status: 'ACCEPTED' },
        slots: [{ source: 'FALLBACK', stale: true }],
      });
    },
  );
});

describe('a secret key', () => {
  it('reads and writes for the visitors it names, and needs to name one', async () => {
    const key = readFileSync(join(usher.config.data, 'dev-key'), 'utf8').trim();
    const sent = await usher.query(track, { ...viewed('p_1', { visitor: { userId: 'ann' } }), waitMs: 2_000 }, key);
    expect(sent.data.trackEvent.slots[0].source).toBe('RULE');
    const read = await usher.query(slots, { names: ['last_look'], visitor: { visitorId: 'u:ann' } }, key);
    expect(read.data.personalizedSlots[0].source).toBe('RULE');
    expect((await usher.query(slots, {}, key)).errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
    expect(
      (await usher.query('{ visitor(ref: { userId: "ann" }) { id visitor counts { folded } } }', {}, key)).data.visitor,
    ).toMatchObject({ id: 'u:ann', counts: { folded: 1 } });
  });
  it('does only what its scopes allow', async () => {
    const keys = {
      write: 'usk_write_0123456789abcdef',
      read: 'usk_read_0123456789abcdef',
      import: 'usk_import_0123456789abcdef',
      operate: 'usk_operate_0123456789abcdef',
    };
    await using own = await startTestUsher({
      playbook,
      secretKeys: Object.entries(keys).map(([scope, key]) => `${key}=${scope}`),
    });
    const visitor = { userId: 'ann' };
    const codeOf = async (query: string, variables: object, key: string) => {
      const { data, errors } = await own.query(query, variables, key);
      return errors?.[0]?.extensions?.code ?? data.trackEvent?.outcome.error?.code ?? 'fine';
    };
    const codesOf = async (query: string, variables: object = {}) =>
      Object.fromEntries(
        await Promise.all(
          Object.entries(keys).map(async ([scope, key]) => [scope, await codeOf(query, variables, key)]),
        ),
      );
    const outcome = 'mutation ($input: TrackEventInput!) { trackEvent(input: $input) { outcome { error { code } } } }';
    expect(await codesOf(outcome, viewed('p', { visitor }))).toEqual({
      write: 'fine',
      read: 'FORBIDDEN',
      import: 'IMPORT_NEEDS_TIME',
      operate: 'FORBIDDEN',
    });
    expect(await codesOf(slots, { visitor })).toEqual({
      write: 'FORBIDDEN',
      read: 'fine',
      import: 'FORBIDDEN',
      operate: 'FORBIDDEN',
    });
    expect(await codesOf('{ status { lag } }')).toEqual({
      write: 'FORBIDDEN',
      read: 'fine',
      import: 'fine',
      operate: 'fine',
    });
    expect(await codesOf('{ failedEvents(shard: 0) { position } }')).toEqual({
      write: 'FORBIDDEN',
      read: 'fine',
      import: 'FORBIDDEN',
      operate: 'FORBIDDEN',
    });
    expect(await codesOf('mutation { advance(input: { to: "2026-01-01T00:00:00Z" }) { cursors } }')).toEqual({
      write: 'FORBIDDEN',
      read: 'FORBIDDEN',
      import: 'fine',
      operate: 'FORBIDDEN',
    });
  });
  it('imports old events with scope import', async () => {
    const key = readFileSync(join(usher.config.data, 'dev-key'), 'utf8').trim();
    const old = { occurredAt: '2020-01-01T10:00:00Z', source: 'file', sequence: 1, visitor: { userId: 'old' } };
    const imported = await usher.query(track, viewed('p_1', old), key);
    expect(imported.data.trackEvent.outcome.status).toBe('ACCEPTED');
    await usher.caughtUp();
    const { data } = await usher.query('{ visitor(ref: { userId: "old" }) { counts { folded failed } } }', {}, key);
    expect(data.visitor.counts).toEqual({ folded: 1, failed: 0 });
  });
});

describe('operators', () => {
  it('page through the visitors of every shard, and see how far each is folded', async () => {
    const key = readFileSync(join(usher.config.data, 'dev-key'), 'utf8').trim();
    await usher.caughtUp();
    const { status } = (
      await usher.query('{ status { lag playbookVersion shards { shard position end lag counters } } }', {}, key)
    ).data;
    expect(status).toMatchObject({ lag: 0, playbookVersion: usher.playbook.version });
    expect(status.shards).toHaveLength(8);
    let seen = 0;
    for (let shard = 0; shard < 8; shard++) {
      let after: string | null = null;
      do {
        const page: { data: { visitors: { visitors: { id: string }[]; end: string | null } } } = await usher.query(
          'query ($shard: Int!, $after: ID) { visitors(shard: $shard, after: $after, first: 2) { end visitors { id } } }',
          { shard, after },
          key,
        );
        seen += page.data.visitors.visitors.length;
        after = page.data.visitors.end;
      } while (after !== null);
    }
    expect(seen).toBe(
      status.shards.reduce(
        (sum: number, shard: { counters: { visitors: number } }) => sum + shard.counters.visitors,
        0,
      ),
    );
    expect((await usher.query('{ visitors(shard: 8) { end } }', {}, key)).errors?.[0]?.extensions?.code).toBe(
      'BAD_REQUEST',
    );
    expect(
      (await usher.query('{ visitors(shard: 0, first: 501) { end } }', {}, key)).errors?.[0]?.extensions?.code,
    ).toBe('BAD_REQUEST');
  });
});
