import { type CelType, listOf, nameOf, number, type ObjectType } from '../cel/types.ts';
import type { Json } from '../model/json.ts';
import { nearest } from '../model/nearest.ts';
import { checkCondition, checkExpression } from './expressions.ts';
import { cartType, type EventFacts, factsOfEvent, sessionFields, type VisitorFacts, visitorFields } from './facts.ts';
import type { RawTrait } from './format.ts';
import type { Trait } from './playbook.ts';
import { Report, type Span } from './problem.ts';
import type { Located, Named } from './shape.ts';
import { startOf, unknownKey, wrote } from './shape.ts';

const kinds = ['count', 'sum', 'last', 'first', 'recent', 'cart'] as const;
const recentLimit = 20;

export interface CheckedTrait {
  readonly trait: Trait;
  /** What conditions read at its path. */
  readonly type: CelType;
}

/** Where an event type is declared, for a mistake that only shows in Usher's own traits. */
export interface EventPlaces {
  readonly facts: ReadonlyMap<string, EventFacts>;
  spanOf(type: string): Span | undefined;
}

export function checkTrait(
  named: Named<RawTrait>,
  builtIn: boolean,
  events: EventPlaces,
  report: Report,
): CheckedTrait | null {
  const { id, value: raw } = named;
  const given = kinds.filter((kind) => wrote(raw.at, kind));
  const [kind] = given;
  if (kind === undefined || given.length > 1) {
    const expected = `one of ${kinds.slice(0, -1).join(', ')}`;
    report.error(
      named.span,
      given.length === 0 ? `the trait ${id} does not say what it is` : `the trait ${id} says ${given.join(' and ')}`,
      { expected },
    );
    return null;
  }
  if (raw[kind] === undefined) return null;
  if (kind === 'cart') return checkCart(id, raw, events, report);

  const types = raw[kind] as readonly Located<string>[];
  const every = types.some(({ value }) => value === '*');
  const facts: EventFacts[] = [];
  for (const { value, tree } of types) {
    if (value === '*') continue;
    const event = events.facts.get(value);
    if (event === undefined) unknownEvent(value, tree, events, report);
    else facts.push(event);
  }
  if (!every && facts.length < types.length) return null;

  const needsOf = kind !== 'count';
  if (needsOf && raw.of === undefined) {
    if (wrote(raw.at, 'of')) return null;
    report.error(startOf(raw.at), 'of is missing', {
      expected: `of: what is ${kind === 'sum' ? 'added up' : 'remembered'}, such as event.productId`,
    });
    return null;
  }
  for (const [key, allowed] of [
    ['of', needsOf],
    ['limit', kind === 'recent'],
  ] as const) {
    if (raw[key] !== undefined && !allowed) {
      unknownKey(report, raw[key].tree, key, ['count', 'if', 'over', 'says', 'name'], []);
      return null;
    }
  }

  // A mistake in one of Usher's own traits is one of the playbook's declaration of the event.
  const own = builtIn ? new Report() : report;
  const declared = factsOfEvent(every ? [] : facts, null);
  const condition = raw.if === undefined ? null : checkCondition(raw.if, declared, own);
  const of = raw.of === undefined ? null : checkExpression(raw.of, declared, own);
  if (own !== report && own.failed) {
    const span = events.spanOf(facts[0]?.type ?? '') ?? named.span;
    for (const { message } of own.problems())
      report.error(span, `${message}; ${raw.path?.value ?? id} of every visitor needs it`);
    return null;
  }
  if ((raw.if !== undefined && condition === null) || (raw.of !== undefined && of === null)) return null;

  const ofType = of?.cel.type ?? null;
  if (kind === 'sum' && ofType!.kind !== 'number' && ofType!.kind !== 'dyn') {
    report.error(raw.of!.tree, `a sum is of numbers, not of ${nameOf(ofType!)}s`, { expected: 'number' });
    return null;
  }
  if (ofType !== null && (ofType.kind === 'list' || ofType.kind === 'map' || ofType.kind === 'object')) {
    report.error(raw.of!.tree, `a trait remembers a text, number, time or true/false, not a ${nameOf(ofType)}`, {
      expected: 'a single value',
    });
    return null;
  }
  const isMoney = ofType?.kind === 'number' && ofType.money;
  const type = kind === 'count' ? number : kind === 'recent' ? listOf(ofType!) : ofType!;
  const trait: Trait = {
    name: id,
    path: pathOf(id, raw, builtIn),
    kind,
    events: every ? null : facts.map((event) => event.type),
    over: raw.over?.value ?? 'all',
    if: condition,
    of,
    limit: raw.limit?.value ?? recentLimit,
    money: isMoney,
    initial: initialOf(kind, type),
    cart: null,
    says: raw.says?.value ?? null,
  };
  return { trait, type };
}

function initialOf(kind: Trait['kind'], type: CelType): Json {
  if (kind === 'count' || kind === 'sum') return 0;
  if (kind === 'recent') return [];
  // A text that is not known yet reads as an empty one; a number or a time that is not known reads as null.
  return type.kind === 'string' ? '' : null;
}

function pathOf(id: string, raw: RawTrait, builtIn: boolean): readonly string[] {
  return builtIn && raw.path !== undefined ? raw.path.value.split('.') : ['traits', id];
}

function checkCart(id: string, raw: RawTrait, events: EventPlaces, report: Report): CheckedTrait | null {
  const { add, remove, order } = raw.cart!;
  const needs = [
    [add, ['productId', 'quantity']],
    [remove, ['productId']],
    [order, ['lines']],
  ] as const;
  for (const [{ value }, fields] of needs) {
    const event = events.facts.get(value);
    const lacking = fields.filter((field) => event?.fields[field] === undefined);
    if (lacking.length > 0) {
      const span = events.spanOf(value) ?? startOf(raw.at);
      report.error(span, `${value} has no ${lacking.join(' and no ')}; the cart of every visitor needs it`);
      return null;
    }
  }
  const trait: Trait = {
    name: id,
    path: pathOf(id, raw, true),
    kind: 'cart',
    events: [add.value, remove.value, order.value],
    over: 'all',
    if: null,
    of: null,
    limit: 0,
    money: true,
    initial: null,
    cart: { add: add.value, remove: remove.value, order: order.value },
    says: raw.says?.value ?? null,
  };
  return { trait, type: cartType };
}

export function unknownEvent(type: string, span: Span, events: EventPlaces, report: Report): void {
  const near = nearest(type, events.facts.keys());
  const expected = 'an event type of the tracking plan';
  report.error(
    span,
    `${type} is not an event type of the tracking plan`,
    near === null ? { expected } : { expected, nearest: near },
  );
}

/** The roots that traits fill, as conditions see them. */
export function visitorFacts(traits: readonly CheckedTrait[]): VisitorFacts {
  const roots: Record<'visitor' | 'session' | 'traits', Record<string, CelType>> = {
    visitor: { ...visitorFields },
    session: { ...sessionFields },
    traits: {},
  };
  let cart: CelType = cartType;
  for (const { trait, type } of traits) {
    const [root, name] = trait.path;
    if (root === 'cart') cart = type;
    else if (name !== undefined && (root === 'visitor' || root === 'session' || root === 'traits'))
      roots[root][name] = type;
  }
  const object = (fields: Record<string, CelType>): ObjectType => ({ kind: 'object', fields });
  return { cart, visitor: object(roots.visitor), session: object(roots.session), traits: object(roots.traits) };
}
