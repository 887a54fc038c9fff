import { describe, expect, it } from 'vitest';
import { present } from '../../src/fold/present.ts';
import { why } from '../../src/fold/why.ts';
import type { Slot } from '../../src/model/visitor.ts';
import { TestBundles } from '../support/bundles.ts';
import { FoldShard } from '../support/foldShard.ts';

const bundles = new TestBundles();
const playbook = bundles.addPlaybook(`
format: 1
currency: USD
content:
  plain: { type: offer, title: Welcome }
  extra_warranty: { type: offer, title: "Protect your \${product.name}", text: "\${event.productId} and \${cart.value}" }
  home_again: { type: offer, title: Home again }
  second_look: { type: offer, title: A second look }
slots:
  product_upsell: { page: product, accepts: offer, fallback: plain }
rules:
  upsell_over_100:
    when: product_viewed
    if: product.id == "p_017" && cart.value > 100
    then: [{ show: { slot: product_upsell, content: extra_warranty, for: 30m } }]
    priority: 50
  home_offer: { when: product_viewed, then: [{ show: { slot: product_upsell, content: home_again } }], priority: 10 }
  home_second: { when: product_viewed, then: [{ show: { slot: product_upsell, content: second_look } }], priority: 10 }
`);
const catalog = bundles.addCatalog([{ id: 'p_017', price: 6025, name: 'Trekking Tent' }]);
const compiled = bundles.playbook(playbook)!;
const definition = compiled.slots.get('product_upsell')!;

function shownAfter(events: readonly object[]): Slot | undefined {
  const shard = new FoldShard(bundles);
  shard.append({ v: 1, kind: 'activate', id: 'a', playbook, catalog, foldVersion: 1 }, 0);
  events.forEach((event, i) => {
    shard.append({ v: 1, kind: 'event', id: `e${i}`, visitor: 'v', ...event }, 1000);
  });
  return shard.fold().visitor('v')?.slots['product_upsell'];
}
const add = (quantity: number) => ({ type: 'cart_item_added', properties: { productId: 'p_017', quantity } });
const view = { type: 'product_viewed', properties: { productId: 'p_017' } };

function presented(slot: Slot | undefined, now: number, playbooks = (version: string) => bundles.playbook(version)) {
  const shown = present(slot, definition, playbooks, { playbook: compiled }, now);
  return { shown, why: why(shown, compiled, playbooks) };
}

describe('a slot that a rule decided', () => {
  const slot = shownAfter([add(2), view]);

  it('shows its first candidate, with its texts rendered from what was captured when it was decided', () => {
    const { shown } = presented(slot, 1000);
    expect(shown.source).toBe('RULE');
    expect(shown.content).toMatchObject({
      id: 'extra_warranty',
      type: 'offer',
      data: { title: 'Protect your Trekking Tent', text: 'p_017 and 120.50' },
    });
  });

  it('says why in a sentence, with what the rule read and who lost', () => {
    const { why } = presented(slot, 1000);
    expect(why).toMatchObject({
      sentence:
        'Shown because you viewed p_017 with 120.50 in the cart (upsell_over_100); home_offer lost on priority; home_second lost on priority',
      ruleId: 'upsell_over_100',
      playbookVersion: playbook,
      eventId: 'e1',
      losers: [
        { ruleId: 'home_offer', contentId: 'home_again', reason: 'priority' },
        { ruleId: 'home_second', contentId: 'second_look', reason: 'priority' },
      ],
    });
    expect(why.facts).toContainEqual({ name: 'cart.value', value: 120.5 });
    expect(why.facts).toContainEqual({ name: 'product.id', value: 'p_017' });
  });

  it('gives way to the next one at its end, before a timer has removed it', () => {
    expect(presented(slot, 1_800_999).shown.content.id).toBe('extra_warranty');
    const { shown, why } = presented(slot, 1_801_000);
    expect(shown.content.id).toBe('home_again');
    expect(why.sentence).toBe(
      'Shown because you viewed p_017 (home_offer); upsell_over_100 has ended; home_second lost to a smaller rule id',
    );
  });

  it('does not show what the playbook that it names cannot give', () => {
    const { shown, why } = presented(slot, 1000, () => null);
    expect(shown).toMatchObject({ source: 'FALLBACK', winner: null, content: { id: 'plain' } });
    expect(why.losers.map(({ reason }) => reason)).toEqual(['unavailable', 'unavailable', 'unavailable']);
  });
});

describe('a slot that no rule decided', () => {
  it('shows its fallback and says so', () => {
    for (const slot of [undefined, { version: 3, candidates: [] }]) {
      const { shown, why } = presented(slot, 1000);
      expect(shown).toMatchObject({
        source: 'FALLBACK',
        winner: null,
        losers: [],
        content: { id: 'plain', data: { title: 'Welcome' } },
      });
      expect(why).toEqual({
        sentence: 'The fallback: no rule put anything here',
        ruleId: null,
        playbookVersion: playbook,
        eventId: null,
        facts: [],
        losers: [],
      });
    }
  });

  it('says what was there when all has ended', () => {
    const slot = shownAfter([add(2), view])!;
    const only = { ...slot, candidates: slot.candidates.slice(0, 1) };
    expect(presented(only, 2_000_000).why.sentence).toBe(
      'The fallback: no rule shows anything here now; upsell_over_100 has ended',
    );
  });
});
