import { describe, expect, it } from 'vitest';
import { playbookOf } from '../support/playbooks.ts';

/** The sentence of a rule with this condition. */
function conditionSaid(condition: string, when = 'product_viewed'): string {
  const rule = `rules: { r: { when: ${when}, if: ${JSON.stringify(condition)}, then: [{ show: { slot: s, content: a } }] } }`;
  const { sentence } = playbookOf(`content: { a: { type: offer } }\nslots: { s: { fallback: a } }\n${rule}`).rules.get(
    'r',
  )!;
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
    ['now > timestamp("2026-01-01T00:00:00Z")', 'the time is more than `timestamp("2026-01-01T00:00:00Z")`'],
    ['cart.lines.exists(l, l.price > 5)', '`cart.lines.exists(l, l.price > 5)`'],
    ['!(cart.value > 5)', 'not (the cart is worth more than 5)'],
    ['visitor.orders * 2 > 5', '`visitor.orders * 2 > 5`'],
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
    ).toContain("show b in s and show a in s if the visitor's orders are more than 1.");
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
