import { randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { subscribe } from '../gateway/client.ts';
import { adapters, describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import { dumpTopic } from '../support/topicDump.ts';
import { Shopper } from './shopper.ts';

const playbook = join(import.meta.dirname, 'decidingPlaybook');
const search = { type: 'search_performed', properties: { query: 'tents' } };
const add = { type: 'cart_item_added', properties: { productId: 'p1', quantity: 1, price: 20 } };
const updates = 'subscription { contentUpdates(names: ["presence"]) { kind slots { content { id } decidedAt } } }';
const idleMs = 3_000;

describePair('a segment that is left by time alone', () => {
  it('is left within a second while 100,000 visitors wait for another, and whoever listens sees the slot change', async () => {
    await using usher = await startWhole({ playbook, outputs: ['decisions'] });
    await crowd(usher, 100_000);
    const shopper = new Shopper(usher);
    await using feed = subscribe(usher, updates, shopper.token);
    await feed.next();
    await shopper.track(search);
    const [shown] = (await feed.next()).data.contentUpdates.slots;
    expect(shown.content.id).toBe('fresh');
    const [gone] = (await feed.next()).data.contentUpdates.slots;
    const lateMs = Date.now() - (Date.parse(shown.decidedAt) + idleMs);
    expect(gone.content.id).toBe('gone');
    expect(lateMs).toBeGreaterThan(0);
    expect(lateMs).toBeLessThan(1_000);

    const { segments } = (await usher.query('{ segments { id size } }', {}, usher.devKey!)).data;
    expect(segments).toEqual([
      { id: 'fresh', size: 0 },
      { id: 'of_this_hour', size: 100_001 },
    ]);
    if (adapters === 'clustered') {
      await expect
        .poll(() => movesOf(usher, shopper.token), { timeout: 20_000 })
        .toEqual([
          { entered: ['fresh', 'of_this_hour'], left: [] },
          { entered: [], left: ['fresh'] },
        ]);
    }
  }, 180_000);
});

describePair('an absence', () => {
  it('is noticed though Usher was stopped meanwhile, begins anew with each change, and not at all after the order', async () => {
    await using usher = await startWhole({ playbook });
    const [waits, orders] = [new Shopper(usher), new Shopper(usher)];
    await waits.track(add);
    await orders.track(add);
    await orders.track({ type: 'order_completed', properties: { orderId: 'o', lines: [add.properties] } });
    await usher.caughtUp();
    await usher.stop();
    await using again = await usher.restart();
    const [waiting, ordered] = [waits.at(again), orders.at(again)];
    await waiting.track(add);
    await expect
      .poll(async () => (await waiting.slot('reminder')).content, { timeout: 15_000 })
      .toEqual({ id: 'cart_waits', data: { title: '40.00 in your cart' } });
    expect((await ordered.slot('reminder')).source).toBe('FALLBACK');
    expect((await waiting.slot('reminder')).why.ruleId).toBe('remind');
  }, 120_000);
});

describePair('a sequence', () => {
  it('shows what its elements were', async () => {
    await using usher = await startWhole({ playbook });
    const shopper = new Shopper(usher);
    await shopper.view('p1');
    await shopper.view('p2');
    await shopper.view('p1');
    await shopper.track(search, 10_000);
    const { content } = await shopper.slot('last_look');
    expect(content.data.title).toBe('Two looks at p1, then tents');
  }, 120_000);
});

describePair('an event that a rule appends', () => {
  it('is folded once like any other, and sees what the rule has set', async () => {
    await using usher = await startWhole({ playbook });
    const shopper = new Shopper(usher);
    await shopper.track({ type: 'checkout_started', properties: {} });
    await shopper.track({ type: 'checkout_started', properties: {} });
    await expect
      .poll(async () => (await shopper.slot('answer')).content.data.title, { timeout: 15_000 })
      .toBe('The rule said hello to you');
    expect((await shopper.known()).counts).toMatchObject({ folded: 3, duplicate: 0 });
  }, 120_000);
});

/** One event each, so that all of them wait for their segment's end. What is not taken at once is sent again, as a client would. */
async function crowd(usher: WholeUsher, visitors: number): Promise<void> {
  const document = 'mutation ($input: TrackEventsInput!) { trackEvents(input: $input) { outcomes { status } } }';
  const atOnce = 500;
  let next = 0;
  const send = async () => {
    while (next < visitors) {
      const from = next;
      next += atOnce;
      let events = Array.from({ length: atOnce }, (_, i) => ({
        id: randomUUID(),
        type: 'page_viewed',
        visitor: { visitorId: `crowd-${from + i}` },
      }));
      while (events.length > 0) {
        const { data, errors } = await usher.query(document, { input: { events } }, usher.devKey!);
        expect(errors).toBeUndefined();
        events = events.filter((_, i) => data.trackEvents.outcomes[i].status !== 'ACCEPTED');
      }
    }
  };
  await Promise.all([send(), send()]);
  await usher.caughtUp();
}

/** What the topic of decisions tells of a visitor's segments. */
async function movesOf(usher: WholeUsher, visitor: string): Promise<readonly object[]> {
  const { kafkaBrokers, namespace } = usher.config;
  const path = join(tmpdir(), `decisions-${randomUUID()}.jsonl`);
  try {
    await dumpTopic(kafkaBrokers[0]!, `${namespace}.decisions`, path);
    const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line.includes(visitor));
    return lines
      .map((line) => JSON.parse((JSON.parse(line) as { value: string }).value) as { segments: Moves })
      .map(({ segments }) => segments)
      .filter(({ entered, left }) => entered.length + left.length > 0);
  } finally {
    await rm(path, { force: true });
  }
}
interface Moves {
  readonly entered: readonly string[];
  readonly left: readonly string[];
}
