import type { Json } from '../model/json.ts';
import { toMajor, toMinor } from '../model/money.ts';
import type { EventRecord } from '../model/record.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Playbook, Trait } from '../playbook/playbook.ts';
import { isSigned, isStructured, readAggregate, withContribution } from './aggregates.ts';
import { boundedValue, cutText } from './bounds.ts';
import { addToCart, type CartState, cartView, emptyCart, orderCart, removeFromCart } from './cart.ts';
import type { EventScope } from './scope.ts';

type StateChange = readonly [trait: string, state: Json];

/**
 * The visitor with its traits after this event. A trait's `if` and `of` read the visitor as before the event (its session as
 * after), so the order in which a playbook declares traits means nothing. One whose expression fails keeps its state.
 * @returns how many failed, beside the visitor
 * @throws FoldFailure when the event cannot enter the cart
 */
export function withTraits(
  visitor: Visitor,
  record: EventRecord,
  at: number,
  bundles: ActiveBundles,
  scope: EventScope,
): { visitor: Visitor; errors: number } {
  const all: StateChange[] = [];
  const session: StateChange[] = [];
  let errors = 0;
  for (const { of: trait, holds } of bundles.playbook.candidateTraits(record.type, scope)) {
    const perSession = trait.over === 'session';
    const before = (perSession ? visitor.session!.traits : visitor.traits).get(trait.name);
    let after: Json | undefined;
    if (trait.cart !== null) {
      after = nextCart(before as CartState | undefined, trait.cart, record, at, bundles) as Json | undefined;
    } else {
      try {
        if (trait.if !== null && !holds && !trait.if.evaluate(scope)) continue;
        after = isStructured(trait)
          ? nextStructured(trait, before, scope, bundles.playbook.minorDigits, at, visitor.now)
          : nextState(trait, plainState(trait, before), scope, bundles.playbook.minorDigits);
      } catch {
        errors++;
        continue;
      }
    }
    if (after === undefined || after === before) continue;
    (perSession ? session : all).push([trait.name, after]);
  }
  if (all.length + session.length === 0) return { visitor, errors };
  return {
    visitor: {
      ...visitor,
      traits: all.length === 0 ? visitor.traits : visitor.traits.with(all),
      session:
        session.length === 0 ? visitor.session : { ...visitor.session!, traits: visitor.session!.traits.with(session) },
    },
    errors,
  };
}

function nextCart(
  before: CartState | undefined,
  types: NonNullable<Trait['cart']>,
  record: EventRecord,
  at: number,
  { catalog, playbook }: ActiveBundles,
): CartState | undefined {
  const cart = before ?? emptyCart;
  const prices = { catalog, minorDigits: playbook.minorDigits };
  if (record.type === types.add) return addToCart(cart, record.properties, at, prices);
  if (record.type === types.remove) return removeFromCart(cart, record.properties, at);
  if (record.type === types.order) return orderCart(cart, at);
  return before;
}

/** The state of a trait that keeps no more than its value; what a playbook that declared it otherwise has left counts as none. */
export function plainState({ kind }: Trait, state: Json | undefined): Json | undefined {
  switch (kind) {
    case 'count':
    case 'sum':
    case 'min':
    case 'max':
      return typeof state === 'number' ? state : undefined;
    default:
      if (!Array.isArray(state)) return kind === 'recent' ? undefined : state;
      return isSigned(state) ? undefined : state;
  }
}

/** Undefined: nothing to remember. An expression that gives null gives no value. */
function nextState(trait: Trait, before: Json | undefined, scope: EventScope, minorDigits: number): Json | undefined {
  switch (trait.kind) {
    case 'count':
      return ((before as number | undefined) ?? 0) + 1;
    case 'sum': {
      const value = trait.of?.evaluate(scope) ?? null;
      if (typeof value !== 'number' || !Number.isFinite(value)) return before;
      const sum = ((before as number | undefined) ?? 0) + (trait.money ? toMinor(value, minorDigits) : value);
      return Number.isFinite(sum) ? sum : before;
    }
    case 'min':
    case 'max': {
      const value = numberOf(trait, scope, minorDigits);
      if (value === null || before === undefined) return value ?? before;
      return trait.kind === 'min' ? Math.min(before as number, value) : Math.max(before as number, value);
    }
    case 'first':
      return before === undefined ? remembered(trait, scope, minorDigits) : before;
    case 'last':
      return remembered(trait, scope, minorDigits) ?? before;
    case 'recent': {
      const given = trait.of?.evaluate(scope) ?? null;
      let list = before as readonly Json[] | undefined;
      // Of an order's lines each product is remembered, in their order.
      for (const each of Array.isArray(given) ? given : [given]) {
        const value = rememberable(trait, each, minorDigits);
        if (value !== undefined) list = withRecent(list ?? [], value, trait.limit);
      }
      return list as Json | undefined;
    }
    default:
      // Set by rules alone, or kept otherwise.
      return before;
  }
}

function withRecent(list: readonly Json[], value: Json, limit: number): readonly Json[] {
  if (list[0] === value) return list;
  const key = typeof value === 'object' ? JSON.stringify(value) : value;
  const others = list.filter((each) => (typeof each === 'object' ? JSON.stringify(each) : each) !== key);
  return [value, ...others.slice(0, limit - 1)];
}

const groupLimit = 64;

function nextStructured(
  trait: Trait,
  before: Json | undefined,
  scope: EventScope,
  minorDigits: number,
  at: number,
  now: number,
): Json | undefined {
  const group = trait.by === null ? null : groupOf(trait.by.evaluate(scope));
  if (trait.by !== null && group === null) return before;
  const value = contributed(trait, scope, minorDigits);
  return value === undefined ? before : withContribution(trait, before, { value, group, at, now });
}

function contributed(trait: Trait, scope: EventScope, minorDigits: number): Json | undefined {
  switch (trait.kind) {
    case 'count':
    case 'rate':
      return 1;
    case 'score':
      return trait.of === null ? 1 : (numberOf(trait, scope, minorDigits) ?? undefined);
    case 'first':
    case 'last':
    case 'distinct':
      return remembered(trait, scope, minorDigits);
    default:
      return numberOf(trait, scope, minorDigits) ?? undefined;
  }
}

/** Groups are named by text: `traits.views_by_category["tents"]`. */
export function groupOf(value: Json): string | null {
  // A map cannot hold that name as any other.
  if (value === '__proto__') return null;
  if (typeof value === 'string') return cutText(value, groupLimit);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

/** null: the event has no number there. */
function numberOf(trait: Trait, scope: EventScope, minorDigits: number): number | null {
  const value = trait.of?.evaluate(scope) ?? null;
  if (typeof value !== 'number' || !Number.isFinite(value)) return null;
  return trait.money ? toMinor(value, minorDigits) : value;
}

function remembered(trait: Trait, scope: EventScope, minorDigits: number): Json | undefined {
  return rememberable(trait, trait.of?.evaluate(scope) ?? null, minorDigits);
}

function rememberable(trait: Trait, value: Json, minorDigits: number): Json | undefined {
  if (value === null) return undefined;
  return trait.money && typeof value === 'number' ? toMinor(value, minorDigits) : boundedValue(value);
}

/** A trait's value as conditions read it: money in major units, the declared initial value before the first. */
export function readTrait(trait: Trait, state: Json | undefined, minorDigits: number, now: number): Json {
  if (isStructured(trait)) {
    const value = readAggregate(trait, state, now);
    return trait.money ? majorOf(value, minorDigits) : value;
  }
  if (trait.cart !== null)
    return cartView((state as CartState | undefined) ?? emptyCart, minorDigits) as unknown as Json;
  const value = plainState(trait, state);
  if (value === undefined) return trait.initial;
  return trait.money ? majorOf(value, minorDigits) : value;
}

function majorOf(value: Json, minorDigits: number): Json {
  if (typeof value === 'number') return toMajor(value, minorDigits);
  if (Array.isArray(value)) return value.map((each) => majorOf(each, minorDigits));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, majorOf(each, minorDigits)]));
}

const cartTraits = new WeakMap<Playbook, Trait | null>();

/** The cart as conditions read it; null: the playbook has none. */
export function readCart(playbook: Playbook, visitor: Visitor, now: number): Json {
  let trait = cartTraits.get(playbook);
  if (trait === undefined) {
    trait = [...playbook.traits.values()].find(({ path }) => path.length === 1 && path[0] === 'cart') ?? null;
    cartTraits.set(playbook, trait);
  }
  return trait === null ? null : readTrait(trait, visitor.traits.get(trait.name), playbook.minorDigits, now);
}

/** Puts a value at a path of nested maps, which are made as needed. Names come from playbooks; `__proto__` is none. */
export function putAt(into: { [name: string]: Json }, path: readonly string[], value: Json): void {
  let map = into;
  for (let i = 0; i < path.length; i++) {
    const name = path[i]!;
    if (name === '__proto__') return;
    if (i === path.length - 1) {
      map[name] = value;
      return;
    }
    const inner = Object.hasOwn(map, name) ? map[name] : undefined;
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) map[name] = {};
    map = map[name] as { [name: string]: Json };
  }
}
