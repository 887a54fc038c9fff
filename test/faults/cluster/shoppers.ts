import { randomUUID } from 'node:crypto';
import { seededRandom } from '../../support/random.ts';

/** An event as `trackEvents` takes it. */
export interface Event {
  readonly id: string;
  readonly type: string;
  readonly properties: object;
  readonly visitor: { readonly visitorId: string };
  readonly source?: string;
  readonly sequence?: number;
}

/** Named so that a subscriber may be one of them with a development token. */
export function visitorNamed(n: number): string {
  return `dev:v${n}`;
}

/** Events of a shop whose visitors are not alike: of 500, the busiest makes a seventh of them all (Zipf). */
export class Shoppers {
  readonly #random: () => number;
  /** The share of events that visitors up to this one make. */
  readonly #shares: readonly number[];
  readonly #numbers = new Map<string, number>();
  readonly #source = randomUUID().slice(0, 16);

  constructor(visitors: number, seed: number) {
    this.#random = seededRandom(seed);
    const weights = Array.from({ length: visitors }, (_, n) => 1 / (n + 1));
    const all = weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    this.#shares = weights.map((weight) => {
      sum += weight / all;
      return sum;
    });
  }

  /** One in ten has no number, as a server would send it; one in a hundred is none that the playbook knows, and is refused for good. */
  next(): Event {
    const at = this.#random();
    const visitor = visitorNamed(
      Math.max(
        0,
        this.#shares.findIndex((share) => at < share),
      ),
    );
    const event = { id: randomUUID(), visitor: { visitorId: visitor }, ...this.#happening() };
    if (event.type === 'never_declared' || this.#random() < 0.1) return event;
    const sequence = (this.#numbers.get(visitor) ?? 0) + 1;
    this.#numbers.set(visitor, sequence);
    return { ...event, source: this.#source, sequence };
  }

  #happening(): { type: string; properties: object } {
    const what = this.#random();
    // p_061 is in no catalog: without a price it cannot be put into a cart.
    const productId = `p_${String(1 + Math.floor(this.#random() * 61)).padStart(3, '0')}`;
    if (what < 0.2) return { type: 'page_viewed', properties: {} };
    if (what < 0.5) return { type: 'product_viewed', properties: { productId } };
    if (what < 0.6) return { type: 'search_performed', properties: { query: what < 0.55 ? 'a tent' : 'coffee' } };
    if (what < 0.75)
      return { type: 'cart_item_added', properties: { productId, quantity: 1 + (Math.floor(what * 20) % 3) } };
    if (what < 0.85) return { type: 'cart_item_removed', properties: { productId } };
    if (what < 0.9) return { type: 'time_spent', properties: { pageViewId: 'p', seconds: 130 } };
    if (what < 0.94) return { type: 'checkout_started', properties: {} };
    if (what < 0.99)
      return {
        type: 'order_completed',
        properties: { orderId: randomUUID(), lines: [{ productId, quantity: 1, price: 9.5 }] },
      };
    return { type: 'never_declared', properties: {} };
  }
}
