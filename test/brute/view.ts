import { cartOf, type Happened, type ModelCart, once, type Seen, seenOf, traitValue, type Value } from './facts.ts';
import type { Facts, ShopModel } from './shopModel.ts';

/** What a rule gave to a trait. */
export interface SetValue {
  readonly trait: string;
  readonly value: Value;
}

/** The visitor's history as far as facts are made of it. */
export interface Past {
  readonly events: readonly Happened[];
  readonly sets: readonly SetValue[];
}

/** What a condition sees of a visitor with this past, at `now`. */
export class View implements Facts {
  readonly now: number;
  readonly #shop: ShopModel;
  readonly #past: Past;
  readonly #session: number | null;
  readonly #segments: ReadonlySet<string>;
  readonly #event: Happened | null;
  readonly #named: { readonly [name: string]: Seen };

  constructor(options: {
    readonly shop: ShopModel;
    readonly past: Past;
    readonly now: number;
    readonly session: number | null;
    readonly segments: ReadonlySet<string>;
    /** null: a firing has none. */
    readonly event?: Happened | null;
    readonly named?: { readonly [name: string]: Seen };
  }) {
    this.#shop = options.shop;
    this.#past = options.past;
    this.now = options.now;
    this.#session = options.session;
    this.#segments = options.segments;
    this.#event = options.event ?? null;
    this.#named = options.named ?? {};
  }

  get event(): Seen['event'] {
    return this.#seen().event;
  }
  get product(): Seen['product'] {
    return this.#seen().product;
  }
  get cart(): ModelCart {
    return once(this.#past.events, 'cart', () => cartOf(this.#past.events));
  }
  get orders(): number {
    const { events } = this.#past;
    return once(events, 'orders', () => events.filter(({ type }) => type === 'order_completed').length);
  }
  get lastOrderAt(): number | null {
    return this.#past.events.findLast(({ type }) => type === 'order_completed')?.te ?? null;
  }
  get lastSearch(): string {
    const last = this.#past.events.findLast(({ type }) => type === 'search_performed');
    return (last?.properties['query'] as string | undefined) ?? '';
  }
  get timeZone(): string {
    return this.#past.events.findLast(({ timeZone }) => timeZone !== null)?.timeZone ?? '';
  }
  get idle(): number {
    return this.now - visitorNow(this.#past.events);
  }
  get session(): Facts['session'] {
    const { events } = this.#past;
    const pages = once(events, 'pages', () => events.filter(({ type }) => type === 'page_viewed'));
    return { pageViews: pages.filter(({ session }) => session === this.#session).length };
  }
  isIn(segment: string): boolean {
    return this.#segments.has(segment);
  }
  get traits(): { readonly [name: string]: Value } {
    return Object.fromEntries(Object.keys(this.#shop.traits).map((name) => [name, this.trait(name)]));
  }
  /** One of them: a condition asks for no more than it reads. */
  trait(name: string): Value {
    const trait = this.#shop.traits[name]!;
    const { catalog } = this.#shop;
    if (trait.kind !== 'set') return traitValue(trait, catalog, this.#past.events, this.now, this.#session);
    const last = this.#past.sets.findLast((each) => each.trait === name);
    return last === undefined ? (trait.initial ?? null) : last.value;
  }
  named(name: string): Seen {
    const seen = this.#named[name];
    if (seen === undefined) throw new Error(`no ${name}`);
    return seen;
  }

  #seen(): Seen {
    if (this.#event === null) throw new Error('no event');
    return seenOf(this.#shop.catalog, this.#event);
  }
}

/** The largest event time; 0 while there is none. */
export function visitorNow(events: readonly Happened[]): number {
  return once(events, 'now', () => Math.max(0, ...events.map(({ te }) => te)));
}

/** One that throws does not hold. */
export function holds(condition: (facts: Facts) => boolean, facts: Facts): boolean {
  try {
    return condition(facts);
  } catch {
    return false;
  }
}
