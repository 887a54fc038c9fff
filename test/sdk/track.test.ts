import { describe, expect, it } from 'vitest';
import { errorCatalogue } from '../../src/errors.ts';
import { trackerLimits } from '../../src/sdk/tracker.ts';
import { retryableCodes, type UsherClientError } from '../../src/sdk/types.ts';
import { createUsher } from '../../src/sdk/usher.ts';
import { accepted, refused, scriptedServer } from './scriptedServer.ts';

function client(url: string, errors: UsherClientError[] = []) {
  return createUsher({ url, token: 'dev:alice', onError: (error) => errors.push(error) });
}

describe('track', () => {
  it('has one request in flight; what gathers meanwhile is the next one, in order and numbered without a gap', async () => {
    await using server = await scriptedServer();
    const usher = client(server.url);
    const outcomes = [usher.track('page_viewed')];
    const first = await server.next();
    for (let i = 0; i < 5; i++) outcomes.push(usher.track('product_viewed', { productId: `p_${i}` }));
    expect(server.unasked()).toBe(0);
    first.accept();
    const second = await server.next();
    second.accept();
    const all = await Promise.all(outcomes);
    expect(all.map((outcome) => outcome.status)).toEqual(Array(6).fill('ACCEPTED'));
    expect(first.events.map((event) => event.sequence)).toEqual([1]);
    expect(second.events.map((event) => [event.sequence, event.properties['productId']])).toEqual([
      [2, 'p_0'],
      [3, 'p_1'],
      [4, 'p_2'],
      [5, 'p_3'],
      [6, 'p_4'],
    ]);
    expect(new Set([...first.events, ...second.events].map((event) => event.source)).size).toBe(1);
    expect(first.events[0]!.source).toMatch(/^[0-9a-f]{16}$/);
    expect(first.token).toBe('Bearer dev:alice');
    expect(Date.parse(first.variables.input!.sentAt)).toBeGreaterThanOrEqual(Date.parse(first.events[0]!.occurredAt));
    expect(server.mostOpen()).toBe(1);
    usher.close();
  });

  it('sends at most 100 events a request', async () => {
    await using server = await scriptedServer();
    const usher = client(server.url);
    const done = Promise.all(Array.from({ length: 150 }, () => usher.track('page_viewed')));
    const first = await server.next();
    first.accept();
    const second = await server.next();
    second.accept();
    await done;
    expect([first.events.length, second.events.length]).toEqual([100, 50]);
    usher.close();
  });

  it.each([
    ['the connection breaks', (call: { cut(): void }) => call.cut()],
    [
      'a proxy answers 502',
      (call: { answer(v: unknown, s: number): void }) => call.answer('<h1>Bad gateway</h1>', 502),
    ],
    [
      'the answer is UNKNOWN',
      (call: { answer(v: unknown): void; events: readonly { id: string }[] }) =>
        call.answer({
          data: {
            trackEvents: {
              outcomes: call.events.map(({ id }) => ({ id, status: 'UNKNOWN', cursor: null, error: null })),
            },
          },
        }),
    ],
    [
      'Usher is stopping',
      (call: { answer(v: unknown): void }) =>
        call.answer({ data: null, errors: [{ message: 'stopping', extensions: { code: 'SHUTTING_DOWN' } }] }),
    ],
  ])('sends the same events again under the same ids and numbers when %s', async (_, fail) => {
    await using server = await scriptedServer();
    const usher = client(server.url);
    const done = Promise.all([usher.track('page_viewed'), usher.track('search_performed', { query: 'tea' })]);
    const first = await server.next();
    fail(first);
    const second = await server.next();
    second.accept();
    expect((await done).map((outcome) => outcome.status)).toEqual(['ACCEPTED', 'ACCEPTED']);
    expect(second.events).toEqual(first.events);
    usher.close();
  });

  it('tells the number of a refused event as skipped in the next record', async () => {
    await using server = await scriptedServer();
    const errors: UsherClientError[] = [];
    const usher = client(server.url, errors);
    const bad = usher.track('no_such_type');
    const first = await server.next();
    first.answer({ data: { trackEvents: { outcomes: [refused(first.events[0]!, 'EVENT_TYPE_UNKNOWN')] } } });
    expect(await bad).toMatchObject({ status: 'REFUSED', error: { code: 'EVENT_TYPE_UNKNOWN' } });
    expect(errors.map((error) => error.code)).toEqual(['EVENT_TYPE_UNKNOWN']);

    const good = usher.track('page_viewed');
    const second = await server.next();
    second.cut();
    const again = await server.next();
    again.accept();
    await good;
    expect(second.events[0]).toMatchObject({ sequence: 2, skipped: [1] });
    expect(again.events[0]).toMatchObject({ sequence: 2, skipped: [1] });

    const last = usher.track('page_viewed');
    const third = await server.next();
    third.accept();
    await last;
    expect(third.events[0]).toMatchObject({ sequence: 3 });
    expect(third.events[0]!.skipped).toBeUndefined();
    usher.close();
  });

  it('tells a skipped number in the next new record, never in a copy of one that may be recorded already', async () => {
    await using server = await scriptedServer();
    const usher = client(server.url);
    const done = [usher.track('no_such_type'), usher.track('page_viewed')];
    const first = await server.next();
    const [bad, lost] = first.events;
    done.push(usher.track('page_viewed'));
    const unknown = { id: lost!.id, status: 'UNKNOWN', cursor: null, error: null };
    first.answer({ data: { trackEvents: { outcomes: [refused(bad!, 'EVENT_TYPE_UNKNOWN'), unknown] } } });
    const second = await server.next();
    second.accept();
    await Promise.all(done);
    expect(second.events.map(({ sequence, skipped }) => [sequence, skipped])).toEqual([
      [2, undefined],
      [3, [1]],
    ]);
    usher.close();
  });

  it('keeps what was not accepted of a batch for the next request, and only that', async () => {
    await using server = await scriptedServer();
    const usher = client(server.url);
    const done = Promise.all([usher.track('page_viewed'), usher.track('page_viewed'), usher.track('page_viewed')]);
    const first = await server.next();
    const [a, b, c] = first.events;
    first.answer({
      data: { trackEvents: { outcomes: [accepted(a!), refused(b!, 'OVERLOADED', true), accepted(c!)] } },
    });
    const second = await server.next();
    second.accept();
    await done;
    expect(second.events).toEqual([b]);
    usher.close();
  });

  it('asks for less at once when the server says that a batch is too large', async () => {
    await using server = await scriptedServer();
    const usher = client(server.url);
    const done = Promise.all(Array.from({ length: 4 }, () => usher.track('page_viewed')));
    (await server.next()).answer({ errors: [{ message: 'too large', extensions: { code: 'BATCH_TOO_LARGE' } }] }, 413);
    const second = await server.next();
    second.accept();
    const third = await server.next();
    third.accept();
    expect((await done).every((outcome) => outcome.status === 'ACCEPTED')).toBe(true);
    expect([second, third].map((call) => call.events.map((event) => event.sequence))).toEqual([
      [1, 2],
      [3, 4],
    ]);
    usher.close();
  });

  it('drops the newest with QUEUE_FULL when 1,000 wait, and gives it no number', async () => {
    await using server = await scriptedServer();
    const errors: UsherClientError[] = [];
    const usher = client(server.url, errors);
    const waiting = Array.from({ length: trackerLimits.queueEvents }, () => usher.track('page_viewed'));
    expect(await usher.track('page_viewed')).toMatchObject({ status: 'REFUSED', error: { code: 'QUEUE_FULL' } });
    expect(usher.counts()).toEqual({ waiting: 1000, accepted: 0, refused: 0, dropped: 1 });
    for (let i = 0; i < 10; i++) (await server.next()).accept();
    await Promise.all(waiting);
    const next = usher.track('page_viewed');
    const call = await server.next();
    call.accept();
    await next;
    expect(call.events[0]!.sequence).toBe(1001);
    usher.close();
  });

  it('refuses an event larger than an event may be without sending it', async () => {
    await using server = await scriptedServer();
    const usher = client(server.url);
    const large = await usher.track('search_performed', { query: 'x'.repeat(trackerLimits.eventBytes) });
    expect(large).toMatchObject({ status: 'REFUSED', error: { code: 'EVENT_TOO_LARGE' } });
    expect(server.unasked()).toBe(0);
    usher.close();
  });

  it('knows the codes after which trying again may help as the server knows them', () => {
    const server = Object.entries(errorCatalogue).filter(([, { retryable }]) => retryable);
    expect([...retryableCodes].filter((code) => code !== 'NETWORK').sort()).toEqual(
      server.map(([code]) => code).sort(),
    );
  });
});
