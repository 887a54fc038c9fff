import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher({ shards: 4 });
});
afterAll(() => usher[Symbol.asyncDispose]());

const scoped = (scope: string) => `usk_${scope}_0123456789abcdef`;
const retryMutation = `mutation($events: [FailedEventRetry!]!) {
  retryFailedEvents(input: { events: $events }) { outcomes { id status cursor error { code message path } } }
}`;

async function ask(document: string, variables: object = {}): Promise<ReturnType<JSON['parse']>> {
  const { data, errors } = await usher.query(document, variables, usher.devKey!);
  expect(errors).toBeUndefined();
  return data;
}
async function retry(...events: object[]) {
  return (await ask(retryMutation, { events })).retryFailedEvents.outcomes;
}
async function failedOf(user: string): Promise<{ position: string; reason: string; record: string }[]> {
  await usher.caughtUp();
  const all = [];
  for (let shard = 0; shard < 4; shard++) {
    const { failedEvents } = await ask(`{ failedEvents(shard: ${shard}) { position reason visitorId record } }`);
    all.push(...failedEvents.filter((event: { visitorId: string }) => event.visitorId === `u:${user}`));
  }
  return all;
}
async function track(user: string, ...events: object[]): Promise<void> {
  const { trackEvents } = await ask('mutation($input: TrackEventsInput!) { trackEvents(input: $input) { accepted } }', {
    input: { events: events.map((event) => ({ id: randomUUID(), visitor: { userId: user }, ...event })) },
  });
  expect(trackEvents.accepted).toBe(events.length);
}
async function visitorOf(user: string) {
  await usher.caughtUp();
  const { visitor } = await ask(
    `{ visitor(ref: { userId: "${user}" }) { visitor cart { lines { productId quantity price } } counts { folded duplicate failed } } }`,
  );
  return visitor;
}
const unpriced = { type: 'cart_item_added', properties: { productId: 'nobody_sells_it', quantity: 1 } };
const priced = { productId: 'nobody_sells_it', quantity: 1, price: 12.5 };

describe('retryFailedEvents', () => {
  it('folds a corrected event where it failed in time, and the failed event is one no longer', async () => {
    await track('corrected', unpriced);
    const [failed] = await failedOf('corrected');
    expect(failed).toMatchObject({ reason: 'PRICE_UNKNOWN' });
    const [outcome] = await retry({ position: failed!.position, properties: priced });
    expect(outcome).toMatchObject({ status: 'ACCEPTED', error: null, cursor: expect.any(String) });
    const { cart, counts } = await visitorOf('corrected');
    expect(cart.lines).toEqual([{ productId: 'nobody_sells_it', quantity: 1, price: 12.5 }]);
    expect(counts).toEqual({ folded: 1, duplicate: 0, failed: 1 });
    expect(await failedOf('corrected')).toEqual([]);
    expect(await retry({ position: failed!.position, properties: priced })).toMatchObject([
      { status: 'REFUSED', id: outcome.id, error: { code: 'FAILED_EVENT_UNKNOWN' } },
    ]);
  });

  it('counts once what is retried twice at the same time, in one call and in several', async () => {
    await track('twice', unpriced);
    const [failed] = await failedOf('twice');
    const order = { position: failed!.position, properties: priced };
    const outcomes = await Promise.all([
      retry(order, order),
      retry(order),
      retry({ ...order, properties: { ...priced, price: 99 } }),
    ]);
    for (const outcome of outcomes.flat()) expect(['ACCEPTED', 'REFUSED']).toContain(outcome.status);
    expect(new Set(outcomes.flat().map(({ id }) => id)).size).toBe(1);
    const { cart, counts } = await visitorOf('twice');
    expect(cart.lines).toMatchObject([{ quantity: 1 }]);
    expect(counts.folded).toBe(1);
    expect(counts.duplicate).toBeGreaterThanOrEqual(1);
    expect(await failedOf('twice')).toEqual([]);
  });

  it('lists a retry that fails again as a failed event of its own, which can be retried', async () => {
    await track('stubborn', unpriced);
    const [first] = await failedOf('stubborn');
    expect(await retry({ position: first!.position })).toMatchObject([{ status: 'ACCEPTED' }]);
    const [second, ...none] = await failedOf('stubborn');
    expect(none).toEqual([]);
    expect(second!.position).not.toBe(first!.position);
    expect(JSON.parse(second!.record)).toMatchObject({ retryOf: first!.position });
    expect(await retry({ position: second!.position, properties: priced })).toMatchObject([{ status: 'ACCEPTED' }]);
    expect((await visitorOf('stubborn')).counts).toEqual({ folded: 1, duplicate: 0, failed: 2 });
    expect(await failedOf('stubborn')).toEqual([]);
  });

  it('holds a correction to the tracking plan, and one bad retry spoils no other', async () => {
    await track('strict', unpriced, unpriced);
    const [one, two] = await failedOf('strict');
    const outcomes = await retry(
      { position: one!.position, properties: { ...priced, price: 'much' } },
      { position: one!.position, type: 'cart_item_aded' },
      { position: one!.position, properties: priced, occurredAt: 'noon' },
      { position: '99:1' },
      { position: 'first' },
      { position: two!.position, properties: priced },
    );
    expect(outcomes.map(({ error }: { error: { code: string } | null }) => error?.code ?? null)).toEqual([
      'EVENT_INVALID',
      'EVENT_TYPE_UNKNOWN',
      'TIME_INVALID',
      'FAILED_EVENT_UNKNOWN',
      'FAILED_EVENT_UNKNOWN',
      null,
    ]);
    expect(outcomes[0].error.path).toEqual(['properties', 'price']);
    expect((await failedOf('strict')).map(({ position }) => position)).toEqual([one!.position]);
  });

  it('keeps an imported event imported, at its own time', async () => {
    const at = '2020-05-05T10:00:00.000Z';
    await track('historic', { ...unpriced, occurredAt: at, source: 'file', sequence: 1 });
    const [failed] = await failedOf('historic');
    expect(JSON.parse(failed!.record)).toMatchObject({ imported: true, source: 'file', sequence: 1 });
    expect(await retry({ position: failed!.position, properties: priced })).toMatchObject([{ status: 'ACCEPTED' }]);
    await track('historic', {
      type: 'page_viewed',
      occurredAt: '2020-05-06T10:00:00.000Z',
      source: 'file',
      sequence: 2,
    });
    expect((await visitorOf('historic')).counts).toEqual({ folded: 2, duplicate: 0, failed: 1 });
  });

  it('retries what may be a copy only when told that it may count twice', async () => {
    const numbered = (sequence: number) => ({ type: 'page_viewed', source: 'late', sequence });
    await track('late', numbered(40), numbered(2));
    const [failed] = await failedOf('late');
    expect(failed).toMatchObject({ reason: 'BEYOND_WINDOW' });
    const { position } = failed!;
    expect(await retry({ position })).toMatchObject([
      { error: { code: 'RETRY_REFUSED', message: expect.stringContaining('beyondWindow') } },
    ]);
    expect(await retry({ position, beyondWindow: true })).toMatchObject([{ status: 'ACCEPTED' }]);
    expect((await visitorOf('late')).counts.folded).toBe(2);
  });

  it('refuses what the fold would not take: an import into a live visitor', async () => {
    await track('live', { type: 'page_viewed' });
    await track('live', { type: 'page_viewed', occurredAt: '2020-05-05T10:00:00.000Z', source: 'file', sequence: 1 });
    const [failed] = await failedOf('live');
    expect(await retry({ position: failed!.position })).toMatchObject([{ error: { code: 'RETRY_REFUSED' } }]);
  });

  it('needs the scope operate, and takes at most 500 at once', async () => {
    const visitor = await usher.query(retryMutation, { events: [] });
    expect(visitor.errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
    const orders = (count: number) => Array.from({ length: count }, () => ({ position: '0:999999' }));
    expect(await retry(...orders(500))).toHaveLength(500);
    const many = await usher.query(retryMutation, { events: orders(501) }, usher.devKey!);
    expect(many.errors?.[0]?.extensions?.code).toBe('BATCH_TOO_LARGE');
  });
});

describe('the scope of retries', () => {
  it('is operate alone', async () => {
    const secretKeys = ['write', 'read', 'import', 'operate'].map((scope) => `${scoped(scope)}=${scope}`);
    await using other = await startTestUsher({ shards: 1, secretKeys });
    const codes = await Promise.all(
      ['write', 'read', 'import', 'operate'].map(async (scope) => {
        const { errors } = await other.query(retryMutation, { events: [] }, scoped(scope));
        return errors?.[0]?.extensions?.code ?? 'fine';
      }),
    );
    expect(codes).toEqual(['FORBIDDEN', 'FORBIDDEN', 'FORBIDDEN', 'fine']);
  });
});
