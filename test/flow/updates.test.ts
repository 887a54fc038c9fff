import { afterAll, beforeAll, expect, it } from 'vitest';
import { stream, subscribe } from '../gateway/client.ts';
import { describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import { flowPlaybook, lookedAt, Shopper } from './shopper.ts';

const updates = `subscription ($after: Cursor) { contentUpdates(after: $after) {
  kind cursor slots { name content { data } } cause { eventId stages { name } } } }`;

describePair('a mutation in, a subscription out', () => {
  let usher: WholeUsher;
  beforeAll(async () => {
    usher = await startWhole({ playbook: flowPlaybook });
  }, 120_000);
  afterAll(() => usher?.[Symbol.asyncDispose]());

  it.each([
    ['WebSocket', subscribe],
    ['server-sent events', stream],
  ] as const)('pushes each change over %s, whichever gateway took the event', async (_name, open) => {
    const shopper = new Shopper(usher);
    const other = new Shopper(usher);
    const feeds = usher.urls.map((url) => open({ url }, updates, shopper.token));
    const pushed: boolean[] = [];
    try {
      for (const feed of feeds) expect((await feed.next()).data.contentUpdates.kind).toBe('SNAPSHOT');
      for (const productId of ['p_1', 'p_2', 'p_3', 'p_4']) {
        await other.view('p_not_mine');
        const { outcome } = await shopper.view(productId);
        for (const feed of feeds) {
          const update = (await feed.next()).data.contentUpdates;
          expect(update).toMatchObject({
            kind: 'CHANGE',
            slots: [{ name: 'last_look', content: { data: { title: lookedAt(productId) } } }],
            cause: { eventId: outcome.id },
          });
          pushed.push(update.cause.stages.some(({ name }: { name: string }) => name === 'commit→push'));
        }
      }
      // By the messages of the commits: the look at the state that mends lost ones may come first now and then.
      expect(pushed.filter(Boolean).length).toBeGreaterThan(pushed.length / 2);
    } finally {
      for (const feed of feeds) await feed[Symbol.asyncDispose]();
    }
  });

  it('tells a subscriber who was away what it missed, and nothing when that is nothing', async () => {
    const shopper = new Shopper(usher);
    await shopper.view('p_1', 10_000);
    const first = subscribe(usher, updates, shopper.token);
    const { cursor } = (await first.next()).data.contentUpdates;
    await first[Symbol.asyncDispose]();
    await shopper.view('p_2', 10_000);
    await using back = subscribe({ url: usher.urls.at(-1)! }, updates, shopper.token, { after: cursor });
    const missed = (await back.next()).data.contentUpdates;
    expect(missed).toMatchObject({ kind: 'SNAPSHOT', slots: [{ content: { data: { title: lookedAt('p_2') } } }] });
    await using same = subscribe(usher, updates, shopper.token, { after: missed.cursor });
    await shopper.view('p_3');
    // A snapshot without news would have come before it.
    for (const feed of [back, same]) {
      expect((await feed.next()).data.contentUpdates.slots[0].content.data.title).toBe(lookedAt('p_3'));
    }
  });
});
