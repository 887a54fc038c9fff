import type { Json } from '../model/json.ts';
import type { PageContext } from '../model/record.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';
import { cutText } from './bounds.ts';
import { toMajor } from './money.ts';

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
export function productView(productId: Json | undefined, catalog: Catalog, minorDigits: number): { [name: string]: Json } | null {
  if (typeof productId !== 'string') return null;
  const product = catalog.products.get(productId);
  if (product === undefined) return null;
  const { id, name, category, brand, price, image, url } = product;
  return { id, name, category, brand, price: toMajor(price, minorDigits), image, url };
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
  };
}

const orderTypes = new WeakMap<Playbook, string | null>();

/** The event type that is an order, as the playbook's cart trait names it; null: it has no cart. */
export function orderTypeOf(playbook: Playbook): string | null {
  let type = orderTypes.get(playbook);
  if (type === undefined) {
    type = null;
    for (const trait of playbook.traits.values()) if (trait.cart !== null) type = trait.cart.order;
    orderTypes.set(playbook, type);
  }
  return type;
}
