import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { type ActionOrder, actionsTopic } from '../../src/model/action.ts';
import { movesTopic } from '../../src/model/commit.ts';
import { TestBundles } from '../support/bundles.ts';
import { type Cut, wholeLog } from '../support/foldShard.ts';
import { noon, Shop } from '../support/messages.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

const bundles = new TestBundles();
const text = `
format: 1
timezone: Europe/Berlin
content: { plain: { type: a }, back: { type: a }, hello: { type: a } }
slots: { side: { accepts: a, fallback: plain } }
destinations:
  shop_mail: { kind: smtp, from: shop@example.com }
  crm: { kind: webhook, url: "https://crm.example", secret: CRM }
actions:
  cart_mail:
    destination: shop_mail
    with: { percent: number }
    subject: \${with.percent} % for \${visitor.name}
    text: \${cart.value} \${lines}
    lines: { text: "\${line.name}" }
    quiet: 22:00-08:00
    purpose: marketing
  told: { destination: crm, with: { query: text } }
  night: { destination: crm, with: { query: text }, quiet: 22:00-08:00 }
rules:
  reminder:
    when: { absent: order_completed, since: cart_item_added, for: 30m, key: cart.id }
    if: size(cart.lines) > 0
    choose:
      - { if: visitor.idle < duration("2m"), show: { slot: side, content: back } }
      - { if: cart.value > 5, send: { action: cart_mail, with: { percent: 5 + 5 } } }
      - { show: { slot: side, content: back } }
    limit: { times: 1, per: cart.id }
  searching:
    when: search_performed
    if: event.query != "quiet"
    then: [{ send: { action: told, with: { query: event.query } } }]
    limit: { times: 2, per: day, group: words }
  greeting: { when: page_viewed, then: [{ show: { slot: side, content: hello } }], limit: { times: 2, per: day, group: words } }
  by_night:
    when: product_viewed
    if: product.price > 1 && visitor.orders == 0
    then: [{ send: { action: night, with: { query: product.id } } }, { set: { trait: seen, to: true } }]
    limit: { times: 1, per: day }
traits: { seen: { set: bool } }
`;
const playbook = bundles.addPlaybook(text);
const paused = bundles.addPlaybook(
  text.replace('    when: product_viewed', '    status: paused\n    when: product_viewed'),
);
const catalog = bundles.addCatalog([
  { id: 'p1', price: 2_000, name: 'Tent' },
  { id: 'p2', price: 300, name: 'Peg' },
]);

class OurShop extends Shop {
  constructor(cut?: Cut) {
    super(bundles, playbook, catalog, cut);
  }
}
const known = () => new OurShop().profile().consent(true);

describe('a rule that sends', () => {
  it('puts an order into the outbox, with what the message needs later', () => {
    const shop = known()
      .added('p1', minute)
      .tick(31 * minute);
    expect(shop.orders).toEqual([
      {
        v: 1,
        id: expect.stringMatching(/^[0-9a-f]{32}$/),
        visitor: 'u:ann',
        action: 'cart_mail',
        destination: 'shop_mail',
        rule: 'reminder',
        entry: 1,
        playbook,
        purpose: 'marketing',
        to: 'ann@example.com',
        with: {
          percent: 10,
          'visitor.name': 'Ann',
          'cart.id': 1,
          'cart.value': 20,
          'cart.lines': [{ productId: 'p1', quantity: 1, price: 20 }],
        },
        facts: [['cart.value', 20]],
        at: noon + 31 * minute,
        orderedAt: noon + 31 * minute,
        redriven: 0,
      },
    ]);
    const { id, key } = shop.shard.outbox[0]!;
    expect([id, key]).toEqual(['4-0', 'u:ann']);
    expect(shop.counted).toEqual({ ordered: 1, delayedOrders: 0, withheld: 0 });
    expect(shop.shown).toBeUndefined();
  });

  it('sends nothing to somebody who came back, or ordered, or whose cart is empty', () => {
    const order = { orderId: 'o', lines: [{ productId: 'p1', quantity: 1 }] };
    expect(
      known()
        .added('p1', 0)
        .did('order_completed', order, 20 * minute)
        .tick(hour).orders,
    ).toEqual([]);
    const back = known()
      .added('p1', 0)
      .did('element_clicked', { element: 'x' }, 29 * minute)
      .tick(hour);
    expect([back.orders, back.shown]).toEqual([[], 'back']);
    const emptied = known().added('p1', 0).did('cart_item_removed', { productId: 'p1' }, minute).tick(hour);
    expect(emptied.orders).toEqual([]);
  });

  it('sends once a cart, and again for the next one, under another id', () => {
    const order = { orderId: 'o', lines: [{ productId: 'p1', quantity: 1 }] };
    const shop = known()
      .added('p1', 0)
      .tick(31 * minute)
      .added('p2', 40 * minute)
      .tick(80 * minute);
    expect(shop.orders.length).toBe(1);
    shop
      .did('order_completed', order, 90 * minute)
      .added('p1', 91 * minute)
      .tick(130 * minute);
    // The first add to a cart that was emptied is of the visitor as before it, so it waits by the new number.
    expect(shop.orders.map(({ with: kept }) => kept['cart.id'])).toEqual([1, 2]);
    expect(new Set(shop.orders.map(({ id }) => id)).size).toBe(2);
  });

  it('sends what the event told', () => {
    const shop = known().did('search_performed', { query: 'tents' }, minute);
    expect(shop.orders.map(({ action, to, with: kept, at }) => [action, to, kept, at])).toEqual([
      ['told', null, { query: 'tents' }, noon + minute],
    ]);
  });

  it('gives two messages of one timer that goes on two ids', () => {
    const pausing = bundles.addPlaybook(`
format: 1
destinations: { crm: { kind: topic } }
actions: { told: { destination: crm, with: { query: text } } }
segments: { pausing: { if: visitor.idle >= duration("10m") && visitor.idle < duration("20m") } }
rules: { r: { when: { entered: pausing, left: pausing }, then: [{ send: { action: told, with: { query: visitor.lastSearch } } }] } }
`);
    const shop = new OurShop().activate(pausing, 0).did('search_performed', { query: 'a' }, 0).tick(hour);
    expect(shop.orders.map(({ at }) => at - noon)).toEqual([10 * minute, 20 * minute]);
    expect(new Set(shop.orders.map(({ id }) => id)).size).toBe(2);
  });

  it('orders the same, under the same ids, however the log is cut', () => {
    const make = (cut: Cut) => {
      const shop = new OurShop(cut).profile().consent(true).added('p1', 0);
      shop.did('search_performed', { query: 'a' }, minute).did('product_viewed', { productId: 'p1' }, 11 * hour);
      return shop
        .tick(12 * hour)
        .tick(22 * hour)
        .shard.fold()
        .canonical();
    };
    expect(make({ batch: 1, timers: 1, page: 1, keep: 0 })).toEqual(make(wholeLog));
    expect(make(wholeLog).filter((line) => line.includes(`"${actionsTopic}"`)).length).toBe(3);
  });
});

describe('consent and address', () => {
  it.each([
    ['never asked', new OurShop().profile()],
    ['refused', new OurShop().profile().consent(false)],
    ['withdrawn', new OurShop().profile().consent(true).consent(false, minute)],
  ])('without consent (%s) the entry does not happen, and the next one of choose is tried', (_how, shop) => {
    shop.added('p1', 2 * minute).tick(40 * minute);
    expect([shop.orders, shop.shown]).toEqual([[], 'back']);
    expect(shop.counted).toEqual({ ordered: 0, delayedOrders: 0, withheld: 1 });
    const told = shop.shard.activity.flatMap(({ detail }) => detail ?? []);
    expect(told).toEqual(['reminder, entry 2: there is no consent to marketing']);
  });

  it.each([
    ['none', ''],
    ['two', 'a@b.example,c@d.example'],
    ['a line of its own', 'a@b.example\nBcc: c@d.example'],
  ])('without an address (%s) neither', (_which, email) => {
    const shop = new OurShop()
      .did('profile_updated', { email, name: 'Ann' }, 0)
      .consent(true)
      .added('p1', 0)
      .tick(hour);
    expect([shop.orders, shop.shown]).toEqual([[], 'back']);
    expect(shop.shard.activity.flatMap(({ detail }) => detail ?? [])).toEqual([
      'reminder, entry 2: cart_mail has no address to go to',
    ]);
  });

  it('what is shown for a purpose leaves when consent is withdrawn', () => {
    const shown = bundles.addPlaybook(
      text.replace(
        'then: [{ show: { slot: side, content: hello } }]',
        'purpose: personalization, then: [{ show: { slot: side, content: hello } }]',
      ),
    );
    const shop = new OurShop().activate(shown, 0);
    const personal = (granted: boolean, at: number) =>
      shop.did('consent_changed', { purpose: 'personalization', granted }, at);
    expect(shop.did('page_viewed', {}, minute).shown).toBeUndefined();
    expect(personal(true, 2 * minute).did('page_viewed', {}, 3 * minute).shown).toBe('hello');
    expect(personal(false, 4 * minute).shown).toBeUndefined();
  });
});

describe('one ledger', () => {
  it('counts what a group shows and sends together', () => {
    const shop = known().did('page_viewed', {}, 0).did('search_performed', { query: 'a' }, minute);
    shop.did('search_performed', { query: 'b' }, 2 * minute).did('page_viewed', {}, 3 * minute);
    expect(shop.orders.map(({ with: { query } }) => query)).toEqual(['a']);
    shop.did('search_performed', { query: 'c' }, day);
    expect(shop.orders.map(({ with: { query } }) => query)).toEqual(['a', 'c']);
  });
});

describe('quiet hours', () => {
  const late = 11 * hour; // 23:00 in Berlin
  const morning = 20 * hour; // 08:00

  it('let a message wait for their end, with what the event told, and the cart as it is then', () => {
    const shop = known()
      .added('p1', 9.75 * hour)
      .tick(late);
    expect(shop.orders).toEqual([]);
    expect(shop.counted).toEqual({ ordered: 0, delayedOrders: 1, withheld: 0 });
    expect(shop.tick(morning - 1).orders).toEqual([]);
    const [order] = shop.tick(morning).orders as [ActionOrder];
    expect(order).toMatchObject({ action: 'cart_mail', at: noon + 10.25 * hour, orderedAt: noon + morning });
    const inTime = known()
      .added('p1', 9 * hour)
      .tick(9.5 * hour).orders;
    expect(inTime.map(({ orderedAt }) => orderedAt)).toEqual([noon + 9.5 * hour]);
  });

  it('are those of the place where the visitor is', () => {
    // New York is six hours behind: it is 17:00 there.
    const shop = known().did('product_viewed', { productId: 'p1' }, late, {
      context: { timeZone: 'America/New_York' },
    });
    expect(shop.orders.map(({ action }) => action)).toEqual(['night']);
  });

  it('are asked by the time at which the message would leave, not by that of a late event', () => {
    const shop = known().did('product_viewed', { productId: 'p1' }, 9 * hour, {}, late);
    expect([shop.orders, shop.counted.delayedOrders]).toEqual([[], 1]);
  });

  it('keep the id that the message has of what caused it', () => {
    const viewed = () => known().did('product_viewed', { productId: 'p1' }, late);
    const [order] = viewed().tick(morning).orders;
    const atOnce = bundles.addPlaybook(text.replaceAll('quiet: 22:00-08:00', 'quiet: 03:00-04:00'));
    const [other] = known().activate(atOnce, 0).did('product_viewed', { productId: 'p1' }, late).orders;
    expect(order!.with).toEqual({ query: 'p1' });
    // The log has one record more there, so the position differs, and with it the id.
    expect(order!.id).not.toBe(other!.id);
    expect(viewed().tick(morning).orders[0]!.id).toBe(order!.id);
  });

  it('let the newest of one entry take the place of another', () => {
    const shop = known().did('product_viewed', { productId: 'p1' }, late);
    shop.did('product_viewed', { productId: 'p2' }, late + 1.5 * hour).tick(morning);
    expect(shop.orders.map(({ with: { query } }) => query)).toEqual(['p2']);
  });

  it.each<[string, (shop: Shop) => Shop]>([
    ['its condition does not hold any more', (shop) => bought(shop)],
    ['its rule is paused', (shop) => shop.activate(paused, late + hour)],
  ])('ask again: nothing leaves when %s', (_why, then) => {
    const shop = known().did('product_viewed', { productId: 'p1' }, late);
    then(shop)
      .tick(morning)
      .tick(morning + day);
    expect(shop.orders).toEqual([]);
    expect(shop.counted).toEqual({ ordered: 0, delayedOrders: 1, withheld: 1 });
    expect(shop.shard.visitor('u:ann')!.timers.filter(({ what }) => what === 'send')).toEqual([]);
    expect(shop.shard.visitor('u:ann')!.rules.get('quiet.by_night')).toBeUndefined();
  });
  const bought = (shop: Shop) =>
    shop.did('order_completed', { orderId: 'o', lines: [{ productId: 'p1', quantity: 1 }] }, late + hour);

  it.each<[string, (shop: Shop) => Shop]>([
    ['consent is withdrawn', (shop) => shop.consent(false, late + hour)],
    ['the address is gone', (shop) => shop.did('profile_updated', { email: '' }, late + hour)],
    ['its cart was ordered, and another was begun', (shop) => bought(shop).added('p1', morning - minute)],
  ])('ask again: no mail leaves when %s', (_why, then) => {
    const shop = known()
      .added('p1', 10.5 * hour)
      .tick(late);
    expect(shop.counted.delayedOrders).toBe(1);
    expect(then(shop).tick(morning).orders).toEqual([]);
    expect(shop.counted.withheld).toBe(1);
  });

  it('count a message on the day on which it leaves too, and it does not leave when that day has had its number', () => {
    // 00:30 of the next day: the message of this day waits, and counts for it.
    const shop = known().did('product_viewed', { productId: 'p1' }, late);
    shop.did('product_viewed', { productId: 'p2' }, late + 1.5 * hour).tick(morning);
    expect(shop.orders.length).toBe(1);
    expect(shop.did('product_viewed', { productId: 'p1' }, morning + hour).orders.length).toBe(1);
    // One that waited from the day before counts in the morning.
    const other = known().did('product_viewed', { productId: 'p1' }, late).tick(morning);
    expect(other.orders.length).toBe(1);
    expect(other.did('product_viewed', { productId: 'p1' }, morning + hour).orders.length).toBe(1);
    expect(other.did('product_viewed', { productId: 'p1' }, morning + day).orders.length).toBe(2);
  });

  describe('when the visitor turns out to be a known user', () => {
    const visitor = 'v_ann';
    const viewedBy = (shop: Shop, who: object, productId: string, at: number) =>
      shop.did('product_viewed', { productId }, at, who);
    /** The log takes what the fold sends to the user's shard, which is this one. */
    const identified = (shop: Shop, at: number) => {
      shop.shard.append({ v: 1, kind: 'identified', id: 'i', visitor, user: 'u:ann' }, noon + at);
      shop.shard.fold();
      const moves = shop.shard.outbox.filter(({ topic }) => topic === movesTopic);
      expect(moves.length).toBe(1);
      shop.shard.append(JSON.parse(moves[0]!.value), noon + at);
      return shop;
    };
    const sends = (shop: Shop, of: string) =>
      shop.shard
        .fold()
        .visitor(of)!
        .timers.filter(({ what }) => what === 'send').length;

    it('go on for what the visitor was to be told', () => {
      const shop = identified(viewedBy(known(), { visitor }, 'p1', late), late + hour);
      expect([sends(shop, visitor), sends(shop, 'u:ann')]).toEqual([0, 1]);
      const orders = shop.tick(morning).orders;
      expect(orders.map(({ visitor: to, with: { query } }) => [to, query])).toEqual([['u:ann', 'p1']]);
    });

    it('keep what the user was to be told by the same entry', () => {
      const shop = viewedBy(viewedBy(known(), {}, 'p2', late), { visitor }, 'p1', late);
      identified(shop, late + hour);
      expect(sends(shop, 'u:ann')).toBe(1);
      expect(shop.tick(morning).orders.map(({ with: { query } }) => query)).toEqual(['p2']);
    });

    it('know the cart of the visitor in the cart that both have become', () => {
      // The user's second cart is empty; the visitor's first one becomes it.
      const order = { orderId: 'o', lines: [{ productId: 'p2', quantity: 1 }] };
      const shop = known().did('order_completed', order, minute);
      const profile = { visitor };
      shop.did('profile_updated', { email: 'ann@example.com' }, 2 * minute, profile);
      shop.did('consent_changed', { purpose: 'marketing', granted: true }, 2 * minute, profile);
      shop.added('p1', 10.5 * hour, profile).tick(late);
      expect(shop.counted.delayedOrders).toBe(1);
      const [mail] = identified(shop, late + hour).tick(morning).orders;
      expect(mail).toMatchObject({ visitor: 'u:ann', with: { 'cart.id': 2, 'cart.value': 20 } });
    });
  });

  it('go on waiting when the end comes late, in the next quiet hours', () => {
    // Nothing came, not even a tick, until 23:30 of the next day.
    const shop = known()
      .did('product_viewed', { productId: 'p1' }, late)
      .tick(late + day);
    expect(shop.orders).toEqual([]);
    expect(shop.tick(morning + day).orders.length).toBe(1);
  });
});

describe('imported events', () => {
  const imported = (source: string, sequence: number) => ({ imported: true, source, sequence });

  it('send nothing, though their rules count as run', () => {
    const shop = new OurShop().did('search_performed', { query: 'a' }, 0, imported('s', 1));
    expect(shop.orders).toEqual([]);
    expect(shop.counted).toEqual({ ordered: 0, delayedOrders: 0, withheld: 1 });
    // The same day: the group has had one of its two.
    shop.did('search_performed', { query: 'b' }, minute).did('search_performed', { query: 'c' }, 2 * minute);
    expect(shop.orders.map(({ with: { query } }) => query)).toEqual(['b']);
  });

  it('leave timers that send nothing, also when the visitor is live by then', () => {
    const shop = new OurShop();
    shop.did('profile_updated', { email: 'a@b.example' }, -2 * hour, imported('s', 1));
    shop.did('consent_changed', { purpose: 'marketing', granted: true }, -2 * hour, imported('s', 2));
    shop.did('cart_item_added', { productId: 'p1', quantity: 1 }, -20 * minute, imported('s', 3));
    shop.did('element_clicked', { element: 'x' }, 0).tick(hour);
    expect(shop.orders).toEqual([]);
    expect(shop.counted.withheld).toBe(1);
    // What it puts into the cart now is another matter, if only the cart has not been told of.
    const order = { orderId: 'o', lines: [{ productId: 'p1', quantity: 1 }] };
    shop
      .did('order_completed', order, 2 * hour)
      .added('p1', 2 * hour + minute)
      .tick(3 * hour);
    expect(shop.orders.length).toBe(1);
  });
});

describe('a message that is driven again', () => {
  const order = known().did('search_performed', { query: 'a' }, minute).orders[0]!;
  const redriven = (given: object) => ({ v: 1, kind: 'redriven', id: 'r1', visitor: 'u:ann', order: given });

  it('leaves the outbox anew, under the same id, and says how often it was', () => {
    const shop = new OurShop();
    shop.shard.append(redriven(order), noon);
    shop.shard.append(redriven({ ...order, redriven: 4 }), noon);
    expect(shop.orders).toEqual([
      { ...order, redriven: 1 },
      { ...order, redriven: 5 },
    ]);
    expect(shop.counted.ordered).toBe(2);
    expect(shop.shard.visitor('u:ann')).toBeNull();
  });

  it('is a failed event when its order cannot be one', () => {
    const shop = new OurShop();
    shop.shard.append(redriven({ ...order, id: 7 }), noon);
    expect(shop.orders).toEqual([]);
    expect(shop.shard.failed.map(({ reason, detail }) => [reason, detail])).toEqual([
      ['UNREADABLE', 'order.id: expected a text of 1 to 128 characters; came 7'],
    ]);
  });

  it('is as the published schema of records says', () => {
    const schema = readFileSync(new URL('../../schema/record.v1.json', import.meta.url), 'utf8');
    const check = new Ajv2020({ strict: true, strictRequired: false }).compile(JSON.parse(schema));
    expect([check(redriven(order)), check.errors]).toEqual([true, null]);
    expect(check(redriven({ ...order, id: 7 }))).toBe(false);
  });
});
