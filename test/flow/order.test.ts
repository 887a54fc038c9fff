import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import { flowPlaybook, lookedAt, Shopper } from './shopper.ts';

const numbered = (sequence: number) => ({
  type: 'product_viewed',
  properties: { productId: `p_${sequence}` },
  source: 'tab',
  sequence,
});

describePair('a visitor’s events', () => {
  let usher: WholeUsher;
  beforeAll(async () => {
    usher = await startWhole({ playbook: flowPlaybook });
  }, 120_000);
  afterAll(() => usher?.[Symbol.asyncDispose]());

  it('are folded in the order of their numbers, not of their coming', async () => {
    const shopper = new Shopper(usher);
    await shopper.trackAll([2, 1, 5, 4, 3, 6].map(numbered));
    const { traits, counts } = await shopper.known();
    expect(traits.looks).toEqual(['p_6', 'p_5', 'p_4', 'p_3', 'p_2', 'p_1']);
    expect(counts).toMatchObject({ folded: 6, held: 3, late: 0, duplicate: 0, skipped: 0 });
  });

  it('go on without a number that never comes, though nothing else comes either', async () => {
    const shopper = new Shopper(usher);
    await shopper.trackAll([1, 3].map(numbered));
    await expect.poll(async () => (await shopper.known()).traits.looks, { timeout: 10_000 }).toEqual(['p_3', 'p_1']);
    expect((await shopper.known()).counts).toMatchObject({ folded: 2, held: 1 });
    // It comes after all, too late for its place.
    await shopper.trackAll([2, 4].map(numbered));
    const { traits, counts } = await shopper.known();
    expect(traits.looks).toEqual(['p_4', 'p_2', 'p_3', 'p_1']);
    expect(counts).toMatchObject({ folded: 4, late: 1 });
  });

  it('count once, however often and wherever they are sent', async () => {
    const shopper = new Shopper(usher);
    const id = randomUUID();
    const add = { id, type: 'cart_item_added', properties: { productId: 'p_1', quantity: 1, price: 9.5 } };
    await Promise.all(Array.from({ length: 6 }, () => shopper.track(add)));
    await shopper.trackAll([numbered(1), numbered(1), numbered(1)]);
    await shopper.trackAll([numbered(1), add]);
    const { cart, counts } = await shopper.known();
    expect(cart.lines).toEqual([{ productId: 'p_1', quantity: 1 }]);
    expect(counts).toMatchObject({ folded: 2, duplicate: 9 });
  });

  it('decide the slot that the last of many shows', async () => {
    const shoppers = Array.from({ length: 20 }, () => new Shopper(usher));
    for (let n = 1; n <= 10; n++) await Promise.all(shoppers.map((shopper) => shopper.view(`p_${n}`)));
    await usher.caughtUp();
    for (const shopper of shoppers) {
      expect((await shopper.slot('last_look')).content.data.title).toBe(lookedAt('p_10'));
      expect((await shopper.known()).traits.looks).toEqual(Array.from({ length: 10 }, (_, n) => `p_${10 - n}`));
    }
  });
});
