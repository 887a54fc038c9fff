import type { Json, JsonObject } from '../model/json.ts';
import { toMajor } from '../model/money.ts';
import type { EventRecord, PageContext } from '../model/record.ts';
import type { ActiveBundles, Catalog, Playbook, Product } from '../playbook/playbook.ts';
import { cutText } from './bounds.ts';
import { orderValue } from './cart.ts';

const campaignLimit = 128;
/** The campaign's name if it has one, else where it came from. */
const campaignParameters = ['utm_campaign', 'utm_source', 'utm_medium'];

/** The campaign that brought the visitor to this page, from the `utm_…` parameters of its address; null: none. */
export function campaignOf(context: PageContext | undefined): string | null {
  const url = context?.url;
  if (url === undefined || !url.includes('utm_')) return null;
  const query = url.slice(url.indexOf('?') + 1).split('#', 1)[0];
  const parameters = new URLSearchParams(query);
  for (const name of campaignParameters) {
    const value = parameters.get(name)?.trim();
    if (value) return cutText(value.toWellFormed(), campaignLimit);
  }
  return null;
}

/** The catalog's product, as conditions and texts read it: its price in major units. Null: the event names none that is known. */
export function productView(
  productId: Json | undefined,
  catalog: Catalog,
  minorDigits: number,
): { [name: string]: Json } | null {
  if (typeof productId !== 'string') return null;
  const product = catalog.products.get(productId);
  if (product === undefined) return null;
  return viewOf(product, minorDigits);
}

/** A product as `product` in conditions and texts. */
export function viewOf(product: Product, minorDigits: number): { [name: string]: Json } {
  const { id, name, category, brand, price, image, url, stock = null } = product;
  const availability = product.availability ?? (stock === 0 ? 'out_of_stock' : 'in_stock');
  return { id, name, category, brand, price: toMajor(price, minorDigits), image, url, stock, availability };
}

/** `page` in conditions: what the browser said of the page, null where it said nothing. */
export function pageView(context: PageContext | undefined): { [name: string]: Json } {
  return {
    url: context?.url ?? null,
    path: context?.path ?? null,
    title: context?.title ?? null,
    referrer: context?.referrer ?? null,
    page: context?.page ?? null,
    locale: context?.locale ?? null,
    timeZone: context?.timeZone ?? null,
    viewport: context?.viewport ?? null,
    globalPrivacyControl: context?.globalPrivacyControl ?? null,
    campaign: campaignOf(context),
  };
}

/** What the events of one type are joined with. */
interface EventJoins {
  /** A `price` is declared, so one that is left out is the catalog's. */
  readonly price: boolean;
  /** It has lines: their sum is its `value`, and prices that they leave out are the catalog's. */
  readonly isOrder: boolean;
}
const joins = new WeakMap<Playbook, ReadonlyMap<string, EventJoins>>();
const nothingToJoin: EventJoins = { price: false, isOrder: false };

function joinsOf(playbook: Playbook, eventType: string): EventJoins {
  let byType = joins.get(playbook);
  if (byType === undefined) {
    const orders = new Set([...playbook.traits.values()].flatMap(({ cart }) => (cart === null ? [] : [cart.order])));
    const made = new Map<string, EventJoins>();
    for (const { type, schema } of playbook.events.values()) {
      const declared = schema['properties'];
      const price = declared !== null && typeof declared === 'object' && Object.hasOwn(declared, 'price');
      made.set(type, { price, isOrder: orders.has(type) });
    }
    joins.set(playbook, made);
    byType = made;
  }
  return byType.get(eventType) ?? nothingToJoin;
}

/** Whether events of this type are orders, by the playbook's cart. */
export function isOrder(playbook: Playbook, eventType: string): boolean {
  return joinsOf(playbook, eventType).isOrder;
}

/**
 * `event` in conditions: the properties, joined with the catalog, and the event's own id, type and time. Prices stay decimals in major units.
 * @throws FoldFailure when an order cannot be priced
 */
export function eventView(
  record: EventRecord,
  at: number,
  { playbook, catalog }: ActiveBundles,
): { [name: string]: Json } {
  const { properties, id, type } = record;
  const { minorDigits } = playbook;
  const event: { [name: string]: Json } = { ...properties };
  const { price, isOrder } = joinsOf(playbook, type);
  if (price && (properties['price'] ?? null) === null) {
    const known = catalog.products.get(properties['productId'] as string);
    if (known !== undefined) event['price'] = toMajor(known.price, minorDigits);
  }
  if (isOrder) {
    event['value'] = toMajor(orderValue(properties, { catalog, minorDigits }), minorDigits);
    event['lines'] = (properties['lines'] as readonly JsonObject[]).map((line) => {
      if ((line['price'] ?? null) !== null) return line;
      return { ...line, price: toMajor(catalog.products.get(line['productId'] as string)!.price, minorDigits) };
    });
  }
  event['id'] = id;
  event['type'] = type;
  event['at'] = at;
  return event;
}
