import type { Json } from '../../model/json.ts';
import type { FileFacts, ParsedRow, RowFormat } from './row.ts';

/**
 * What a product costs, of which an otto log says nothing. `zero`: nothing, so that every cart is one whatever the catalog holds.
 * `catalog`: prices are left out, and Usher takes its catalog's (semantics 10.1).
 */
export type OttoPrices = 'zero' | 'catalog';

/** An order has lines of so many different products at most (semantics 10.2); what is more is another order. */
const orderLinesMax = 200;

/**
 * A line is all that one visitor of OTTO's "recommender systems dataset" did. `clicks` → product_viewed, `carts` →
 * cart_item_added, `orders` of one moment → one order_completed: the shop wrote a line of an order as an event of its own.
 */
export function otto(prices: OttoPrices): RowFormat {
  return {
    name: 'otto',
    header: false,
    rowsInLine: 'many',
    open: (_header, file) => (line, number) => parse(line, number, file, prices),
  };
}

interface OttoEvent {
  readonly productId: string;
  readonly at: number;
  readonly type: 'clicks' | 'carts' | 'orders';
}

/** What becomes one event, or a row that no event can be made of. */
type Moment =
  | { readonly events: [OttoEvent, ...OttoEvent[]]; readonly products: Set<string> }
  | { readonly message: string };

function parse(line: string, number: number, file: FileFacts, prices: OttoPrices): readonly ParsedRow[] {
  const session = sessionOf(line);
  if ('message' in session) return [session];
  return momentsOf(session.events).map((moment, i): ParsedRow => {
    if ('message' in moment) return moment;
    const [{ at }] = moment.events;
    const userId = session.id;
    const what = eventOf(moment.events, `${file.hash.slice(0, 8)}-${number + i}`, prices);
    return {
      visitor: `u:${userId}`,
      at,
      event: { ...what, occurredAt: new Date(at).toISOString(), visitor: { userId } },
      products: [...moment.products].map((id) => ({ id, category: '', brand: '', price: 0 })),
    };
  });
}

function eventOf([first, ...more]: [OttoEvent, ...OttoEvent[]], orderId: string, prices: OttoPrices) {
  const price = prices === 'zero' ? { price: 0 } : {};
  const { productId } = first;
  switch (first.type) {
    case 'clicks':
      return { type: 'product_viewed', properties: { productId } };
    case 'carts':
      return { type: 'cart_item_added', properties: { productId, quantity: 1, ...price } };
    case 'orders': {
      const quantities = new Map<string, number>();
      for (const each of [first, ...more]) quantities.set(each.productId, (quantities.get(each.productId) ?? 0) + 1);
      const lines = [...quantities].map(([productId, quantity]) => ({ productId, quantity, ...price }));
      return { type: 'order_completed', properties: { orderId, lines } };
    }
  }
}

function momentsOf(events: readonly Json[]): readonly Moment[] {
  const moments: Moment[] = [];
  for (const value of events) {
    const event = ottoEvent(value);
    if ('message' in event) {
      moments.push(event);
      continue;
    }
    const last = moments.at(-1);
    if (last !== undefined && 'events' in last && isSameOrder(last, event)) {
      last.events.push(event);
      last.products.add(event.productId);
    } else moments.push({ events: [event], products: new Set([event.productId]) });
  }
  return moments;
}

function isSameOrder({ events, products }: Extract<Moment, { events: unknown }>, event: OttoEvent): boolean {
  const isOrder = event.type === 'orders' && events[0].type === 'orders' && events[0].at === event.at;
  return isOrder && (products.has(event.productId) || products.size < orderLinesMax);
}

function sessionOf(line: string): { readonly id: string; readonly events: readonly Json[] } | { message: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return { message: `not JSON: ${(error as Error).message}` };
  }
  const { session, events } = (value ?? {}) as { readonly session?: unknown; readonly events?: unknown };
  const id = idOf(session);
  if (id === null || !Array.isArray(events)) {
    return { message: 'expected {"session": a number, "events": [{"aid": …, "ts": …, "type": …}, …]}' };
  }
  return { id, events };
}

function ottoEvent(value: Json): OttoEvent | { readonly message: string } {
  const { aid, ts, type } = (value ?? {}) as { readonly aid?: Json; readonly ts?: Json; readonly type?: Json };
  const productId = idOf(aid);
  if (productId === null) return { message: `aid is ${JSON.stringify(aid)}; expected the number of a product` };
  if (typeof ts !== 'number' || !Number.isInteger(ts) || ts < 0 || ts > latestMs)
    return { message: `ts is ${JSON.stringify(ts)}; expected milliseconds since 1970` };
  if (type !== 'clicks' && type !== 'carts' && type !== 'orders')
    return { message: `type is ${JSON.stringify(type)}; expected clicks, carts or orders` };
  return { productId, at: ts, type };
}

/** The year 9999: what RFC 3339 can write. */
const latestMs = Date.UTC(9999, 11, 31);

function idOf(value: unknown): string | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? String(value) : null;
}
