import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { segmentSaid, traitSaid } from '../../src/playbook/sentence.ts';
import { playbookOf } from '../support/playbooks.ts';

const facts = `traits: { views: { count: product_viewed, by: product.category } }
segments: { vip: { if: visitor.orders > 5 }, shy: { if: visitor.orders == 0 } }
`;

/** The sentence of a rule with this condition. */
function conditionSaid(condition: string, when = 'product_viewed'): string {
  const rule = `rules: { r: { when: ${when}, if: ${JSON.stringify(condition)}, then: [{ show: { slot: s, content: a } }] } }`;
  const { sentence } = playbookOf(
    `${facts}content: { a: { type: offer } }\nslots: { s: { fallback: a } }\n${rule}`,
  ).rules.get('r')!;
  return /, if (.*), show a in s\. Priority 0\.$/.exec(sentence)?.[1] ?? sentence;
}

describe('a condition in plain English', () => {
  it.each([
    ['product.id == "p_017"', 'the product is p_017'],
    ['product.name != "Red tent"', 'the product\'s name is not "Red tent"'],
    ['cart.value >= 50 || cart.value < 5', 'the cart is worth at least 50 or the cart is worth less than 5'],
    [
      'cart.value > 1 && (product.price > 1 || product.price < 0)',
      "the cart is worth more than 1 and (the product's price is more than 1 or the product's price is less than 0)",
    ],
    ['session.pageViews == 1', "this visit's page views are 1"],
    ['visitor.device in ["mobile", "tablet"]', "the visitor's device is mobile or tablet"],
    ['product.id in visitor.recentProducts', "the product is among the visitor's recent products"],
    ['has(page.referrer)', "the page's referrer is known"],
    ['!has(page.referrer)', "the page's referrer is not known"],
    ['product.brand.startsWith("Nord")', "the product's brand begins with Nord"],
    ['size(cart.lines) > 2', "the number of the cart's lines is more than 2"],
    ['product == null', 'the product is not known'],
    ['now > timestamp("2026-01-01T00:00:00Z")', 'the time is after 2026-01-01T00:00:00Z'],
    ['cart.lines.exists(l, l.price > 5)', '`cart.lines.exists(l, l.price > 5)`'],
    ['visitor.lastSearch == ""', "the visitor's last search is empty"],
    ['now - visitor.lastOrderAt < duration("36h")', "the visitor's last order was less than 1 day and 12 hours ago"],
    ['!(cart.value > 5)', 'not (the cart is worth more than 5)'],
    ['visitor.orders * 2 > 5', '`visitor.orders * 2 > 5`'],
    ['now - visitor.lastOrderAt > duration("72h")', "the visitor's last order was more than 3 days ago"],
    ['visitor.idle >= duration("5m")', 'the visitor has done nothing for at least 5 minutes'],
    ['segments.vip && !segments.shy', 'the visitor is in the segment vip and the visitor is not in the segment shy'],
    [
      'traits.views["tents"] > 2 || traits.views.boots > 2',
      'the trait views of tents is more than 2 or the trait views of boots is more than 2',
    ],
    ['traits.views[product.category] == 1', "the trait views of the product's category is 1"],
  ])('%s', (condition, said) => {
    expect(conditionSaid(condition)).toBe(said);
  });
});

describe('a rule in plain English', () => {
  const said = (rule: string, events = '') =>
    playbookOf(
      `${events}content: { a: { type: offer }, b: { type: offer } }\nslots: { s: { fallback: a } }\nrules: { r: ${rule} }`,
    ).rules.get('r')!.sentence;

  it('says when, how long and how important', () => {
    expect(
      said(
        '{ when: [page_viewed, search_performed], then: [{ show: { slot: s, content: b, for: 1h30m, until: 2026-12-24T18:00:00Z } }], priority: -5, status: paused }',
      ),
    ).toBe(
      'When a visitor views a page or searches, show b in s for 1 hour and 30 minutes until 2026-12-24T18:00:00Z. Priority -5. It is paused.',
    );
  });
  it('tells all of then, and choose in turn', () => {
    expect(
      said(
        '{ when: page_viewed, then: [{ show: { slot: s, content: b } }, { if: visitor.orders > 1, show: { slot: s, content: a } }] }',
      ),
    ).toContain(", show b in s; and if the visitor's orders are more than 1, show a in s.");
    expect(
      said(
        '{ when: page_viewed, choose: [{ if: visitor.orders > 1, show: { slot: s, content: a } }, { show: { slot: s, content: b } }] }',
      ),
    ).toContain(", if the visitor's orders are more than 1, show a in s; otherwise show b in s.");
  });
  it('calls an event of the playbook by its name', () => {
    expect(
      said(
        '{ when: quiz_done, then: [{ show: { slot: s, content: b } }] }',
        'events: { quiz_done: { name: Quiz finished } }\n',
      ),
    ).toBe('When a visitor does "Quiz finished", show b in s. Priority 0.');
  });
});

describe('constructs.yaml in plain English', () => {
  const playbook = playbookOf(readFileSync(join(import.meta.dirname, 'constructs.yaml'), 'utf8'));

  it.each([
    [
      'seen_before',
      "When a visitor views a product or clicks a product, only from 2026-01-01T00:00:00Z until 2030-01-01T00:00:00Z between 09:00 and 18:00 on Monday, Tuesday and Saturday, if the number of the trait brands_clicked is more than 2, unless the visitor's orders are more than 5, show plain in side before all that is not pinned for 1 hour until 2029-12-24T18:00:00Z while the product's category is the visitor's last category, only on product pages and on mobile or tablet devices and between 18:00 and 02:00 on Saturday, unless the product has been bought or it has been seen 3 times. At most 3 times per session, counted together with the group nudges. Not again for 10 minutes. Priority 0.",
    ],
    [
      'cart_reminder',
      "When a visitor has not completed an order for 30 minutes after putting something into the cart or taking something out of it (each cart by itself), if the visitor is in the segment bargain_hunter and the number of the cart's lines is more than 0, if the visitor has done nothing for less than 2 minutes, show back_to_cart in banner for 1 day; otherwise show plain in banner for 1 day. At most once per cart.id. Priority 0.",
    ],
    [
      'browsed_then_searched',
      'When a visitor views a product 3 times (the product\'s category the same each time; called "seen"), then searches (its query is not empty), within 5 minutes and without completing an order in between, if the price of "seen" is more than 5 and "seen" was less than 2 minutes ago, show guide in banner for 15 minutes while the brand of "seen" is not Nordfell, set the trait last_offer to the category of "seen" and add the event "Offer made" with category tents and views 3. At most twice per day, counted together with the group nudges. Priority 0.',
    ],
    [
      'welcome',
      'When a visitor enters the segment bargain_hunter or leaves the segment fond_of_tents or busy, show plain in banner for 5 minutes and set the trait offered_at to the time. At most once per visitor. Priority 0.',
    ],
    [
      'long_read',
      'When a visitor has looked at a page for 1 minute, if its seconds are at least 60, add the event "Offer made" with category other. Priority 0.',
    ],
  ])('%s', (id, sentence) => {
    expect(playbook.rules.get(id)!.sentence).toBe(sentence);
  });

  it.each([
    [
      'bargain_hunter',
      "A visitor is in it as long as the visitor's orders are less than 3 and this visit's product views are at least 2.",
    ],
    [
      'hesitating',
      'A visitor is in it as long as the visitor is in the segment bargain_hunter and the visitor has done nothing for more than 10 minutes. Time alone may change that.',
    ],
    [
      'christmas',
      'A visitor is in it as long as the time is not before 2026-12-01T00:00:00Z and the time is before 2026-12-27T00:00:00Z. Time alone may change that.',
    ],
  ])('the segment %s', (id, sentence) => {
    expect(segmentSaid(playbook.segments.get(id)!)).toBe(sentence);
  });

  it.each([
    ['views_by_category', "How often: viewing a product, in the last 30 minutes, by the product's category."],
    ['spent_in_this_visit', 'The sum of its value when completing an order, in this visit.'],
    ['cheapest_seen', "The smallest value of the product's price when viewing a product."],
    ['brands_clicked', "The last 5 different values of the product's brand when clicking a product, newest first."],
    ['brands_seen', "How many different values of the product's brand when viewing a product, up to 20."],
    ['view_rate', 'How often per 1 minute: viewing a product, in the last 10 minutes.'],
    [
      'heat',
      'A score that grows by 1 when viewing a product or putting something into the cart, and is halved in 1 hour.',
    ],
    ['last_offer', 'A value that rules set.'],
  ])('the trait %s', (id, sentence) => {
    expect(traitSaid(playbook.traits.get(id)!, playbook.events)).toBe(sentence);
  });
});
