import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Rule, Scope, SequenceTrigger } from '../../src/playbook/playbook.ts';
import { compileFiles, playbookOf, problemsOf } from '../support/playbooks.ts';

const around = `events:
  offer_made: { properties: { required: [category], properties: { category: { enum: [tents, boots] }, views: { type: integer, minimum: 1 } } } }
traits: { plain: { count: product_viewed }, offer: { set: text }, offered: { set: number }, vip: { set: bool }, offered_at: { set: time } }
segments: { vip: { if: visitor.orders > 5 }, shy: { if: visitor.orders == 0 } }
content: { a: { type: offer } }
slots: { side: { fallback: a }, beside: { page: product, fallback: a } }
`;
const show = '[{ show: { slot: side, content: a } }]';
const ruleOf = (rule: string, before = around): Rule =>
  playbookOf(`${before}rules: { r: { ${rule} } }`).rules.get('r')!;
const scope = (roots: object) => roots as unknown as Scope;

describe('constructs.yaml', () => {
  it('has each construct, and no mistake', () => {
    const text = readFileSync(join(import.meta.dirname, 'constructs.yaml'), 'utf8');
    const { playbook, problems } = compileFiles({ 'constructs.yaml': text });
    expect(problems).toEqual([]);
    const rules = [...playbook!.rules.values()];
    expect(new Set(rules.map(({ trigger }) => trigger.kind))).toEqual(
      new Set(['event', 'sequence', 'absence', 'segment', 'spent']),
    );
    expect(new Set(rules.flatMap(({ entries }) => entries.map((entry) => entry.do)))).toEqual(
      new Set(['show', 'set', 'emit']),
    );
    expect(new Set(rules.map(({ limit }) => limit?.per))).toEqual(
      new Set(['session', 'key', 'day', 'visitor', undefined]),
    );
  });
});

describe('an absence', () => {
  const rule = ruleOf(
    `when: { absent: order_completed, since: [cart_item_added, cart_item_removed], for: 30m, key: cart.id }, if: size(cart.lines) > 0, then: ${show}`,
  );

  it('waits for events, since others, each key by itself', () => {
    expect(rule.trigger).toMatchObject({
      kind: 'absence',
      absent: ['order_completed'],
      since: ['cart_item_added', 'cart_item_removed'],
      forMs: 1_800_000,
      says: 'have not completed an order for 30 minutes',
    });
    expect(rule.trigger.kind === 'absence' && rule.trigger.key!.evaluate(scope({ cart: { id: 7 } }))).toBe(7);
    expect(rule.when).toEqual(['order_completed', 'cart_item_added', 'cart_item_removed']);
  });

  it('needs no key', () => {
    expect(
      ruleOf(`when: { absent: search_performed, since: page_viewed, for: 5s }, then: ${show}`).trigger,
    ).toMatchObject({
      key: null,
    });
  });
});

describe('a sequence', () => {
  it('has an element for each event, and the name at the last of its element', () => {
    const rule = ruleOf(
      `when: { sequence: [{ event: [product_viewed, product_clicked], times: 3, same: product.category, as: seen }, { event: search_performed, if: event.query != "" }], within: 5m, without: order_completed }, then: ${show}`,
    );
    const { elements, withinMs, without } = rule.trigger as SequenceTrigger;
    expect([withinMs, without]).toEqual([300_000, ['order_completed']]);
    expect(elements.map(({ events, first, as }) => [events.length, first, as])).toEqual([
      [2, true, null],
      [2, false, null],
      [2, false, 'seen'],
      [1, false, null],
    ]);
    for (const { same } of elements.slice(0, 3))
      expect(same!.evaluate(scope({ product: { category: 'tents' } }))).toBe('tents');
    expect(elements[3]!.same).toBeNull();
    expect(elements[3]!.if!.evaluate(scope({ event: { query: 'x' } }))).toBe(true);
    expect(rule.when).toEqual(['product_viewed', 'product_clicked', 'search_performed', 'order_completed']);
  });

  it('keeps of a named event what anything in the rule reads of it', () => {
    const rule = ruleOf(
      `when: { sequence: [{ event: product_viewed, as: seen }, { event: product_viewed, as: last }], within: 5m }, if: seen.product.price > last.product.price, unless: seen.event.productId == "x", limit: { times: 1, per: seen.product.brand }, then: [{ if: now - seen.at < duration("1m"), show: { slot: side, content: b, while: seen.product.category == visitor.lastCategory } }, { set: { trait: offer, to: seen.product.url } }, { emit: { event: offer_made, properties: { category: seen.product.image } } }]`,
      around.replace('content: {', 'content: { b: { type: offer, title: "${seen.product.name}" },'),
    );
    const { elements } = rule.trigger as SequenceTrigger;
    expect(elements.map(({ captures }) => captures.toSorted())).toEqual([
      [
        'event.productId',
        'product.brand',
        'product.category',
        'product.image',
        'product.name',
        'product.price',
        'product.url',
      ],
      ['product.price'],
    ]);
    expect(rule.entries[0]).toMatchObject({
      captures: [
        'seen.product.name',
        'seen.product.category',
        'seen.product.price',
        'last.product.price',
        'seen.event.productId',
        'seen.at',
      ],
    });
  });

  it('may be one event, several times', () => {
    expect(
      (
        ruleOf(`when: { sequence: [{ event: page_viewed, times: 2 }], within: 1s }, then: ${show}`)
          .trigger as SequenceTrigger
      ).elements,
    ).toHaveLength(2);
  });
});

describe('a trigger', () => {
  it('may be time spent on a page', () => {
    const rule = ruleOf(`when: { spent: 1m30s }, if: event.seconds > 5, then: ${show}`);
    expect(rule).toMatchObject({ trigger: { kind: 'spent', seconds: 90 }, when: ['time_spent'] });
  });

  it('may be a segment, entered or left', () => {
    const playbook = playbookOf(`${around}rules:
  b: { when: { entered: vip, left: [shy] }, then: ${show} }
  a: { when: { left: vip }, then: ${show} }
  c: { when: { left: vip }, status: paused, then: ${show} }
  d: { when: page_viewed, then: ${show} }
`);
    expect(playbook.rules.get('b')).toMatchObject({ trigger: { entered: ['vip'], left: ['shy'] }, when: [] });
    expect(playbook.segmentRules.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(playbook.rulesFor('page_viewed').map(({ id }) => id)).toEqual(['d']);
  });

  it('of a sequence or an absence is asked at each of its events, whatever its condition compares', () => {
    const many = Array.from(
      { length: 10 },
      (_, i) => `  e${i}: { when: product_viewed, if: product.category == "c${i}", then: ${show} }\n`,
    );
    const playbook = playbookOf(`${around}rules:
${many.join('')}  seq: { when: { sequence: [{ event: page_viewed }, { event: product_viewed }], within: 1m }, if: product.category == "c1", then: ${show} }
  time: { when: { absent: product_viewed, since: page_viewed, for: 1m }, if: visitor.lastCategory == "c1", then: ${show} }
`);
    const ids = playbook
      .candidateRules('product_viewed', scope({ product: { category: 'c5' } }))
      .map(({ of }) => of.id);
    expect(ids).toEqual(['e5', 'seq', 'time']);
  });
});

describe('when a rule may run', () => {
  it('is a period, hours and days', () => {
    const common = `when: page_viewed, then: ${show}`;
    expect(ruleOf(`${common}, from: 2026-01-01T00:00:00Z, to: 2026-02-01T00:00:00+01:00`)).toMatchObject({
      from: Date.UTC(2026, 0, 1),
      to: Date.UTC(2026, 0, 31, 23),
      hours: null,
    });
    expect(ruleOf(`${common}, hours: 09:30-24:00`).hours).toEqual({ from: 570, to: 0, days: null });
    expect(ruleOf(`${common}, hours: 22:00-06:00, days: [sun, mon]`).hours).toEqual({
      from: 1320,
      to: 360,
      days: [0, 6],
    });
    expect(ruleOf(`${common}, days: wed`).hours).toEqual({ from: null, to: null, days: [2] });
  });

  it('is a limit by visitor, session, day or a value, and a cool-down', () => {
    const limitOf = (limit: string) => ruleOf(`when: product_viewed, then: ${show}, limit: ${limit}`).limit;
    expect(limitOf('{ times: 3 }')).toEqual({ times: 3, per: 'visitor', key: null, group: null });
    for (const per of ['visitor', 'session', 'day'])
      expect(limitOf(`{ times: 1, per: ${per} }`)).toEqual({ times: 1, per, key: null, group: null });
    const limit = limitOf('{ times: 1, per: product.category, group: g }')!;
    expect(limit).toMatchObject({ per: 'key', group: 'g' });
    expect(limit.key!.evaluate(scope({ product: { category: 'tents' } }))).toBe('tents');
    expect(ruleOf(`when: page_viewed, then: ${show}, cooldown: 10m`).cooldownMs).toBe(600_000);
    expect(ruleOf(`when: page_viewed, then: ${show}`)).toMatchObject({ limit: null, cooldownMs: 0, unless: null });
  });
});

describe('what a rule does', () => {
  it('is to show, with what ends it and what is asked when it is read', () => {
    const rule = ruleOf(
      'when: product_viewed, then: [{ show: { slot: side, content: a, pinned: true, exclude: { bought: true, shown: 3 }, only: { page: [home, product], device: mobile, hours: 18:00-23:00, days: sat } } }, { show: { slot: beside, content: a, pinned: false, exclude: { bought: false, shown: 1 }, only: { device: [tv, bot] } } }]',
    );
    expect(rule.entries).toMatchObject([
      {
        do: 'show',
        pinned: true,
        exclude: { bought: 'product.id', shown: 3 },
        only: { pages: ['home', 'product'], devices: ['mobile'], hours: { from: 1080, to: 1380, days: [5] } },
        captures: ['product.id'],
      },
      {
        pinned: false,
        exclude: { bought: null, shown: 1 },
        only: { pages: null, devices: ['tv', 'bot'], hours: null },
        captures: [],
      },
    ]);
    expect(ruleOf(`when: page_viewed, then: ${show}`).entries).toMatchObject([
      { pinned: false, exclude: null, only: null },
    ]);
  });

  it('is to set a trait', () => {
    const rule = ruleOf(
      'when: product_viewed, then: [{ if: product.price > 5, set: { trait: offer, to: product.category } }, { set: { trait: offered, to: cart.value * 2 } }, { set: { trait: vip, to: true } }, { set: { trait: offered_at, to: now } }]',
    );
    expect(rule.entries.map((entry) => entry.do === 'set' && [entry.trait, entry.to.source])).toEqual([
      ['offer', 'product.category'],
      ['offered', 'cart.value * 2'],
      ['vip', 'true'],
      ['offered_at', 'now'],
    ]);
    expect(rule.entries[0]!.if!.evaluate(scope({ product: { price: 6 } }))).toBe(true);
  });

  it('is to append an event', () => {
    const rule = ruleOf(
      `when: product_viewed, then: [{ emit: { event: offer_made, properties: { category: '"tents"', views: size(visitor.recentProducts) } } }, { emit: { event: page_viewed } }]`,
    );
    const [offer, page] = rule.entries;
    expect(offer).toMatchObject({ do: 'emit', event: 'offer_made', if: null });
    const values =
      offer!.do === 'emit'
        ? offer!.properties.map(([name, value]) => [
            name,
            value.evaluate(scope({ visitor: { recentProducts: ['a', 'b'] } })),
          ])
        : [];
    expect(values).toEqual([
      ['category', 'tents'],
      ['views', 2],
    ]);
    expect(page).toMatchObject({ event: 'page_viewed', properties: [] });
  });
});

describe('a mistake in a rule is told with its place', () => {
  const sequence = (elements: string, more = 'within: 5m') =>
    `when: { sequence: [${elements}], ${more} }, then: ${show}`;
  it.each<[string, string, ...string[]]>([
    ['an empty when', `when: ▸{}, then: ${show}`, 'when is empty'],
    ['a word of when that is none', `when: { ▸entred: vip }, then: ${show}`, 'unknown key entred'],
    [
      'an absence without a time',
      `when: ▸{ absent: order_completed, since: page_viewed }, then: ${show}`,
      'for is missing',
    ],
    ['an absence of nothing', `when: ▸{ since: page_viewed, for: 5m }, then: ${show}`, 'absent is missing'],
    [
      'an absence of an unknown event',
      `when: { absent: ▸order_complete, since: page_viewed, for: 5m }, then: ${show}`,
      'order_complete is not an event type of the tracking plan',
    ],
    [
      'an absence that is too long',
      `when: { absent: order_completed, since: page_viewed, for: ▸91d }, then: ${show}`,
      'expected a duration such as 30s, 30m, 1h30m or 7d, from 1s to 90d, got "91d"',
    ],
    [
      'a key that reads an event',
      `when: { absent: order_completed, since: page_viewed, for: 5m, key: ▸event.id }, then: ${show}`,
      'event is not known here: the key of a wait is read from the visitor alone',
    ],
    [
      'a key that changes by time',
      `when: { absent: order_completed, since: page_viewed, for: 5m, key: ▸now }, then: ${show}`,
      'now is not known here: the key of a wait must not change by time',
    ],
    [
      'a key of many values',
      `when: { absent: order_completed, since: page_viewed, for: 5m, key: ▸cart.lines }, then: ${show}`,
      'the key of a wait must be one value, not a list of map',
    ],
    [
      'an event in the condition of an absence',
      `when: { absent: order_completed, since: page_viewed, for: 5m }, if: ▸product.price > 5, then: ${show}`,
      'product is not known here: an absence has no event',
    ],
    [
      'an event in the condition of a segment',
      `when: { entered: vip }, if: ▸page.path == "/", then: ${show}`,
      'page is not known here: a segment is entered and left by time too, without an event',
    ],
    [
      'a segment that is none',
      `when: { entered: [vip, ▸vop] }, then: ${show}`,
      'vop is not a segment of this playbook',
    ],
    ['a segment twice', `when: { left: [vip, ▸vip] }, then: ${show}`, 'vip stands twice'],
    ['an unknown segment in a condition', `when: page_viewed, if: segments.▸vop, then: ${show}`, 'segments has no vop'],
    [
      'too short a time on a page',
      `when: { spent: ▸0s }, then: ${show}`,
      'expected a duration such as 30s, 30m, 1h30m or 7d, from 1s to 24h, got "0s"',
    ],
    ['a sequence of one event', sequence('{ event: page_viewed }').replace('[{', '▸[{'), 'one event is no sequence'],
    [
      'a sequence of too many',
      sequence('{ event: page_viewed, times: 10 }, { event: page_viewed, times: 10 }, { event: page_viewed }').replace(
        '[{',
        '▸[{',
      ),
      'a sequence of 21 events',
    ],
    [
      'a sequence without a time',
      sequence('{ event: page_viewed, times: 2 }', '').replace('{ seq', '▸{ seq'),
      'within is missing',
    ],
    [
      'a sequence that cannot be completed',
      sequence(
        '{ event: ▸page_viewed }, { event: search_performed }',
        'within: 5m, without: [page_viewed, order_completed]',
      ),
      'the sequence can never be completed: page_viewed is in it and in without, which makes it begin anew',
    ],
    [
      'a sequence with a condition that never holds',
      sequence('{ event: page_viewed }, { event: search_performed, if: ▸event.query == "" && 1 > 2 }'),
      'the sequence can never be completed: this condition never holds',
    ],
    [
      'same for one event',
      sequence('{ event: product_viewed, same: ▸product.id }, { event: page_viewed }'),
      'same compares the events of one element, and this is one event alone',
    ],
    [
      'same for many values',
      sequence('{ event: order_completed, times: 2, same: ▸event.lines }'),
      'what is the same must be one value, not a list of map',
    ],
    [
      'a name that is taken',
      sequence('{ event: page_viewed, as: ▸cart }, { event: page_viewed }'),
      'cart is a name that conditions have already',
    ],
    [
      'a name twice',
      sequence('{ event: page_viewed, as: x }, { event: page_viewed, as: ▸x }'),
      'x names two events of the sequence',
    ],
    [
      'a product of a named event that has none',
      `${sequence('{ event: page_viewed, as: seen }, { event: search_performed }')}, if: seen.▸product.price > 5`,
      'seen has no product: page_viewed has no productId',
    ],
    [
      'a field that a named event has not',
      `${sequence('{ event: product_viewed, as: seen }, { event: search_performed }')}, if: seen.product.▸colour == "x"`,
      'seen.product has no colour',
    ],
    [
      'the whole of a named event',
      `${sequence('{ event: product_viewed, as: ▸seen }, { event: search_performed }')}, if: seen.product != null`,
      'seen.product is a list or a map; only single values are kept of an event of a sequence',
    ],
    [
      "the last event's facts of an earlier one",
      `${sequence('{ event: product_viewed }, { event: search_performed }')}, if: ▸product.price > 5`,
      'product is not known here: search_performed has no productId',
    ],
    [
      'a rule that ends before it begins',
      `when: page_viewed, from: 2026-02-01T00:00:00Z, to: ▸2026-02-01T00:00:00Z, then: ${show}`,
      'the rule ends before it begins',
    ],
    [
      'hours that are none',
      `when: page_viewed, hours: ▸9-18, then: ${show}`,
      'expected times of the day such as 09:00-18:00, got "9-18"',
    ],
    [
      'hours of no length',
      `when: page_viewed, hours: ▸09:00-09:00, then: ${show}`,
      'this is the whole day, or none of it',
    ],
    [
      'a day that is none',
      `when: page_viewed, days: [mon, ▸tues], then: ${show}`,
      'expected one of mon, tue, wed, thu, fri, sat, sun, got "tues"',
    ],
    ['a day twice', `when: page_viewed, days: [mon, ▸mon], then: ${show}`, 'mon stands twice'],
    ['a limit without times', `when: page_viewed, limit: ▸{ per: day }, then: ${show}`, 'times is missing'],
    [
      'a limit by what is not known',
      `when: page_viewed, limit: { times: 1, per: ▸dai }, then: ${show}`,
      'dai is not a known name',
    ],
    [
      'a limit by many values',
      `when: page_viewed, limit: { times: 1, per: ▸cart.lines }, then: ${show}`,
      'what a limit counts by must be one value, not a list of map',
    ],
    [
      'an unless that is no condition',
      `when: page_viewed, unless: ▸cart.value, then: ${show}`,
      'a condition must be true or false; this is a number',
    ],
    [
      'an entry that does nothing',
      'when: page_viewed, then: [▸{ if: cart.value > 5 }]',
      'expected something to do, such as { show: { slot: …, content: … } }',
    ],
    [
      'an entry that does two things',
      'when: page_viewed, then: [▸{ show: { slot: side, content: a }, set: { trait: offer, to: page.path } }]',
      'show and set stand in one entry',
    ],
    [
      'bought without a product',
      'when: page_viewed, then: [{ show: { slot: side, content: a, exclude: { bought: ▸true } } }]',
      'bought needs a product: page_viewed has no productId',
    ],
    [
      'an empty exclude',
      'when: page_viewed, then: [{ show: { slot: side, content: a, exclude: ▸{} } }]',
      'exclude says nothing',
    ],
    [
      'an empty only',
      'when: page_viewed, then: [{ show: { slot: side, content: a, only: ▸{} } }]',
      'only says nothing',
    ],
    [
      'a device that is none',
      'when: page_viewed, then: [{ show: { slot: side, content: a, only: { device: ▸phone } } }]',
      'expected one of desktop, mobile, tablet, tv, bot, got "phone"',
    ],
    [
      'the age of a visit in while',
      'when: page_viewed, then: [{ show: { slot: side, content: a, while: visitor.▸idle < duration("5m") } }]',
      'visitor has no idle: while is tried at events; use for or until to end at a time, or a segment',
    ],
    [
      'setting what events make',
      'when: page_viewed, then: [{ set: { trait: ▸plain, to: "5" } }]',
      'plain is made from events (count); a rule cannot set it',
    ],
    [
      'setting what is not there',
      'when: page_viewed, then: [{ set: { trait: ▸ofer, to: page.path } }]',
      'ofer is not a trait with `set` of this playbook',
    ],
    [
      'setting a text to a number',
      'when: page_viewed, then: [{ set: { trait: offer, to: ▸cart.value } }]',
      'offer is a text, and this is a number',
    ],
    [
      'setting a time to a text',
      'when: page_viewed, then: [{ set: { trait: offered_at, to: ▸page.path } }]',
      'offered_at is a timestamp, and this is a text',
    ],
    [
      'an event that is none',
      `when: page_viewed, then: [{ emit: { event: ▸offer_mad, properties: { category: page.path } } }]`,
      'offer_mad is not an event type of the tracking plan',
    ],
    [
      'an event without what it needs',
      'when: page_viewed, then: [{ emit: ▸{ event: offer_made } }]',
      'offer_made needs category',
    ],
    [
      'a property that is none',
      `when: page_viewed, then: [{ emit: { event: offer_made, properties: { category: page.path, ▸vews: 1 } } }]`,
      'offer_made has no vews',
    ],
    [
      'a property of another type',
      `when: page_viewed, then: [{ emit: { event: offer_made, properties: { category: ▸cart.value } } }]`,
      'category of offer_made is a text, and this is a number',
    ],
    [
      'a property that is not one of the enum',
      `when: page_viewed, then: [{ emit: { event: offer_made, properties: { category: ▸'"knives"' } } }]`,
      'category of offer_made must be one of "tents", "boots"',
    ],
    [
      'a property out of range',
      `when: page_viewed, then: [{ emit: { event: offer_made, properties: { category: page.path, views: ▸0 } } }]`,
      'views of offer_made must be >= 1',
    ],
  ])('%s', (_name, rule, message) => {
    const { found, places } = problemsOf(`${around}rules: { r: { ${rule} } }`);
    expect(found).toEqual([`${places[0]} ${message}`]);
  });

  it('with the nearest name, and what was expected', () => {
    const { problems } = compileFiles({
      'a.yaml': `${around}rules: { r: { when: { entered: vop }, then: [{ set: { trait: offr, to: "1" } }] } }`,
    });
    expect(problems).toMatchObject([
      { nearest: 'vip', expected: 'one of vip, shy' },
      { nearest: 'offer', expected: 'one of offer, offered, vip, offered_at' },
    ]);
  });

  it('when more is kept of a named event than a visitor has room for', () => {
    const fields = ['id', 'name', 'category', 'brand', 'image', 'url'].map((name) => `seen.product.${name} != ""`);
    const rule = (conditions: readonly string[]) =>
      `when: { sequence: [{ event: product_clicked, as: seen }, { event: page_viewed }], within: 5m }, if: '${conditions.join(' && ')}', then: ${show}`;
    const eight = [...fields, 'seen.event.id != ""', 'seen.event.list != ""'];
    expect(ruleOf(rule(eight)).trigger.kind).toBe('sequence');
    const { found } = problemsOf(`${around}rules: { r: { ${rule([...eight, 'seen.event.position > 1'])} } }`);
    expect(found[0]).toContain('more than 8 facts of seen are read: ');
  });

  it('when a playbook has changed time_spent so that no page can be told from another', () => {
    const events = 'events: { time_spent: { properties: { properties: { seconds: { type: number } } } } }\n';
    const { found } = problemsOf(
      `${events}content: { a: { type: offer } }\nslots: { side: { fallback: a } }\nrules: { r: { when: { spent: 1m }, then: ${show} } }`,
    );
    expect(found).toEqual(['4:30 time_spent has no pageViewId and seconds, which spent needs']);
  });
});

describe('the parts of a condition', () => {
  const partsOf = (condition: string) => ruleOf(`when: product_viewed, if: '${condition}', then: ${show}`).if!.parts;

  it.each([
    ['cart.value > 1', ['cart.value > 1']],
    ['cart.value > 1 && !(visitor.orders > 1)', ['cart.value > 1', '!(visitor.orders > 1)']],
    ['(cart.value + 1) * 2 > 4 && (product.id == "(")', ['(cart.value + 1) * 2 > 4', 'product.id == "("']],
    [
      '((cart.value > 1) && visitor.orders == 2) && (segments.vip || segments.shy)',
      ['cart.value > 1', 'visitor.orders == 2', 'segments.vip || segments.shy'],
    ],
  ])('of %s are texts that stand alone', (condition, texts) => {
    expect(partsOf(condition).map(({ source }) => source)).toEqual(texts);
  });

  it('hold each by itself', () => {
    const parts = partsOf('cart.value > 1 && !(visitor.orders > 1)');
    const holds = (value: number, orders: number) =>
      parts.map((part) => part.evaluate(scope({ cart: { value }, visitor: { orders } })));
    expect(holds(2, 2)).toEqual([true, false]);
    expect(holds(1, 1)).toEqual([false, true]);
  });
});
