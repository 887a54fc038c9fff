import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** A visit to the demo store, 20 events long: looks, a search, two products into the cart, slots seen. */
export const visit = [
  ['page_viewed', { title: 'Home' }],
  ['slot_shown', { slot: 'home_hero', content: 'hero_seasons' }],
  ...[3, 17, 21, 8, 40].map((n) => ['product_viewed', { productId: product(n) }]),
  ['search_performed', { query: 'trekking tent', results: 12 }],
  ['product_clicked', { productId: product(17), list: 'search', position: 2 }],
  ['product_viewed', { productId: product(17) }],
  ['cart_item_added', { productId: product(17), quantity: 1 }],
  ['product_viewed', { productId: product(33) }],
  ['cart_item_added', { productId: product(33), quantity: 2 }],
  ['slot_shown', { slot: 'cart_banner', content: 'free_shipping_reached' }],
  ['product_viewed', { productId: product(17) }],
  ['slot_shown', { slot: 'product_upsell', content: 'extra_warranty' }],
  ...[5, 9, 12].map((n) => ['product_viewed', { productId: product(n) }]),
  ['time_spent', { pageViewId: 'a1b2c3d4', seconds: 30 }],
] as const;
function product(n: number): string {
  return `p_${String(n).padStart(3, '0')}`;
}

const users = Array.from({ length: 100 }, (_, n) => `u${n}`);
export const visitorsOfVisits = users.map((user) => `u:${user}`);

const query = 'mutation($input: TrackEventsInput!) { trackEvents(input: $input) { accepted refused unknown } }';

/** 100 visitors make that visit, sent as the SDK does (source, sequence, context); resolves when all is folded. */
export async function sendVisits(post: (body: string) => Promise<string>): Promise<void> {
  if (visit.length !== 20) throw new Error(`the visit has ${visit.length} events`);
  for (const [n, [type, properties]] of visit.entries()) {
    const events = users.map((userId, visitor) => ({
      id: randomUUID(),
      type,
      properties,
      context: { url: 'http://localhost:4000/product/p_017', path: '/product/p_017', page: 'product', locale: 'en-US' },
      visitor: { userId },
      source: `${visitor}`.padStart(16, '0'),
      sequence: n + 1,
    }));
    const answer = await post(JSON.stringify({ query, variables: { input: { events } } }));
    if (!answer.includes(`"accepted":${users.length}`)) throw new Error(answer.slice(0, 500));
  }
  while ((await lagOf(post)) > 0) await sleep(5);
}

export async function lagOf(post: (body: string) => Promise<string>): Promise<number> {
  return JSON.parse(await post(JSON.stringify({ query: '{ status { lag } }' }))).data.status.lag;
}
