import type { Json } from './json.ts';
import { type TraitStates, traitName } from './traitStates.ts';

/**
 * Words that most visitors' states hold: names of the built-in events and traits, and paths that conditions read. The stored form
 * has their place in this list instead, which saves a quarter of it. Nothing but size depends on it: a word that is not here is
 * stored as it is. Stored states count on the order, so only ever append.
 */
const words = [
  'for',
  'until',
  'page_viewed',
  'product_viewed',
  'product_clicked',
  'element_clicked',
  'time_spent',
  'search_performed',
  'cart_item_added',
  'cart_item_removed',
  'checkout_started',
  'order_completed',
  'slot_shown',
  'slot_clicked',
  'cart',
  'visitor_page_views',
  'visitor_product_views',
  'visitor_searches',
  'visitor_cart_adds',
  'visitor_orders',
  'visitor_lifetime_value',
  'visitor_recent_products',
  'visitor_last_search',
  'visitor_last_category',
  'visitor_last_brand',
  'visitor_seconds_on_page',
  'visitor_device',
  'visitor_referrer',
  'visitor_campaign',
  'session_page_views',
  'session_product_views',
  'session_searches',
  'session_cart_adds',
  'event.productId',
  'event.query',
  'event.element',
  'event.orderId',
  'event.quantity',
  'event.price',
  'event.value',
  'event.seconds',
  'product.id',
  'product.name',
  'product.category',
  'product.brand',
  'product.price',
  'product.image',
  'product.url',
  'cart.id',
  'cart.value',
  'page.page',
  'page.path',
  'page.campaign',
  'device.kind',
  'session.number',
  'session.startedAt',
  'session.campaign',
  'session.pageViews',
  'session.productViews',
  'session.searches',
  'session.cartAdds',
  'visitor.sessions',
  'visitor.pageViews',
  'visitor.productViews',
  'visitor.searches',
  'visitor.cartAdds',
  'visitor.orders',
  'visitor.lifetimeValue',
  'visitor.lastSearch',
  'visitor.lastCategory',
  'visitor.lastBrand',
  'visitor.secondsOnPage',
  'visitor.device',
  'visitor.referrer',
  'visitor.campaign',
  'visitor_last_order_at',
  'visitor_bought_products',
  'visitor_first_seen_at',
  'visitor_time_zone',
  'visitor_times_shown',
  'visitor.lastOrderAt',
  'visitor.boughtProducts',
  'visitor.firstSeenAt',
  'visitor.timeZone',
  'visitor.timesShown',
  'visitor.lastSeenAt',
  'visitor.idle',
  'message_sent',
  'message_failed',
  'message_bounced',
  'message_opened',
  'message_unsubscribed',
  'profile_updated',
  'consent_changed',
  'visitor_email',
  'visitor_name',
  'visitor_locale',
  'visitor_privacy_control_at',
  'consent_analytics',
  'consent_personalization',
  'consent_marketing',
  'consent_marketing_at',
] as const;

const places = new Map<string, number>(words.map((word, place) => [word, place]));
const keys = new Map<string, string>(words.map((word, place) => [word, `"~${place.toString(36)}"`]));
const wordsOfKeys = new Map<string, string>(words.map((word, place) => [`~${place.toString(36)}`, word]));

/** A word where any value may stand: its place, or itself. */
export type StoredWord = number | string;

/** A word's JSON, as it is stored. */
export function wordText(word: string): string {
  const place = places.get(word);
  return place === undefined ? nameText(word) : String(place);
}
/** @throws Error for a place that this version does not have */
export function readWord(stored: StoredWord): string {
  if (typeof stored === 'string') return stored;
  const word = words[stored];
  if (word === undefined) throw new Error(`a stored visitor names word ${stored}; this version has ${words.length}`);
  return word;
}

/** States of traits as JSON, with their names as they are stored: `~2`, or the word itself; one that begins with ~ gets a second. */
export function statesText({ list }: TraitStates): string {
  let text = '';
  for (let place = 0; place < list.length; place++) {
    const state = list[place];
    if (state === undefined) continue;
    text += `${text === '' ? '{' : ','}${keyText(place)}${valueText(state)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}
export function readKeys<T>(stored: { readonly [key: string]: T }): { [word: string]: T } {
  const map: { [word: string]: T } = {};
  for (const key of Object.keys(stored)) {
    map[wordsOfKeys.get(key) ?? (key.startsWith('~~') ? key.slice(1) : key)] = stored[key]!;
  }
  return map;
}

/** Texts that are made again and again, by what they are made from; emptied when it is full. */
export class TextCache {
  readonly #texts = new Map<string, string>();
  readonly #make: (from: string) => string;

  constructor(make: (from: string) => string) {
    this.#make = make;
  }

  get(from: string): string {
    let text = this.#texts.get(from);
    if (text === undefined) {
      if (this.#texts.size >= maxCachedTexts) this.#texts.clear();
      text = this.#make(from);
      this.#texts.set(from, text);
    }
    return text;
  }
}
const maxCachedTexts = 10_000;

/** By the places of their names. */
const keyTexts: string[] = [];
function keyText(place: number): string {
  keyTexts[place] ??= `${storedKey(traitName(place))}:`;
  return keyTexts[place];
}
function storedKey(word: string): string {
  return keys.get(word) ?? nameText(word.startsWith('~') ? `~${word}` : word);
}

const names = new TextCache((name) => JSON.stringify(name));

/** The JSON of a name: of a slot, a rule, a content. There are few, and each stands in thousands of visitors. */
export function nameText(name: string): string {
  return names.get(name);
}

export function valueText(value: Json): string {
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : JSON.stringify(value);
}
