import { expect, it } from 'vitest';
import { describePair } from '../support/pair.ts';
import { startWhole } from '../support/startWhole.ts';
import { flowPlaybook, lookedAt, Shopper } from './shopper.ts';

const waitMs = 10_000;

describePair('who reads after its own writes', () => {
  it('sees them, with waitMs or a cursor, at any gateway, also after a stop and a start', async () => {
    await using usher = await startWhole({ playbook: flowPlaybook });
    const shopper = new Shopper(usher);
    for (const productId of ['p_1', 'p_2', 'p_3']) {
      const { slots } = await shopper.view(productId, waitMs);
      expect(slots).toMatchObject([
        { source: 'RULE', stale: false, content: { data: { title: lookedAt(productId) } } },
      ]);
    }
    const { outcome } = await shopper.view('p_4');
    for (const _gateway of usher.urls) {
      const slot = await shopper.slot('last_look', { after: outcome.cursor, waitMs });
      expect(slot).toMatchObject({ stale: false, content: { data: { title: lookedAt('p_4') } } });
      expect(slot.why.eventId).toBe(outcome.id);
    }
    const before = await shopper.slot('last_look');

    await usher.stop();
    await using restarted = await usher.restart();
    const again = shopper.at(restarted);
    expect(await again.slot('last_look', { after: outcome.cursor, waitMs })).toEqual(before);
    const { outcome: later } = await again.view('p_5');
    // Sharing the shards anew may take a group of workers longer than a page may wait.
    await restarted.caughtUp();
    expect(await again.slot('last_look', { after: later.cursor, waitMs })).toMatchObject({
      stale: false,
      version: before.version + 1,
      content: { data: { title: lookedAt('p_5') } },
    });
  }, 120_000);
});
