import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { recordedIo } from '../support/cliIo.ts';
import { describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import { Shopper } from './shopper.ts';

describePair('an event that cannot be folded', () => {
  let usher: WholeUsher;
  beforeAll(async () => {
    usher = await startWhole();
  }, 120_000);
  afterAll(() => usher?.[Symbol.asyncDispose]());

  /** A command of the operator, at any gateway. */
  async function run(...words: string[]): Promise<string> {
    const io = recordedIo();
    const code = await runCli([...words, '--url', usher.urls.at(-1)!, '--key', usher.devKey!], io);
    expect([code, io.errLines]).toEqual([0, []]);
    return io.outLines.join('\n');
  }

  it('is listed, holds nothing up, and is folded when it is corrected and retried', async () => {
    const shopper = new Shopper(usher);
    await shopper.trackAll([
      { type: 'cart_item_added', properties: { productId: 'sold_by_nobody', quantity: 2 } },
      { type: 'cart_item_added', properties: { productId: 'p_001', quantity: 1, price: 10 } },
    ]);
    const known = await shopper.known();
    expect(known.counts).toMatchObject({ folded: 1, failed: 1 });
    expect(known.cart.lines).toEqual([{ productId: 'p_001', quantity: 1 }]);

    const listed = await run('failed', 'list');
    expect(listed).toContain(`PRICE_UNKNOWN  ${shopper.token} cart_item_added`);
    const position = /\d+:\d+/.exec(listed.replace(/^\S+/, ''))![0];
    expect(await run('failed', 'show', position)).toContain('sold_by_nobody');
    expect(await run('failed', 'retry', position, '--set', 'properties.price=3')).toMatch(/ACCEPTED$/);
    expect((await shopper.known()).cart.lines).toEqual([
      { productId: 'p_001', quantity: 1 },
      { productId: 'sold_by_nobody', quantity: 2 },
    ]);
    expect(await run('failed', 'list')).toBe('no event failed');
  });
});
