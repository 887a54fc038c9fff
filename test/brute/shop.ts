import type { Value } from './facts.ts';
import type { ShopModel } from './shopModel.ts';

/**
 * A shop that uses every construct with time in it, twice: as a playbook, and as plain functions for the model. Its widths and
 * waits are few and short, so that short histories meet their ends.
 */

const s = 1_000;
const min = 60 * s;
const instant = (text: string) => Date.parse(text);

/** Prices in cents. */
export const products = [
  { id: 'p1', category: 'tents', brand: 'Nordfell', price: 34_900 },
  { id: 'p2', category: 'tents', brand: 'Kyra', price: 12_050 },
  { id: 'p3', category: 'boots', brand: 'Nordfell', price: 8_999 },
  { id: 'p4', category: 'boots', brand: 'Alpa', price: 15_000 },
  { id: 'p5', category: 'lamps', brand: 'Kyra', price: 1_990 },
  { id: 'p6', category: 'stoves', brand: 'Alpa', price: 4_500 },
] as const;

export const shopText = `
format: 1
currency: USD
timezone: Europe/Berlin
session: { idle: 10m }

content:
  plain: { type: banner, title: Welcome }
  offer: { type: banner, title: An offer }
  hint: { type: banner, title: A hint }
  reminder: { type: banner, title: Still in the cart }

slots:
  banner: { fallback: plain }
  corner: { fallback: plain }
  cart_corner: { fallback: plain }

traits:
  views: { count: product_viewed, over: 5m }
  views_odd: { count: product_viewed, over: 95s }
  tents: { count: product_viewed, if: product.category == "tents", over: 1m }
  by_category: { count: product_viewed, by: product.category, over: 30m }
  by_product: { count: product_viewed, by: event.productId, groups: 3 }
  worth: { sum: product_viewed, of: product.price, over: 5m }
  worth_by_brand: { sum: product_viewed, of: product.price, by: product.brand }
  cheapest: { min: product_viewed, of: product.price, over: 2m }
  dearest: { max: product_viewed, of: product.price }
  average_price: { average: product_viewed, of: product.price, over: 5m }
  last_query: { last: search_performed, of: event.query, over: 2m }
  first_query: { first: search_performed, of: event.query, over: 2m }
  last_seen: { last: product_viewed, of: event.productId, over: 5m }
  first_seen: { first: product_viewed, of: event.productId, over: 5m }
  brands: { distinct: product_viewed, of: product.brand, over: 5m }
  categories_ever: { distinct: product_viewed, of: product.category, limit: 2 }
  view_rate: { rate: product_viewed, over: 2m, per: 1m }
  interest: { score: product_viewed, of: "2", halfLife: 10m }
  liking: { score: product_viewed, by: product.category, halfLife: 5m, groups: 8 }
  searches_in_visit: { count: search_performed, over: session }
  recent_products: { recent: product_viewed, of: event.productId, limit: 3 }
  last_offer: { set: text }

segments:
  buyer: { if: visitor.orders > 0 }
  browsing: { if: traits.views >= 3 }
  hot: { if: traits.tents >= 2 && !segments.buyer }
  gone_quiet: { if: segments.browsing && visitor.idle > duration("2m") }
  big_cart: { if: cart.value >= 200 }
  bargain: { if: traits.cheapest <= 45 && !segments.big_cart }
  brand_hopper: { if: traits.brands >= 3 }
  restless: { if: traits.view_rate >= 1.5 }
  keen: { if: traits.interest > 3 }
  tent_lover: { if: 'traits.liking["tents"] > 1.5' }
  late_buyer: { if: segments.buyer && now - visitor.lastOrderAt > duration("15m") }
  still_warm: { if: segments.buyer && now - visitor.lastOrderAt <= duration("5m") }
  reading: { if: session.pageViews >= 2 }
  season: { if: 'now >= timestamp("2026-03-27T08:02:00Z")' }

rules:
  a_tent:
    when: product_viewed
    if: product.category == "tents" && traits.views >= 2
    limit: { times: 2, per: session }
    then: [{ show: { slot: banner, content: offer, for: 3m } }]
    priority: 5
  again:
    when: product_viewed
    if: traits.by_product[event.productId] >= 2
    cooldown: 1m
    then: [{ show: { slot: banner, content: hint } }]
    priority: 3
  asked_then_looked:
    when:
      sequence: [{ event: search_performed, as: asked }, { event: product_viewed, times: 2, if: product.category == "tents" }]
      within: 5m
    if: asked.event.query == "tents"
    then: [{ show: { slot: corner, content: offer, for: 5m } }]
  cart_reminder:
    when: { absent: order_completed, since: [cart_item_added, cart_item_removed], for: 90s, key: cart.id }
    if: cart.value > 0
    then: [{ show: { slot: cart_corner, content: reminder, while: cart.value > 0 } }]
  cart_reminder_once:
    when: { absent: [order_completed, checkout_started], since: cart_item_added, for: 2m }
    limit: { times: 1, per: cart.id }
    then: [{ show: { slot: corner, content: reminder, for: 10m } }]
    priority: 4
  cheap_seen:
    when: product_viewed
    if: traits.cheapest < 50
    unless: segments.big_cart
    limit: { times: 1, per: product.category }
    then: [{ show: { slot: banner, content: hint, while: "!segments.big_cart" } }]
  daily:
    when: page_viewed
    limit: { times: 3, per: day }
    then: [{ show: { slot: banner, content: plain } }]
    priority: -1
  goodbye:
    when: { left: [browsing, keen] }
    then: [{ show: { slot: corner, content: hint, for: 1m } }]
    priority: 2
  hinted_a:
    when: page_viewed
    limit: { times: 2, per: session, group: hints }
    then: [{ show: { slot: banner, content: hint, for: 1m } }]
    priority: 9
  hinted_b:
    when: search_performed
    limit: { times: 3, per: session, group: hints }
    then: [{ show: { slot: banner, content: offer, for: 1m } }]
    priority: 9
  in_season:
    when: page_viewed
    from: 2026-03-27T08:05:00Z
    to: 2026-03-27T08:40:00Z
    then: [{ show: { slot: corner, content: plain, until: 2026-03-27T08:12:00Z } }]
    priority: 1
  looked_around:
    when: { sequence: [{ event: product_viewed }, { event: page_viewed }], within: 2m, without: [search_performed, time_spent] }
    cooldown: 30s
    then: [{ show: { slot: corner, content: plain } }]
    priority: 3
  noted:
    when: search_performed
    then:
      - set: { trait: last_offer, to: event.query }
      - if: event.query == "boots" && traits.last_offer == "tents"
        show: { slot: corner, content: offer, pinned: true, while: traits.last_offer == "boots" }
  office:
    when: [page_viewed, search_performed]
    hours: "09:00-18:00"
    days: [mon, tue, wed, thu, fri]
    cooldown: 30s
    limit: { times: 5, per: visitor }
    choose:
      - if: traits.searches_in_visit >= 2
        show: { slot: banner, content: offer }
      - show: { slot: banner, content: plain }
    priority: 7
  paid:
    when:
      sequence: [{ event: cart_item_added }, { event: checkout_started }, { event: order_completed }]
      within: 10m
      without: cart_item_removed
    then: [{ show: { slot: cart_corner, content: offer } }]
  quiet:
    when: { absent: page_viewed, since: page_viewed, for: 1m }
    limit: { times: 3, per: session }
    then: [{ show: { slot: corner, content: hint, for: 2m } }]
  read_long:
    when: { spent: 60s }
    if: segments.reading
    then: [{ show: { slot: corner, content: plain, for: 2m } }]
  still_looking:
    when: { absent: time_spent, since: search_performed, for: 10m, key: visitor.lastSearch }
    unless: segments.gone_quiet
    cooldown: 2m
    then: [{ show: { slot: corner, content: offer } }]
  three_alike:
    when:
      sequence: [{ event: product_viewed, times: 3, same: product.category, as: seen }, { event: search_performed }]
      within: 5m
    then: [{ show: { slot: banner, content: offer, for: 2m } }]
    priority: 2
  three_pages:
    when: { sequence: [{ event: page_viewed, times: 3 }], within: 3m }
    limit: { times: 4, per: visitor }
    then: [{ show: { slot: corner, content: hint } }]
    priority: -2
  warm:
    when: { entered: [still_warm, hot, tent_lover], left: [big_cart, brand_hopper, reading] }
    then: [{ show: { slot: cart_corner, content: hint, for: 5m, while: "!segments.late_buyer" } }]
    priority: 1
  welcome:
    when: { entered: [browsing, gone_quiet, season, bargain, restless] }
    cooldown: 2m
    then: [{ show: { slot: banner, content: offer, while: "!segments.gone_quiet" } }]
    priority: 1
`;

/** One for all, as it is thrown at every second that the model looks at. */
const failed = new Error('a condition failed');

/** As conditions compare: what is no number cannot be compared, and fails. */
function number(value: Value | undefined): number {
  if (typeof value !== 'number') throw failed;
  return value;
}
function under(map: Value, name: string): Value {
  const members = map as { readonly [name: string]: Value };
  if (members[name] === undefined) throw failed;
  return members[name];
}

const seasonAt = instant('2026-03-27T08:02:00Z');
const views = ['product_viewed'];
const searches = ['search_performed'];

export const shop: ShopModel = {
  catalog: products,
  timeZone: 'Europe/Berlin',
  sessionIdle: 10 * min,
  traits: {
    views: { kind: 'count', of: views, over: 5 * min },
    views_odd: { kind: 'count', of: views, over: 95 * s },
    tents: { kind: 'count', of: views, if: ({ product }) => product.category === 'tents', over: min },
    by_category: { kind: 'count', of: views, by: ({ product }) => product.category, over: 30 * min },
    by_product: { kind: 'count', of: views, by: ({ event }) => event['productId']!, groups: 3 },
    worth: { kind: 'sum', of: views, value: ({ product }) => product.price, over: 5 * min, money: true },
    worth_by_brand: {
      kind: 'sum',
      of: views,
      value: ({ product }) => product.price,
      by: ({ product }) => product.brand,
      money: true,
    },
    cheapest: { kind: 'min', of: views, value: ({ product }) => product.price, over: 2 * min },
    dearest: { kind: 'max', of: views, value: ({ product }) => product.price },
    average_price: { kind: 'average', of: views, value: ({ product }) => product.price, over: 5 * min, money: true },
    last_query: { kind: 'last', of: searches, value: ({ event }) => event['query']!, over: 2 * min, initial: '' },
    first_query: { kind: 'first', of: searches, value: ({ event }) => event['query']!, over: 2 * min, initial: '' },
    last_seen: { kind: 'last', of: views, value: ({ event }) => event['productId']!, over: 5 * min, initial: '' },
    first_seen: { kind: 'first', of: views, value: ({ event }) => event['productId']!, over: 5 * min, initial: '' },
    brands: { kind: 'distinct', of: views, value: ({ product }) => product.brand, over: 5 * min },
    categories_ever: { kind: 'distinct', of: views, value: ({ product }) => product.category, limit: 2 },
    view_rate: { kind: 'rate', of: views, over: 2 * min, per: min },
    interest: { kind: 'score', of: views, value: () => 2, halfLife: 10 * min },
    liking: { kind: 'score', of: views, by: ({ product }) => product.category, halfLife: 5 * min, groups: 8 },
    searches_in_visit: { kind: 'count', of: searches, inSession: true },
    recent_products: { kind: 'recent', of: views, value: ({ event }) => event['productId']!, limit: 3 },
    last_offer: { kind: 'set', initial: '' },
  },
  segments: [
    { id: 'buyer', if: (f) => f.orders > 0 },
    { id: 'browsing', if: (f) => number(f.trait('views')) >= 3, windows: ['views'] },
    { id: 'hot', if: (f) => number(f.trait('tents')) >= 2 && !f.isIn('buyer'), windows: ['tents'] },
    {
      id: 'gone_quiet',
      if: (f) => f.isIn('browsing') && f.idle > 2 * min,
      turns: (f) => f.now - f.idle + 2 * min,
    },
    { id: 'big_cart', if: (f) => f.cart.value >= 200 },
    {
      id: 'bargain',
      if: (f) => number(f.trait('cheapest')) <= 45 && !f.isIn('big_cart'),
      windows: ['cheapest'],
    },
    { id: 'brand_hopper', if: (f) => number(f.trait('brands')) >= 3, windows: ['brands'] },
    { id: 'restless', if: (f) => number(f.trait('view_rate')) >= 1.5, windows: ['view_rate'] },
    {
      id: 'keen',
      if: (f) => number(f.trait('interest')) > 3,
      score: { read: (f) => number(f.trait('interest')), bound: 3 },
    },
    {
      id: 'tent_lover',
      if: (f) => number(under(f.trait('liking'), 'tents')) > 1.5,
      score: { read: (f) => number(under(f.trait('liking'), 'tents')), bound: 1.5 },
    },
    {
      id: 'late_buyer',
      if: (f) => f.isIn('buyer') && f.now - number(f.lastOrderAt) > 15 * min,
      turns: (f) => (f.lastOrderAt === null ? null : f.lastOrderAt + 15 * min),
    },
    {
      id: 'still_warm',
      if: (f) => f.isIn('buyer') && f.now - number(f.lastOrderAt) <= 5 * min,
      turns: (f) => (f.lastOrderAt === null ? null : f.lastOrderAt + 5 * min),
    },
    { id: 'reading', if: (f) => f.session.pageViews >= 2 },
    { id: 'season', if: (f) => f.now >= seasonAt, calendar: seasonAt },
  ],
  rules: [
    {
      id: 'a_tent',
      when: { on: views },
      if: (f) => f.product.category === 'tents' && number(f.trait('views')) >= 2,
      limit: { times: 2, per: 'session' },
      entries: [{ show: { slot: 'banner', content: 'offer', for: 3 * min } }],
      priority: 5,
    },
    {
      id: 'again',
      when: { on: views },
      if: (f) => number(under(f.trait('by_product'), f.event['productId'] as string)) >= 2,
      cooldown: min,
      entries: [{ show: { slot: 'banner', content: 'hint' } }],
      priority: 3,
    },
    {
      id: 'asked_then_looked',
      when: {
        sequence: {
          elements: [
            { events: searches, run: 0, as: 'asked' },
            { events: views, run: 1, if: ({ product }) => product.category === 'tents' },
            { events: views, run: 1, if: ({ product }) => product.category === 'tents' },
          ],
          within: 5 * min,
        },
      },
      if: (f) => f.named('asked').event['query'] === 'tents',
      entries: [{ show: { slot: 'corner', content: 'offer', for: 5 * min } }],
    },
    {
      id: 'cart_reminder',
      when: {
        absent: ['order_completed'],
        since: ['cart_item_added', 'cart_item_removed'],
        for: 90 * s,
        key: (f) => f.cart.id,
      },
      if: (f) => f.cart.value > 0,
      entries: [{ show: { slot: 'cart_corner', content: 'reminder', while: (f) => f.cart.value > 0 } }],
    },
    {
      id: 'cart_reminder_once',
      when: { absent: ['order_completed', 'checkout_started'], since: ['cart_item_added'], for: 2 * min },
      limit: { times: 1, per: (f) => f.cart.id },
      entries: [{ show: { slot: 'corner', content: 'reminder', for: 10 * min } }],
      priority: 4,
    },
    {
      id: 'cheap_seen',
      when: { on: views },
      if: (f) => number(f.trait('cheapest')) < 50,
      unless: (f) => f.isIn('big_cart'),
      limit: { times: 1, per: (f) => f.product.category },
      entries: [{ show: { slot: 'banner', content: 'hint', while: (f) => !f.isIn('big_cart') } }],
    },
    {
      id: 'daily',
      when: { on: ['page_viewed'] },
      limit: { times: 3, per: 'day' },
      entries: [{ show: { slot: 'banner', content: 'plain' } }],
      priority: -1,
    },
    {
      id: 'goodbye',
      when: { entered: [], left: ['browsing', 'keen'] },
      entries: [{ show: { slot: 'corner', content: 'hint', for: min } }],
      priority: 2,
    },
    {
      id: 'hinted_a',
      when: { on: ['page_viewed'] },
      limit: { times: 2, per: 'session', group: 'hints' },
      entries: [{ show: { slot: 'banner', content: 'hint', for: min } }],
      priority: 9,
    },
    {
      id: 'hinted_b',
      when: { on: searches },
      limit: { times: 3, per: 'session', group: 'hints' },
      entries: [{ show: { slot: 'banner', content: 'offer', for: min } }],
      priority: 9,
    },
    {
      id: 'in_season',
      when: { on: ['page_viewed'] },
      from: instant('2026-03-27T08:05:00Z'),
      to: instant('2026-03-27T08:40:00Z'),
      entries: [{ show: { slot: 'corner', content: 'plain', until: instant('2026-03-27T08:12:00Z') } }],
      priority: 1,
    },
    {
      id: 'looked_around',
      when: {
        sequence: {
          elements: [
            { events: views, run: 0 },
            { events: ['page_viewed'], run: 1 },
          ],
          within: 2 * min,
          without: ['search_performed', 'time_spent'],
        },
      },
      cooldown: 30 * s,
      entries: [{ show: { slot: 'corner', content: 'plain' } }],
      priority: 3,
    },
    {
      id: 'noted',
      when: { on: searches },
      entries: [
        { set: { trait: 'last_offer', to: (f) => f.event['query']! } },
        {
          if: (f) => f.event['query'] === 'boots' && f.trait('last_offer') === 'tents',
          show: { slot: 'corner', content: 'offer', pinned: true, while: (f) => f.trait('last_offer') === 'boots' },
        },
      ],
    },
    {
      id: 'office',
      when: { on: ['page_viewed', 'search_performed'] },
      hours: { from: 9 * 60, to: 18 * 60, days: [0, 1, 2, 3, 4] },
      cooldown: 30 * s,
      limit: { times: 5, per: 'visitor' },
      choose: true,
      entries: [
        { if: (f) => number(f.trait('searches_in_visit')) >= 2, show: { slot: 'banner', content: 'offer' } },
        { show: { slot: 'banner', content: 'plain' } },
      ],
      priority: 7,
    },
    {
      id: 'paid',
      when: {
        sequence: {
          elements: [
            { events: ['cart_item_added'], run: 0 },
            { events: ['checkout_started'], run: 1 },
            { events: ['order_completed'], run: 2 },
          ],
          within: 10 * min,
          without: ['cart_item_removed'],
        },
      },
      entries: [{ show: { slot: 'cart_corner', content: 'offer' } }],
    },
    {
      id: 'quiet',
      when: { absent: ['page_viewed'], since: ['page_viewed'], for: min },
      limit: { times: 3, per: 'session' },
      entries: [{ show: { slot: 'corner', content: 'hint', for: 2 * min } }],
    },
    {
      id: 'read_long',
      when: { spent: 60 },
      if: (f) => f.isIn('reading'),
      entries: [{ show: { slot: 'corner', content: 'plain', for: 2 * min } }],
    },
    {
      id: 'still_looking',
      when: { absent: ['time_spent'], since: searches, for: 10 * min, key: (f) => f.lastSearch },
      unless: (f) => f.isIn('gone_quiet'),
      cooldown: 2 * min,
      entries: [{ show: { slot: 'corner', content: 'offer' } }],
    },
    {
      id: 'three_alike',
      when: {
        sequence: {
          elements: [
            { events: views, run: 0, same: ({ product }) => product.category, as: 'seen' },
            { events: views, run: 0, same: ({ product }) => product.category, as: 'seen' },
            { events: views, run: 0, same: ({ product }) => product.category, as: 'seen' },
            { events: searches, run: 1 },
          ],
          within: 5 * min,
        },
      },
      entries: [{ show: { slot: 'banner', content: 'offer', for: 2 * min } }],
      priority: 2,
    },
    {
      id: 'three_pages',
      when: {
        sequence: {
          elements: [
            { events: ['page_viewed'], run: 0 },
            { events: ['page_viewed'], run: 0 },
            { events: ['page_viewed'], run: 0 },
          ],
          within: 3 * min,
        },
      },
      limit: { times: 4, per: 'visitor' },
      entries: [{ show: { slot: 'corner', content: 'hint' } }],
      priority: -2,
    },
    {
      id: 'warm',
      when: { entered: ['still_warm', 'hot', 'tent_lover'], left: ['big_cart', 'brand_hopper', 'reading'] },
      entries: [{ show: { slot: 'cart_corner', content: 'hint', for: 5 * min, while: (f) => !f.isIn('late_buyer') } }],
      priority: 1,
    },
    {
      id: 'welcome',
      when: { entered: ['browsing', 'gone_quiet', 'season', 'bargain', 'restless'], left: [] },
      cooldown: 2 * min,
      entries: [{ show: { slot: 'banner', content: 'offer', while: (f) => !f.isIn('gone_quiet') } }],
      priority: 1,
    },
  ],
};

/** Widths, waits and ends that the playbook names, ms: histories put events and ticks at them. */
export const spans: readonly number[] = [30 * s, min, 90 * s, 95 * s, 2 * min, 3 * min, 5 * min, 10 * min, 15 * min];
