import type { Json, JsonObject } from '../model/json.ts';
import type { EventRecord } from '../model/record.ts';
import type { Fact, Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Scope } from '../playbook/playbook.ts';
import { eventView, pageView, productView } from './enrich.ts';
import { putAt, readRootTrait, readTraits } from './traits.ts';

type Values = { readonly [name: string]: Json };
const nothing: Values = {};

/** What conditions see of one event and its visitor. Each root is made when it is first read: most rules read two or three. */
export class EventScope implements Scope {
  readonly now: number;
  readonly #bundles: ActiveBundles;
  readonly #record: EventRecord | null;
  readonly #at: number;
  #visitor: Visitor;
  #event: Values | null = null;
  #product: Json | undefined;
  #page: Values | null = null;
  #cart: Json | undefined;
  #visitorRoot: Values | null = null;
  #session: Values | null = null;
  #traits: Values | null = null;

  /** Without a record, for a firing or a touch, `event`, `product` and `page` are empty. `now` is visitor now. */
  constructor(bundles: ActiveBundles, visitor: Visitor, now: number, record: EventRecord | null, at: number) {
    this.#bundles = bundles;
    this.#visitor = visitor;
    this.#record = record;
    this.#at = at;
    this.now = now;
  }

  /** The same event, seen with the visitor as it is now. */
  moveTo(visitor: Visitor): void {
    this.#visitor = visitor;
    this.#cart = undefined;
    this.#visitorRoot = null;
    this.#session = null;
    this.#traits = null;
  }

  /** @throws FoldFailure when the event is an order that cannot be priced */
  get event(): Values {
    this.#event ??= this.#record === null ? nothing : eventView(this.#record, this.#at, this.#bundles);
    return this.#event;
  }
  get product(): Json {
    if (this.#product === undefined) {
      const { catalog, playbook } = this.#bundles;
      this.#product = productView(this.#record?.properties['productId'], catalog, playbook.minorDigits);
    }
    return this.#product;
  }
  get cart(): Json {
    this.#cart ??= readRootTrait(this.#bundles.playbook, 'cart', this.#visitor);
    return this.#cart;
  }
  get visitor(): Values {
    this.#visitorRoot ??= visitorView(this.#visitor, this.#bundles);
    return this.#visitorRoot;
  }
  get session(): Values {
    this.#session ??= sessionView(this.#visitor, this.#bundles);
    return this.#session;
  }
  get traits(): Values {
    this.#traits ??= readTraits(this.#bundles.playbook, 'traits', this.#visitor, {});
    return this.#traits;
  }
  get page(): Values {
    this.#page ??= pageView(this.#record?.context);
    return this.#page;
  }
  get device(): Values {
    return { kind: this.#record?.context?.device ?? null };
  }
  get consent(): Values {
    return nothing;
  }
  get segments(): Values {
    return nothing;
  }
}

/** What a candidate's `while` sees: the visitor as it is, and of the event what was captured when it was decided (semantics 5.1). */
export class CapturedScope implements Scope {
  readonly #base: EventScope;
  readonly #facts: readonly Fact[];

  constructor(base: EventScope, facts: readonly Fact[]) {
    this.#base = base;
    this.#facts = facts;
  }

  get event(): Values {
    return this.#read().event;
  }
  get product(): Json {
    return this.#read().product;
  }
  get cart(): Json {
    return this.#base.cart;
  }
  get visitor(): Values {
    return this.#base.visitor;
  }
  get session(): Values {
    return this.#base.session;
  }
  get page(): Values {
    return this.#base.page;
  }
  get device(): Values {
    return this.#base.device;
  }
  get consent(): Values {
    return this.#base.consent;
  }
  get traits(): Values {
    return this.#base.traits;
  }
  get segments(): Values {
    return this.#base.segments;
  }
  get now(): number {
    return this.#base.now;
  }

  #read(): { readonly event: Values; readonly product: Json } {
    let captured = capturedRoots.get(this.#facts);
    if (captured === undefined) {
      const roots: { [name: string]: Json } = { event: {}, product: null };
      for (const [path, value] of this.#facts) {
        const parts = path.split('.');
        if (parts[0] === 'event' || parts[0] === 'product') putAt(roots, parts, value);
      }
      captured = { event: roots['event'] as Values, product: roots['product'] ?? null };
      capturedRoots.set(this.#facts, captured);
    }
    return captured;
  }
}

/** A candidate's `while` is tried at every event of its visitor, and its facts never change. */
const capturedRoots = new WeakMap<readonly Fact[], { readonly event: Values; readonly product: Json }>();

/** The value at a dotted name; null where there is none. */
export function valueAt(scope: Scope, path: string): Json {
  const [root = '', ...names] = path.split('.');
  let value = (scope as unknown as { readonly [name: string]: Json | undefined })[root];
  for (const name of names) {
    if (value === null || typeof value !== 'object' || Array.isArray(value) || !Object.hasOwn(value, name)) return null;
    value = (value as JsonObject)[name];
  }
  return value ?? null;
}

export function visitorView(visitor: Visitor, { playbook }: ActiveBundles): Values {
  return readTraits(playbook, 'visitor', visitor, { id: visitor.id, sessions: visitor.counts.sessions });
}

export function sessionView(visitor: Visitor, { playbook }: ActiveBundles): Values {
  const { session } = visitor;
  return readTraits(playbook, 'session', visitor, {
    number: session?.number ?? 0,
    startedAt: session?.startedAt ?? null,
    campaign: session?.campaign ?? '',
  });
}
