import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { recordedIo } from '../support/cliIo.ts';
import { describePair } from '../support/pair.ts';
import { seededRandom } from '../support/random.ts';
import { refold } from '../support/refold.ts';
import { describeWithSample, rees46Sample } from '../support/samples.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';

const shards = 4;
/** Batches of one record with nothing kept in memory, of a few, and of as many as there are. */
const cuts = [
  { batchRecords: 1, cachedVisitors: 0 },
  { batchRecords: 7, commitVisitors: 3, cachedVisitors: 5, timers: 1 },
  { batchRecords: 5_000, batchBytes: 50_000_000, commitVisitors: 256 },
];

/** An outbox empties when its topics have it, a fold into an empty state has nobody who writes them. */
const config = { shards, outputs: [] };

describePair('the log of a stopped Usher, folded again into an empty state', () => {
  it('gives the same state to the byte, however its batches are cut', async () => {
    const random = seededRandom(7);
    const numbers = new Map<string, number>();
    await using first = await startWhole(config);
    const delayed = await sendShopping(first, random, numbers, []);
    // Another owner of the same shards, another epoch; and what it folds depends on what it loads.
    await first.stop();
    await using second = await first.restart();
    await sendShopping(second, random, numbers, delayed);
    await second.caughtUp();
    const { data } = await second.query('{ status { shards { counters } } }', {}, second.devKey!);
    await second.stop();

    const total = (name: string) =>
      data.status.shards.reduce(
        (sum: number, shard: { counters: Record<string, number> }) => sum + shard.counters[name]!,
        0,
      );
    for (const name of ['folded', 'duplicate', 'held', 'late', 'skipped', 'failed', 'rulesFired', 'timersFired']) {
      expect(total(name), `${name}: the workload must have some`).toBeGreaterThan(0);
    }
    await expectSameAgain(second, cuts);
  }, 120_000);

  describeWithSample('after three hours of a real shop', rees46Sample, (file) => {
    it('gives the same state to the byte, however its batches are cut', async () => {
      await using usher = await startWhole(config);
      const io = recordedIo();
      const args = ['replay', file, '--finish', '30m', '--json', '--url', usher.url, '--key', usher.devKey!];
      expect(await runCli(args, io), io.errLines.join('\n')).toBe(0);
      await usher.stop();
      expect(await expectSameAgain(usher, cuts.slice(1))).toBeGreaterThan(4_504);
    }, 240_000);
  });
});

/** @returns how many lines the state has */
async function expectSameAgain(usher: WholeUsher, by: typeof cuts): Promise<number> {
  const left = await usher.openStopped();
  try {
    const { state, again } = await refold(left, by);
    for (const other of again) expect(other).toEqual(state);
    return state.length;
  } finally {
    await left.close();
  }
}

/** Twelve shoppers whose clients lose, delay, repeat, swap and skip events, and two who only have ids. Answers what is delayed. */
async function sendShopping(
  usher: WholeUsher,
  random: () => number,
  numbers: Map<string, number>,
  arriving: object[],
): Promise<object[]> {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const product = () => `p_${String(1 + Math.floor(random() * 30)).padStart(3, '0')}`;
  const make = () => {
    const kind = random();
    if (kind < 0.5) return { type: 'product_viewed', properties: { productId: product() } };
    if (kind < 0.75)
      return {
        type: 'cart_item_added',
        properties: {
          productId: product(),
          quantity: 1 + Math.floor(random() * 3),
          price: Math.round(random() * 9_000) / 100,
        },
      };
    if (kind < 0.8) return { type: 'cart_item_added', properties: { productId: 'not_in_the_catalog', quantity: 1 } };
    if (kind < 0.9) return { type: 'search_performed', properties: { query: pick(['shoes', 'lamp', 'tea']) } };
    return {
      type: 'order_completed',
      properties: { orderId: randomUUID(), lines: [{ productId: product(), quantity: 1, price: 19.99 }] },
    };
  };
  const delayed: object[] = [];
  for (let call = 0; call < 12; call++) {
    const events: object[] = call === 0 ? [...arriving] : [];
    for (let n = 0; n < 40; n++) {
      const user = `shopper${Math.floor(random() * 14)}`;
      const numbered = !/1[23]$/.test(user);
      const sequence = (numbers.get(user) ?? 0) + 1;
      if (numbered) numbers.set(user, sequence);
      const event = {
        id: randomUUID(),
        ...make(),
        visitor: { userId: user },
        ...(numbered ? { source: `tab-of-${user}`, sequence } : {}),
      };
      const fate = random();
      if (fate < 0.05 && numbered) {
        if (fate < 0.02) delayed.push(event);
        continue;
      }
      events.push(event);
      if (fate < 0.1) events.push(event);
      else if (fate < 0.15 && events.length > 1) events.splice(-2, 2, event, events.at(-2)!);
      else if (fate < 0.2 && numbered && sequence > 3) Object.assign(event, { skipped: [sequence - 1, sequence - 2] });
    }
    const { data, errors } = await usher.query(
      'mutation($input: TrackEventsInput!) { trackEvents(input: $input) { accepted refused } }',
      { input: { events } },
      usher.devKey!,
    );
    expect([errors, data?.trackEvents]).toEqual([undefined, { accepted: events.length, refused: 0 }]);
  }
  return delayed;
}
