import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCursor } from '../../src/gateway/cursor.ts';
import { until } from '../contract/contract.ts';
import { type OwnBroker, ownBroker, whyNoKafka } from '../support/kafkaBroker.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { startCluster, type TestCluster } from '../support/startCluster.ts';
import { subscribe } from './client.ts';

const playbook = join(import.meta.dirname, 'playbook');
const slots = `query ($after: Cursor, $waitMs: Int) { personalizedSlots(names: ["last_look"], after: $after, waitMs: $waitMs) {
  source stale version cursor content { data } } }`;
const updates =
  'subscription { contentUpdates(names: ["last_look"]) { kind slots { stale source content { data } } } }';
const track =
  'mutation ($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status cursor error { code retryable } } } }';
const looked = (productId: string) => ({ data: { title: `You looked at ${productId}` } });
const reason = hasRedisServer ? await whyNoKafka() : 'no Redis';

describe.skipIf(reason !== null)(reason === null ? 'a gateway whose engines are away' : `skipped: ${reason}`, () => {
  let redis: RedisServer;
  let kafka: OwnBroker;
  let cluster: TestCluster;
  let worker: { stop(): Promise<void> };
  const appendDeadlineMs = 1_000;
  /** The deadline, with what the machine may take for the way there and back. */
  const soonMs = () => cluster.config.slotsDeadlineMs + 1_000;

  beforeAll(async () => {
    [redis, kafka] = await Promise.all([startRedis(), ownBroker()]);
    const config = { appendDeadlineMs };
    cluster = await startCluster({ redisUrl: redis.url, kafka: kafka.address, playbook, config });
    worker = await cluster.startWorker();
  }, 120_000);
  afterAll(async () => {
    await worker?.stop();
    await cluster?.[Symbol.asyncDispose]();
    await Promise.all([redis?.close(), kafka?.close()]);
  }, 60_000);

  async function view(token: string, productId: string): Promise<{ status: string; cursor: string; error: unknown }> {
    const input = { type: 'product_viewed', properties: { productId } };
    return (await cluster.query(track, { input }, token)).data.trackEvent.outcome;
  }
  async function read(token: string, variables: object = {}) {
    const askedAt = performance.now();
    const { data, errors } = await cluster.query(slots, variables, token);
    return { slot: data?.personalizedSlots[0], errors, ms: performance.now() - askedAt };
  }
  const metric = async (line: string) => {
    const text = await (await fetch(`${cluster.url}/metrics`)).text();
    return Number(new RegExp(`^${line.replace(/[{}"]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1] ?? 0);
  };

  it('shows what was last read or pushed, marked stale, while Redis is away; streams stay and get the newest state', async () => {
    const [seen, pushed, unseen] = ['dev:seen', 'dev:pushed', 'dev:unseen'];
    for (const token of [seen, pushed, unseen]) await view(token, 'p_1');
    await until('the event is folded', async () => (await read(seen)).slot.source === 'RULE');
    await using feed = subscribe(cluster, updates, pushed);
    await until('the stream has the first look', async () =>
      (await feed.next()).data.contentUpdates.slots.some((slot: { source: string }) => slot.source === 'RULE'),
    );
    await view(pushed, 'p_2');
    expect((await feed.next()).data.contentUpdates.slots[0].content).toEqual(looked('p_2'));
    expect(await metric('usher_last_known_visitors')).toBe(2);
    expect(await metric('usher_last_known_bytes')).toBeGreaterThan(1_000);

    await redis.kill();
    for (const [token, source, productId] of [
      [seen, 'RULE', 'p_1'],
      [pushed, 'RULE', 'p_2'],
      [unseen, 'FALLBACK', null],
      ['dev:nobody', 'FALLBACK', null],
    ] as const) {
      const { slot, ms } = await read(token);
      const content = productId === null ? { data: { title: 'Look at something' } } : looked(productId);
      expect(slot).toMatchObject({ source, stale: true, content });
      expect(ms).toBeLessThan(soonMs());
    }
    expect(await metric('usher_answers_without_state_total{from="last_known"}')).toBe(2);
    expect(await metric('usher_answers_without_state_total{from="fallback"}')).toBe(2);
    // Opened in the middle of it: begins with what is known.
    await using late = subscribe(cluster, updates, seen);
    expect((await late.next()).data.contentUpdates).toEqual({
      kind: 'SNAPSHOT',
      slots: [{ stale: true, source: 'RULE', content: looked('p_1') }],
    });
    await using unknown = subscribe(cluster, updates, 'dev:nobody');
    expect((await unknown.next()).data.contentUpdates.slots[0]).toMatchObject({ stale: true, source: 'FALLBACK' });
    // Events are taken as ever.
    expect(await view(pushed, 'p_3')).toMatchObject({ status: 'ACCEPTED' });

    await redis.start();
    expect((await feed.next()).data.contentUpdates.slots[0]).toMatchObject({ stale: false, content: looked('p_3') });
    expect((await late.next()).data.contentUpdates).toEqual({
      kind: 'SNAPSHOT',
      slots: [{ stale: false, source: 'RULE', content: looked('p_1') }],
    });
    expect((await unknown.next()).data.contentUpdates.slots[0]).toMatchObject({ stale: false, source: 'FALLBACK' });
    expect((await read(unseen)).slot).toMatchObject({ stale: false, content: looked('p_1') });
  }, 60_000);

  it('answers within its deadline while Redis takes connections and says nothing', async () => {
    await view('dev:hung', 'p_1');
    await until('the event is folded', async () => (await read('dev:hung')).slot.source === 'RULE');
    process.kill(redis.pid, 'SIGSTOP');
    try {
      const { slot, ms } = await read('dev:hung', { waitMs: 100 });
      expect(slot).toMatchObject({ source: 'RULE', stale: true });
      expect(ms).toBeLessThan(soonMs() + 100);
    } finally {
      process.kill(redis.pid, 'SIGCONT');
    }
    await until('Redis is heard again', async () => !(await read('dev:hung')).slot.stale);
  }, 60_000);

  it('refuses events in time while Kafka is away, and shows slots as ever, with any cursor', async () => {
    const token = 'dev:kafka';
    const { cursor } = await view(token, 'p_1');
    await until('the event is folded', async () => !(await read(token, { after: cursor })).slot.stale);
    const { slot } = await read(token);
    const beyond = encodeCursor({ visitor: token, upTo: 1_000_000, slots: null });
    expect((await read(token, { after: beyond })).errors?.[0]?.extensions?.code).toBe('BAD_CURSOR');

    await kafka.stop('SIGKILL');
    const startedAt = performance.now();
    // More than may be on their way at once: also who waits behind them has an answer in time.
    const refusals = await Promise.all(
      Array.from({ length: 5 }, async (_, n) => {
        await sleep(n * 150);
        const askedAt = performance.now();
        return { ...(await view(token, 'p_2')), ms: performance.now() - askedAt };
      }),
    );
    for (const { status, error, ms } of refusals) {
      expect(['REFUSED', 'UNKNOWN']).toContain(status);
      expect(error).toEqual({ code: status === 'UNKNOWN' ? 'UNKNOWN' : 'LOG_UNAVAILABLE', retryable: true });
      expect(ms).toBeLessThan(appendDeadlineMs + 1_500);
    }
    expect((await read(token)).slot).toEqual(slot);
    for (const after of [beyond, encodeCursor({ visitor: token, upTo: 1_000_001, slots: null })]) {
      const answer = await read(token, { after, waitMs: 50 });
      expect(answer.errors).toBeUndefined();
      expect(answer.slot).toMatchObject({ stale: true, content: looked('p_1') });
      expect(answer.ms).toBeLessThan(soonMs() + 50);
    }

    // The worker is another process: its part of the processor is not the gateway's.
    await worker.stop();
    await redis.kill();
    const cpuBefore = process.cpuUsage();
    const from = performance.now();
    const idle = sleep(5_000);
    expect((await read(token, { after: beyond, waitMs: 50 })).slot).toMatchObject({ stale: true, source: 'RULE' });
    await idle;
    const cpu = process.cpuUsage(cpuBefore);
    expect((cpu.user + cpu.system) / 1_000 / (performance.now() - from)).toBeLessThan(0.4);
    expect(performance.now() - startedAt).toBeGreaterThan(5_000);

    await Promise.all([redis.start(), kafka.start()]);
    await until('events are taken again', async () => (await view(token, 'p_4')).status === 'ACCEPTED');
    worker = await cluster.startWorker();
    await until('the newest is shown', async () => {
      const { slot: shown } = await read(token);
      return !shown.stale && shown.content.data.title === 'You looked at p_4';
    });
    expect((await read(token, { after: beyond })).errors?.[0]?.extensions?.code).toBe('BAD_CURSOR');
  }, 120_000);
});
