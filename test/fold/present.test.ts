import { describe, expect, it } from 'vitest';
import { present, type Viewer } from '../../src/fold/present.ts';
import { why } from '../../src/fold/why.ts';
import type { Slot } from '../../src/model/visitor.ts';
import type { Playbook, ReadCondition, Rule, Show } from '../../src/playbook/playbook.ts';
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

const nowhere: Viewer = { page: null, device: null, timeZone: null };

function presented(
  slot: Slot | undefined,
  now: number,
  playbooks: (version: string) => Playbook | null = (version) => bundles.playbook(version),
  viewer = nowhere,
) {
  const shown = present(slot, definition, playbooks, { playbook: compiled, ...viewer }, now);
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

describe('a content for some pages, devices or hours only', () => {
  const slot = shownAfter([add(2), view]);
  /** The playbook with conditions at these rules. */
  function withOnly(only: { readonly [rule: string]: Partial<ReadCondition> }, timezone = 'UTC') {
    const rules = new Map<string, Rule>(compiled.rules);
    for (const [id, condition] of Object.entries(only)) {
      const rule = rules.get(id)!;
      const show = rule.entries[0] as Show;
      const whole: ReadCondition = { pages: null, devices: null, hours: null, ...condition };
      rules.set(id, { ...rule, entries: [{ ...show, do: 'show', only: whole }] });
    }
    return { ...compiled, timezone, rules };
  }
  const look = (playbook: Playbook, viewer: Partial<Viewer>, now = 1000) => {
    const { shown, why } = presented(slot, now, () => playbook, { ...nowhere, ...viewer });
    return { content: shown.content.id, reasons: why.losers.map(({ reason }) => reason), sentence: why.sentence };
  };

  it('is shown on these pages, and on no page that is not told', () => {
    const playbook = withOnly({ upsell_over_100: { pages: ['product', 'cart'] } });
    for (const page of ['product', 'cart']) expect(look(playbook, { page }).content).toBe('extra_warranty');
    for (const page of ['home', null]) {
      expect(look(playbook, { page })).toEqual({
        content: 'home_again',
        reasons: ['not on this page', 'smaller id'],
        sentence:
          'Shown because you viewed p_017 (home_offer); upsell_over_100 is there, but not on this page; home_second lost to a smaller rule id',
      });
    }
  });

  it('is shown on these devices, and on none that is not known', () => {
    const playbook = withOnly({ upsell_over_100: { devices: ['mobile', 'tablet'] } });
    expect(look(playbook, { device: 'tablet' }).content).toBe('extra_warranty');
    for (const device of ['desktop', null]) {
      const { content, reasons, sentence } = look(playbook, { device });
      expect([content, reasons[0]]).toEqual(['home_again', 'not on this device']);
      expect(sentence).toContain('upsell_over_100 is there, but not on this device');
    }
  });

  it('is shown at these hours by the clocks of the page, or of the playbook where the page tells no time zone that there is', () => {
    const evening = { from: 18 * 60, to: 23 * 60, days: null };
    const playbook = withOnly({ upsell_over_100: { hours: evening } }, 'Europe/Berlin');
    // The epoch's first minutes: 1:00 in Berlin, 9:00 in Tokyo, 19:00 in New York, 0:00 in UTC.
    expect(look(playbook, { timeZone: 'America/New_York' }).content).toBe('extra_warranty');
    for (const timeZone of ['Asia/Tokyo', 'UTC', 'Mars/Olympus', null]) {
      const { content, reasons, sentence } = look(playbook, { timeZone });
      expect([content, reasons[0]]).toEqual(['home_again', 'not at this hour']);
      expect(sentence).toContain('upsell_over_100 is there, but not at this hour');
    }
    const early = withOnly({ upsell_over_100: { hours: { from: 60, to: 120, days: [3] } } }, 'Europe/Berlin');
    for (const timeZone of ['Mars/Olympus', null]) expect(look(early, { timeZone }).content).toBe('extra_warranty');
    expect(look(early, { timeZone: 'UTC' }).content).toBe('home_again');
  });

  it('begins and ends by the minute, without an event', () => {
    const playbook = withOnly({ upsell_over_100: { hours: { from: 5, to: 10, days: [3] } } });
    const shownAt = (ms: number) => look(playbook, {}, ms).content;
    expect([299_999, 300_000, 599_999, 600_000].map(shownAt)).toEqual([
      'home_again',
      'extra_warranty',
      'extra_warranty',
      'home_again',
    ]);
  });

  it('must meet all that it asks for', () => {
    const playbook = withOnly({
      upsell_over_100: { pages: ['product'], devices: ['mobile'], hours: { from: 0, to: 5, days: null } },
    });
    const reasonOf = (viewer: Partial<Viewer>, now: number) => look(playbook, viewer, now).reasons[0];
    expect(look(playbook, { page: 'product', device: 'mobile' }).content).toBe('extra_warranty');
    expect(reasonOf({ page: 'home', device: 'mobile' }, 0)).toBe('not on this page');
    expect(reasonOf({ page: 'product', device: 'desktop' }, 0)).toBe('not on this device');
    expect(reasonOf({ page: 'product', device: 'mobile' }, 300_000)).toBe('not at this hour');
  });

  it('tells so of a loser that would not be shown if the winner went', () => {
    const playbook = withOnly({ home_offer: { pages: ['home'] } });
    expect(look(playbook, { page: 'product' })).toMatchObject({
      content: 'extra_warranty',
      reasons: ['not on this page', 'priority'],
    });
  });

  it('leaves the fallback, which has no condition, when none is for here', () => {
    const here = { pages: ['cart'] };
    const playbook = withOnly({ upsell_over_100: here, home_offer: here, home_second: here });
    const { content, reasons, sentence } = look(playbook, { page: 'product' });
    expect([content, ...reasons]).toEqual(['plain', 'not on this page', 'not on this page', 'not on this page']);
    expect(sentence).toBe(
      'The fallback: no rule shows anything here now; upsell_over_100 is there, but not on this page; home_offer is there, but not on this page; home_second is there, but not on this page',
    );
  });

  it('has ended for everyone when its time is over', () => {
    const playbook = withOnly({ upsell_over_100: { pages: ['cart'] } });
    expect(look(playbook, { page: 'home' }, 2_000_000).reasons[0]).toBe('expired');
  });
});
