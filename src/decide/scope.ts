import type { Json } from '../model/json.ts';
import type { EventRecord } from '../model/record.ts';
import type { Fact, Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Condition, Playbook, Scope } from '../playbook/playbook.ts';
import { eventView, pageView, productView } from './enrich.ts';
import { putAt, readCart } from './traits.ts';
import { memberOf, rootView } from './views.ts';

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
  #consent: Values | null = null;
  #traits: Values | null = null;
  #segments: Values | null = null;

  /** Without a record, for a firing or a touch, `event`, `product` and `page` are empty. `now` is visitor now. */
  constructor(bundles: ActiveBundles, visitor: Visitor, now: number, record: EventRecord | null, at: number) {
    this.#bundles = bundles;
    this.#visitor = visitor;
    this.#record = record;
    this.#at = at;
    this.now = now;
  }

  /** The same event, seen with the visitor as it is now. What cannot have changed is not made anew. */
  moveTo(visitor: Visitor): void {
    const before = this.#visitor;
    this.#visitor = visitor;
    if (before.segments !== visitor.segments) this.#segments = null;
    const { traits, session, counts, now } = visitor;
    if (traits === before.traits && session === before.session && counts === before.counts && now === before.now)
      return;
    this.#cart = undefined;
    this.#visitorRoot = null;
    this.#session = null;
    this.#consent = null;
    this.#traits = null;
  }

  /** Segments as far as they are tried already: each condition sees those before it as they are now. */
  setSegments(segments: Values): void {
    this.#segments = segments;
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
    this.#cart ??= readCart(this.#bundles.playbook, this.#visitor, this.now);
    return this.#cart;
  }
  get visitor(): Values {
    this.#visitorRoot ??= rootView(this.#bundles.playbook, 'visitor', this.#visitor, this.now);
    return this.#visitorRoot;
  }
  get session(): Values {
    this.#session ??= rootView(this.#bundles.playbook, 'session', this.#visitor, this.now);
    return this.#session;
  }
  get traits(): Values {
    this.#traits ??= rootView(this.#bundles.playbook, 'traits', this.#visitor, this.now);
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
    this.#consent ??= rootView(this.#bundles.playbook, 'consent', this.#visitor, this.now);
    return this.#consent;
  }
  get segments(): Values {
    this.#segments ??= segmentsView(this.#visitor, this.#bundles.playbook);
    return this.#segments;
  }
}

/** Another scope with some of its roots replaced, or roots added: what was kept of an earlier event. */
class OverlaidScope implements Scope {
  protected readonly base: EventScope;

  constructor(base: EventScope) {
    this.base = base;
  }

  get event(): Values {
    return this.base.event;
  }
  get product(): Json {
    return this.base.product;
  }
  get cart(): Json {
    return this.base.cart;
  }
  get visitor(): Values {
    return this.base.visitor;
  }
  get session(): Values {
    return this.base.session;
  }
  get page(): Values {
    return this.base.page;
  }
  get device(): Values {
    return this.base.device;
  }
  get consent(): Values {
    return this.base.consent;
  }
  get traits(): Values {
    return this.base.traits;
  }
  get segments(): Values {
    return this.base.segments;
  }
  get now(): number {
    return this.base.now;
  }
}

/** What a rule sees of the elements of its sequence: `seen.product.category`. */
export class NamedScope extends OverlaidScope {
  constructor(base: EventScope, names: Values) {
    super(base);
    Object.assign(this, names);
  }
}

/** What a candidate's `while` sees: the visitor as it is, and of events what was captured when it was decided (semantics 5.1). */
export class CapturedScope extends OverlaidScope {
  readonly #captured: CapturedRoots;

  constructor(base: EventScope, facts: readonly Fact[]) {
    super(base);
    this.#captured = capturedRoots(facts);
    Object.assign(this, this.#captured.named);
  }

  override get event(): Values {
    return this.#captured.event;
  }
  override get product(): Json {
    return this.#captured.product;
  }
}

interface CapturedRoots {
  readonly event: Values;
  readonly product: Json;
  /** Elements of a sequence, by their names. */
  readonly named: Values;
}

/** A candidate's `while` is tried at every event of its visitor, and its facts never change. */
const rootsOfFacts = new WeakMap<readonly Fact[], CapturedRoots>();
/** Of these `while` sees what they are now. */
const lastingRoots = new Set(['cart', 'visitor', 'session', 'traits', 'segments', 'page', 'device', 'consent', 'now']);

function capturedRoots(facts: readonly Fact[]): CapturedRoots {
  let roots = rootsOfFacts.get(facts);
  if (roots === undefined) {
    const made: { [name: string]: Json } = {};
    for (const [path, value] of facts) {
      const parts = partsOf(path);
      if (!lastingRoots.has(parts[0]!)) putAt(made, parts, value);
    }
    const { event = nothing, product = null, ...named } = made;
    roots = { event: event as Values, product, named };
    rootsOfFacts.set(facts, roots);
  }
  return roots;
}

/** Whether a condition reads nothing that was captured: it sees then through a scope what it would see through a `CapturedScope` of it. */
export function readsCaptured({ reads }: Condition): boolean {
  return reads.some((name) => !lastingRoots.has(partsOf(name)[0]!));
}

/** The value at a dotted name; null where there is none. */
export function valueAt(scope: Scope, path: string): Json {
  const names = partsOf(path);
  let value = (scope as unknown as { readonly [name: string]: Json | undefined })[names[0]!];
  for (let i = 1; i < names.length; i++) value = memberOf(value, names[i]!);
  return value ?? null;
}

/** The names of a path; playbooks have a few hundred paths together, and ask for them at every event. */
export function partsOf(path: string): readonly string[] {
  let parts = splitPaths.get(path);
  if (parts === undefined) {
    parts = path.split('.');
    splitPaths.set(path, parts);
  }
  return parts;
}
const splitPaths = new Map<string, readonly string[]>();

/** Whether the visitor is in it, for each segment of the playbook. */
export function segmentsView(visitor: Visitor, playbook: Playbook): { [segment: string]: boolean } {
  const segments: { [segment: string]: boolean } = {};
  for (const id of playbook.segments.keys()) segments[id] = Object.hasOwn(visitor.segments, id);
  return segments;
}
