import { expect, it } from 'vitest';
import { subscribe } from '../gateway/client.ts';
import { describePair } from '../support/pair.ts';
import { startWhole } from '../support/startWhole.ts';
import { flowPlaybook, Shopper } from './shopper.ts';

const search = { type: 'search_performed', properties: { query: 'tents' } };
const ended = { kind: 'CHANGE', slots: [{ name: 'last_search', source: 'FALLBACK' }] };
const updates = 'subscription { contentUpdates { kind slots { name source } cause { eventId } } }';

describePair('a slot that ends by time', () => {
  it('ends though no event comes, tells who listens, and does so over a stop and a start', async () => {
    await using usher = await startWhole({ playbook: flowPlaybook });
    const shopper = new Shopper(usher);
    {
      await using feed = subscribe(usher, updates, shopper.token);
      await feed.next();
      await shopper.track(search);
      expect((await feed.next()).data.contentUpdates.slots).toEqual([{ name: 'last_search', source: 'RULE' }]);
      expect((await feed.next()).data.contentUpdates).toMatchObject(ended);
    }
    expect((await shopper.slot('last_search')).source).toBe('FALLBACK');

    await shopper.track(search, 10_000);
    const { version } = await shopper.slot('last_search');
    await usher.stop();
    await using restarted = await usher.restart();
    const again = shopper.at(restarted);
    // The read knows that its time is over; that the fold does too shows in the version.
    await expect
      .poll(() => again.slot('last_search'), { timeout: 15_000 })
      .toMatchObject({ source: 'FALLBACK', version: version + 1 });
  }, 120_000);
});
