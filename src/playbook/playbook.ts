import type { Equality } from '../cel/equalities.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Fact } from '../model/visitor.ts';

/**
 * A playbook, checked and compiled: what deciding, presenting and the gateway read. Made from the texts of its folder (and
 * Usher's built-in ones) by `compile.ts`; immutable, and named everywhere by the hash of those texts.
 */
export interface Playbook {
  /** Content hash: 16 hex digits of SHA-256. */
  readonly version: string;
  readonly currency: string;
  /** Digits of the currency's minor unit: 2 for USD, 0 for JPY. */
  readonly minorDigits: number;
  readonly timezone: string;
  /** A session ends after this long without an event, ms. */
  readonly sessionIdleMs: number;
  readonly events: ReadonlyMap<string, EventType>;
  /** In declaration order, the built-in ones first; an event runs those of `traitsOf(type)`. */
  readonly traits: ReadonlyMap<string, Trait>;
  readonly contents: ReadonlyMap<string, ContentDefinition>;
  readonly slots: ReadonlyMap<string, SlotDefinition>;
  readonly rules: ReadonlyMap<string, Rule>;
  /** Live rules that this event type can trigger, by id; with an event, without those that it surely does not. */
  rulesFor(eventType: string, event?: Scope): readonly Rule[];
  traitsFor(eventType: string, event?: Scope): readonly Trait[];
}

export interface EventType {
  readonly type: string;
  readonly name: string;
  /** The properties' JSON Schema, as the playbook gives it. */
  readonly schema: JsonObject;
  /** Problems of these properties; empty: they fit. At most 5. */
  validate(properties: Json): readonly PropertyProblem[];
  /** "viewed ${event.productId}", to be put after "you". */
  readonly says: Text;
}
export interface PropertyProblem {
  readonly path: readonly string[];
  readonly message: string;
}

/** A computed fact of a visitor, with the place where conditions read it (`visitor.orders`, `cart`, `traits.x`). */
export interface Trait {
  readonly name: string;
  readonly path: readonly string[];
  readonly kind: 'count' | 'sum' | 'last' | 'first' | 'recent' | 'cart';
  /** null: every type. For a cart: add, remove, order. */
  readonly events: readonly string[] | null;
  readonly over: 'all' | 'session';
  readonly if: Condition | null;
  /** What is summed or remembered. */
  readonly of: Expression | null;
  /** How many a `recent` keeps, each once, last first. */
  readonly limit: number;
  /** Held in minor units, read in major ones. */
  readonly money: boolean;
  /** What conditions read before the first value. */
  readonly initial: Json;
  readonly cart: { readonly add: string; readonly remove: string; readonly order: string } | null;
  /** How `why` words the fact: "with {value} in the cart"; null: "{path} = {value}". */
  readonly says: string | null;
}

/** CEL, checked; evaluates without looking at anything but the scope. Throws CelError on a failure while running. */
export interface Condition {
  readonly source: string;
  /** Dotted names it reads, each once, as far as they are written: `['product.id', 'cart.value']`. */
  readonly reads: readonly string[];
  /** Where a path holds another text than these, the condition is false. */
  readonly equalities: readonly Equality[];
  evaluate(scope: Scope): boolean;
}
export interface Expression {
  readonly source: string;
  readonly reads: readonly string[];
  evaluate(scope: Scope): Json;
}
/** Text with `${CEL}` holes. */
export interface Text {
  readonly source: string;
  readonly reads: readonly string[];
  render(scope: Scope): string;
}

/**
 * What the names in CEL stand for. Plain values; absent ones are null. Money is in major units, `now` in ms since the epoch.
 * Roots are getters where making them costs something, so an event whose rules read no cart never builds one.
 * `facts.ts` declares what each root holds, for the checker; what fills a scope must agree with it.
 */
export interface Scope {
  /**
   * The properties, and the event's `id`, `type` and `at` (event time, ms). Joined with the catalog: a price that a line, or an event with a `productId` and a declared `price`, leaves
   * out is the catalog's, and an event with `lines` has `value`, their sum (major units, rounded as semantics 10.1 says).
   */
  readonly event: { readonly [name: string]: Json };
  /** The catalog's product of `event.productId`: `{id, name, category, brand, price, image, url}`; null: none. */
  readonly product: Json;
  /** `{id, value, lines: [{productId, quantity, price}]}`. */
  readonly cart: Json;
  /** The traits whose path begins so, `id`, and `sessions`: how many were started, this one included. */
  readonly visitor: { readonly [name: string]: Json };
  /** `number` (1 for the first), `startedAt` (ms), `campaign` ("" for none), and the traits whose path begins so. */
  readonly session: { readonly [name: string]: Json };
  /** The event's page context; `campaign` is the url's `utm_campaign`. Absent members are null. */
  readonly page: { readonly [name: string]: Json };
  /** `kind`: desktop, mobile, tablet, tv, bot; null when unknown. */
  readonly device: { readonly [name: string]: Json };
  readonly consent: { readonly [name: string]: Json };
  readonly traits: { readonly [name: string]: Json };
  readonly segments: { readonly [name: string]: Json };
  readonly now: number;
}

export interface Rule {
  readonly id: string;
  readonly name: string;
  readonly when: readonly string[];
  readonly if: Condition | null;
  /** `then`: all whose `if` holds. `choose`: the first whose `if` holds. */
  readonly mode: 'then' | 'choose';
  readonly entries: readonly Show[];
  /** Higher wins; a tie goes to the smaller id. */
  readonly priority: number;
  readonly status: 'draft' | 'live' | 'paused';
  /** "When a visitor views a product and …": `usher describe`. */
  readonly sentence: string;
}
export interface Show {
  readonly if: Condition | null;
  readonly slot: string;
  readonly content: string;
  readonly while: Condition | null;
  /** ms after visitor now. */
  readonly forMs: number | null;
  /** A calendar instant, ms since the epoch. */
  readonly until: number | null;
  /**
   * Names captured when it is decided, at most 8: first those of `event` and `product` that the content's texts and `while`
   * read, then what the rule's condition read.
   */
  readonly captures: readonly string[];
}

export interface ContentDefinition {
  readonly id: string;
  readonly type: string;
  /** The data with its texts rendered from captured facts. A hole whose fact is missing is rendered empty. */
  render(facts: readonly Fact[]): JsonObject;
}

export interface SlotDefinition {
  readonly name: string;
  /** null: shown on any page. */
  readonly page: string | null;
  readonly accepts: string | null;
  readonly fallback: string;
}

/** Products by id, at one moment; named by the hash of its text (semantics 6.2). */
export interface Catalog {
  readonly version: string;
  readonly products: ReadonlyMap<string, Product>;
}
/** A playbook and a catalog that are active together. */
export interface ActiveBundles {
  readonly playbook: Playbook;
  readonly catalog: Catalog;
}
export interface Product {
  readonly id: string;
  readonly name: string;
  readonly category: string;
  readonly brand: string;
  /** Minor units. */
  readonly price: number;
  readonly image: string;
  readonly url: string;
}
