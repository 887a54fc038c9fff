import type { Demands } from '../cel/demands.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Purpose } from '../model/purposes.ts';
import type { Fact } from '../model/visitor.ts';
import type { ActionDefinition, DestinationDefinition } from './sending.ts';

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
  /** Types of content that it declares; contents of others are free. */
  readonly types: ReadonlyMap<string, ContentType>;
  readonly contents: ReadonlyMap<string, ContentDefinition>;
  readonly slots: ReadonlyMap<string, SlotDefinition>;
  readonly destinations: ReadonlyMap<string, DestinationDefinition>;
  readonly actions: ReadonlyMap<string, ActionDefinition>;
  readonly rules: ReadonlyMap<string, Rule>;
  /** In an order in which each stands after those that it reads. */
  readonly segments: ReadonlyMap<string, Segment>;
  /** Live rules whose trigger is a segment, by id. */
  readonly segmentRules: readonly Rule[];
  /** Live rules that this event type can trigger, by id. */
  rulesFor(eventType: string): readonly Rule[];
  traitsFor(eventType: string): readonly Trait[];
  /** The same without those whose `if` is surely false of this event. */
  candidateRules(eventType: string, event: Scope): readonly Candidate<Rule>[];
  candidateTraits(eventType: string, event: Scope): readonly Candidate<Trait>[];
}

export interface Candidate<T> {
  readonly of: T;
  /** Its `if` is surely true: it need not be tried. */
  readonly holds: boolean;
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

/** How a trait makes one value out of many events. */
export type TraitKind =
  | 'count'
  | 'sum'
  | 'min'
  | 'max'
  | 'average'
  | 'last'
  | 'first'
  | 'recent'
  | 'distinct'
  | 'rate'
  | 'score'
  | 'set'
  | 'cart';

/** A sliding window on its grid (semantics 3.8). */
export interface Window {
  readonly widthMs: number;
  /** The first of 1 s, 10 s, 1 min, 10 min, 1 h, 1 d that is at least a sixtieth of the width, at most 1 d. */
  readonly stepMs: number;
  /** ⌈width / step⌉: the steps it covers, the current, partial one included. */
  readonly steps: number;
}

/** A computed fact of a visitor, with the place where conditions read it (`visitor.orders`, `cart`, `traits.x`). */
export interface Trait {
  readonly name: string;
  readonly path: readonly string[];
  readonly kind: TraitKind;
  /** null: every type. For a cart: add, remove, order. None for what rules `set`. */
  readonly events: readonly string[] | null;
  /** Where its state stands. A window's stands with the visitor. */
  readonly over: 'all' | 'session';
  /** Only the events of the last while; null: of all, or of the session. */
  readonly window: Window | null;
  readonly if: Condition | null;
  /** What is summed, compared or remembered; what a score grows by (null: 1). */
  readonly of: Expression | null;
  /** Each group has a value of its own: the trait reads as a map of them. An event whose group is no text, number or bool is left out. */
  readonly by: Expression | null;
  /** Most values that a `recent` or a `distinct` keeps; the least recently seen leaves. */
  readonly limit: number;
  /** Most groups; the least recently seen leaves. */
  readonly groups: number;
  /** A score is halved in this time, ms; 0 for others. */
  readonly halfLifeMs: number;
  /** A rate is told per this time, ms; 0 for others. */
  readonly perMs: number;
  /** Held in minor units, read in major ones. */
  readonly money: boolean;
  /** What conditions read before the first value. */
  readonly initial: Json;
  readonly cart: { readonly add: string; readonly remove: string; readonly order: string } | null;
  /** How `why` words the fact: "with {value} in the cart"; null: "{path} = {value}". */
  readonly says: string | null;
  /** Hash of what makes its value, 6 characters; a structured state carries it, and one of another declaration counts as none (3.8). */
  readonly signature: string;
}

/** A named yes-no over facts of the visitor (semantics 3.9). */
export interface Segment {
  readonly id: string;
  readonly name: string;
  readonly condition: Condition;
  /** Where time alone may change the condition; empty: only events do. */
  readonly changes: readonly TimeChange[];
}

/** A part of a condition that time alone may change. */
export type TimeChange =
  /** The value of a trait over a window changes when a step leaves it. */
  | { readonly kind: 'window'; readonly trait: string }
  /** A comparison with `now`, which turns at `at` and just after it. `calendar`: the same for every visitor, so it is spread. */
  | { readonly kind: 'instant'; readonly calendar: boolean; at(scope: Scope): number | null }
  /** A score compared with a number: it turns when the score has decayed to it. `group`: of a grouped one. */
  | {
      readonly kind: 'score';
      readonly trait: string;
      readonly group: string | null;
      bound(scope: Scope): number | null;
    };

/** CEL, checked; evaluates without looking at anything but the scope. Throws CelError on a failure while running. */
export interface Condition {
  readonly source: string;
  /** Dotted names it reads, each once, as far as they are written: `['product.id', 'cart.value']`. */
  readonly reads: readonly string[];
  /** Where a path holds another text, or number, than demanded, the condition is false. */
  readonly demands: Demands;
  /** Its conjuncts, all of which must hold; itself, where it has but one. */
  readonly parts: readonly Condition[];
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
  /** @param write how the value of a hole enters the text, for one that is no plain text: [the value as it is] */
  render(scope: Scope, write?: (value: string, hole: string) => string): string;
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
  /** The catalog's product of `event.productId`: `{id, name, category, brand, price, image, url, stock, availability}`; null: none. */
  readonly product: Json;
  /** `{id, value, lines: [{productId, quantity, price}]}`. */
  readonly cart: Json;
  /**
   * The traits whose path begins so, `id`, `sessions`: how many were started, this one included; `lastSeenAt`: visitor now, and `idle`: `now` less that, both ms.
   */
  readonly visitor: { readonly [name: string]: Json };
  /** `number` (1 for the first), `startedAt` (ms), `campaign` ("" for none), and the traits whose path begins so. */
  readonly session: { readonly [name: string]: Json };
  /** The event's page context; `campaign` is the url's `utm_campaign`. Absent members are null. */
  readonly page: { readonly [name: string]: Json };
  /** `kind`: desktop, mobile, tablet, tv, bot; null when unknown. */
  readonly device: { readonly [name: string]: Json };
  readonly consent: { readonly [name: string]: Json };
  readonly traits: { readonly [name: string]: Json };
  /** true or false for each segment of the playbook. */
  readonly segments: { readonly [name: string]: Json };
  readonly now: number;
}

/** Reads one group of a grouped trait (`traits.interest.tents`) off a root, which need not read the other groups for it. */
export const groupAt = Symbol('groupAt');
export interface GroupedRoot {
  /** Undefined: there is no such group. */
  [groupAt](trait: string, group: string): Json | undefined;
}

/** What makes a rule run. */
export type Trigger =
  | { readonly kind: 'event' }
  /** A page was visible for this long: once for each of the visitor's page views. */
  | { readonly kind: 'spent'; readonly seconds: number }
  | SequenceTrigger
  | AbsenceTrigger
  /** The visitor entered, or left, one of these segments. */
  | { readonly kind: 'segment'; readonly entered: readonly string[]; readonly left: readonly string[] };

/** These events in this order, others between them or not (semantics 3.10). */
export interface SequenceTrigger {
  readonly kind: 'sequence';
  /** One an event: `times: 3` stands here three times. */
  readonly elements: readonly SequenceElement[];
  /** From the first event to the last, by visitor now, ms. */
  readonly withinMs: number;
  /** An event of these types makes all partial matches void. */
  readonly without: readonly string[];
}
export interface SequenceElement {
  readonly events: readonly string[];
  readonly if: Condition | null;
  /** Its value must be the same as at the element before; null: nothing is compared. */
  readonly same: Expression | null;
  /** The first of a run with `same`: it sets the value that the others must have. */
  readonly first: boolean;
  /** Conditions and texts read the event as `NAME.event…`, `NAME.product…`, `NAME.at`; null: they cannot. */
  readonly as: string | null;
  /** Paths of `event` and `product` that are kept of it. */
  readonly captures: readonly string[];
}

/** `absent` did not come for a while since the last of `since` (semantics 3.11). */
export interface AbsenceTrigger {
  readonly kind: 'absence';
  readonly absent: readonly string[];
  readonly since: readonly string[];
  readonly forMs: number;
  /** Of the visitor as before the event; waits of different keys do not know each other. null: one wait. */
  readonly key: Expression | null;
  /** Words after "you": "have not completed an order for 30 minutes". */
  readonly says: string;
}

export interface Limit {
  readonly times: number;
  readonly per: 'visitor' | 'session' | 'day' | 'key';
  readonly key: Expression | null;
  /** Rules of one group count together; null: the rule alone. */
  readonly group: string | null;
}

/** Times of the day and days of the week, in a time zone. */
export interface Hours {
  /** Minutes from midnight; `to` ≤ `from`: over midnight. null: all day. */
  readonly from: number | null;
  readonly to: number | null;
  /** 0 for Monday; null: every day. */
  readonly days: readonly number[] | null;
}

export interface Rule {
  readonly id: string;
  readonly name: string;
  readonly trigger: Trigger;
  /** Event types that can make it run, or move it on: of a sequence all of its events, of an absence those that start and cancel it. */
  readonly when: readonly string[];
  readonly if: Condition | null;
  readonly unless: Condition | null;
  /** Instants, ms: it runs from the one on, and until before the other. */
  readonly from: number | null;
  readonly to: number | null;
  /** In the visitor's time zone. */
  readonly hours: Hours | null;
  readonly limit: Limit | null;
  /** It does not run again for this long, ms; 0: it does. */
  readonly cooldownMs: number;
  /** `then`: all whose `if` holds. `choose`: the first whose `if` holds. */
  readonly mode: 'then' | 'choose';
  readonly entries: readonly Entry[];
  /** Higher wins; a tie goes to the smaller id. */
  readonly priority: number;
  readonly status: 'draft' | 'live' | 'paused';
  /** "When a visitor views a product and …": `usher describe`. */
  readonly sentence: string;
}
export type Entry = Show | SetTrait | Emit | Send;
interface Asked {
  readonly if: Condition | null;
  /** It does not happen without consent to this, whatever its `if`. */
  readonly purpose: Purpose | null;
}
export interface Show extends Asked {
  readonly do: 'show';
  readonly slot: string;
  readonly content: string;
  /** Before all that are not, whatever their priority. */
  readonly pinned: boolean;
  readonly while: Condition | null;
  /** ms after visitor now. */
  readonly forMs: number | null;
  /** A calendar instant, ms since the epoch. */
  readonly until: number | null;
  readonly exclude: Exclusion | null;
  /** Tried when the slot is read, by `present` (semantics 5.2). */
  readonly only: ReadCondition | null;
  /**
   * Names captured when it is decided, at most 8: first those of `event` and `product` that the content's texts and `while`
   * read, then what the rule's condition read.
   */
  readonly captures: readonly string[];
}
/** What ends a content for a visitor who has had enough of it. */
export interface Exclusion {
  /** The captured fact with the product that must not have been ordered; null: not asked. */
  readonly bought: string | null;
  /** Withdrawn when it was seen this often in any slot; null: never. */
  readonly shown: number | null;
}
export interface ReadCondition {
  readonly pages: readonly string[] | null;
  readonly devices: readonly string[] | null;
  /** In the page's time zone; the playbook's, if the page tells none. */
  readonly hours: Hours | null;
}
/** Gives a trait of kind `set` its value; conditions see it from the next step on, `while` at once. */
export interface SetTrait extends Asked {
  readonly do: 'set';
  readonly trait: string;
  readonly to: Expression;
}
/** Appends an event of the same visitor to the log (semantics 9.2). */
export interface Emit extends Asked {
  readonly do: 'emit';
  readonly event: string;
  readonly properties: readonly (readonly [name: string, value: Expression])[];
}
/** Orders a message (semantics 9). */
export interface Send extends Asked {
  readonly do: 'send';
  readonly action: string;
  readonly with: readonly (readonly [name: string, value: Expression])[];
  /** What the conditions of rule and entry read, to explain. */
  readonly captures: readonly string[];
}

/** What the data of all contents of a type are. */
export interface ContentType {
  readonly id: string;
  readonly name: string;
  /** JSON Schema of the data, as the playbook gives it, with undeclared properties refused. */
  readonly schema: JsonObject;
  /** What the type is called in GraphQL: `OfferContent`. */
  readonly graphqlName: string;
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
  /** How many there are; left out: not told. */
  readonly stock?: number;
  /** Left out: as `stock` says, else in stock. */
  readonly availability?: Availability;
}
export const availabilities = ['in_stock', 'out_of_stock', 'preorder', 'backorder'] as const;
export type Availability = (typeof availabilities)[number];
