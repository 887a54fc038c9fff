import type { Declarations } from '../cel/compiler.ts';
import {
  bool,
  type CelType,
  duration,
  dyn,
  listOf,
  money,
  number,
  type ObjectType,
  string,
  timestamp,
  unify,
} from '../cel/types.ts';
import type { JsonObject } from '../model/json.ts';
import type { Trait } from './playbook.ts';

/**
 * What the roots of a scope hold, for the checker. `Scope` in playbook.ts says the same to those who fill one; a name declared
 * here and not filled there is an absent fact.
 */
export const productType: ObjectType = {
  kind: 'object',
  fields: {
    id: string,
    name: string,
    category: string,
    brand: string,
    price: money,
    image: string,
    url: string,
    stock: number,
    availability: string,
  },
};
const lineType: ObjectType = { kind: 'object', fields: { productId: string, quantity: number, price: money } };
export const cartType: ObjectType = { kind: 'object', fields: { id: number, value: money, lines: listOf(lineType) } };
const pageType: ObjectType = {
  kind: 'object',
  fields: {
    url: string,
    path: string,
    title: string,
    referrer: string,
    page: string,
    locale: string,
    timeZone: string,
    viewport: string,
    campaign: string,
    globalPrivacyControl: bool,
  },
};
const deviceType: ObjectType = { kind: 'object', fields: { kind: string } };
const sessionFields: { readonly [name: string]: CelType } = { number, startedAt: timestamp, campaign: string };
const visitorFields: { readonly [name: string]: CelType } = {
  id: string,
  sessions: number,
  lastSeenAt: timestamp,
  idle: duration,
};
/** What every event has besides its properties. */
export const ownEventFields: { readonly [name: string]: CelType } = { id: string, type: string, at: timestamp };

/** An event type as conditions see it. */
export interface EventFacts {
  readonly type: string;
  readonly fields: { readonly [name: string]: CelType };
}

/** Any event, whatever its type. */
export const anyEvent: EventFacts = { type: '*', fields: ownEventFields };

/** Facts of a visitor: the same wherever a condition stands. */
export interface VisitorFacts {
  readonly cart: CelType;
  readonly visitor: ObjectType;
  readonly session: ObjectType;
  readonly traits: ObjectType;
  readonly consent: ObjectType;
  readonly segments: ObjectType;
}

/** What a condition may name that is tried with one of these event types: what all of them have. */
export function factsOfEvent(events: readonly EventFacts[], visitor: VisitorFacts | null): Declarations {
  const [first, ...rest] = events;
  const fields: Record<string, CelType> = { ...first?.fields };
  const missing: Record<string, string> = {};
  for (const [i, event] of rest.entries()) {
    for (const name of new Set([...Object.keys(fields), ...Object.keys(event.fields)])) {
      if (Object.hasOwn(missing, name)) continue;
      const here = Object.hasOwn(event.fields, name) ? event.fields[name]! : null;
      const before = Object.hasOwn(fields, name) ? fields[name]! : null;
      const both = here === null || before === null ? null : unify(here, before);
      if (both !== null) fields[name] = both;
      else {
        delete fields[name];
        const without =
          here === null ? event.type : events.slice(0, i + 1).find((each) => !Object.hasOwn(each.fields, name))?.type;
        missing[name] =
          without === undefined
            ? `its type differs between ${events.map(({ type }) => type).join(' and ')}`
            : `${without} does not have it`;
      }
    }
  }
  const withoutProduct = events.find((event) => event.fields['productId']?.kind !== 'string');
  const hasProduct = events.length > 0 && withoutProduct === undefined;
  return {
    types: {
      event: { kind: 'object', fields, missing },
      ...(hasProduct ? { product: productType } : {}),
      page: pageType,
      device: deviceType,
      now: timestamp,
      ...(visitor ?? {}),
    },
    unavailable: {
      ...(hasProduct
        ? {}
        : {
            product:
              withoutProduct === undefined || withoutProduct === anyEvent
                ? 'not every event comes with a product'
                : `${withoutProduct.type} has no productId`,
          }),
      ...(visitor === null ? visitorUnavailable : {}),
    },
  };
}

const visitorUnavailable = Object.fromEntries(
  ['cart', 'visitor', 'session', 'traits', 'consent', 'segments'].map((root) => [
    root,
    'a trait is computed from the event alone, before these are known',
  ]),
);

/** What a condition may name that is also tried without an event: facts of the visitor. */
export function factsOfVisitor(visitor: VisitorFacts, why: string): Declarations {
  const unavailable = Object.fromEntries(['event', 'product', 'page', 'device'].map((root) => [root, why]));
  return { types: { now: timestamp, ...visitor }, unavailable };
}

/** The facts, and under this name those of another event, as `as` gives it one. */
export function withNamedEvent(declared: Declarations, name: string, events: readonly EventFacts[]): Declarations {
  const { types, unavailable } = factsOfEvent(events, null);
  const { event, product } = types as { event: CelType; product?: CelType };
  const named: ObjectType = {
    kind: 'object',
    fields: { event, at: timestamp, ...(product === undefined ? {} : { product }) },
    ...(product === undefined ? { missing: { product: unavailable!['product']! } } : {}),
  };
  return { ...declared, types: { ...declared.types, [name]: named } };
}

/** Names that `as` cannot give. */
export const rootNames: readonly string[] = [
  'event',
  'product',
  'cart',
  'visitor',
  'session',
  'page',
  'device',
  'consent',
  'traits',
  'segments',
  'now',
];

/** What the key of an absence may name: it must be the same while the wait goes on. */
export function factsOfKey(visitor: VisitorFacts): Declarations {
  const { types, unavailable } = factsOfVisitor(visitor, 'the key of a wait is read from the visitor alone');
  const { now: _now, ...others } = types;
  return {
    types: { ...others, visitor: withoutIdle(visitor.visitor, keyTime) },
    unavailable: { ...unavailable, now: keyTime },
  };
}
const keyTime = 'the key of a wait must not change by time';

function withoutIdle(visitor: ObjectType, why: string): ObjectType {
  const { idle: _idle, ...fields } = visitor.fields;
  return { kind: 'object', fields, missing: { idle: why } };
}

/** What `while` may name: facts of the visitor, and the event's and product's as captured. */
export function factsOfWhile(declared: Declarations): Declarations {
  const { page: _page, device: _device, now: _now, ...types } = declared.types;
  const byTime = 'while is tried at events; use for or until to end at a time, or a segment';
  const why =
    'while is tried again at later events; it may read facts of the visitor (device: visitor.device), the event and the product';
  return {
    types: { ...types, visitor: withoutIdle(types['visitor'] as ObjectType, byTime) },
    unavailable: { ...declared.unavailable, page: why, device: why, now: byTime },
  };
}

/** Everything, of any type: to check a text that no rule shows yet. `names` are those of all sequences. */
export function factsOfAnything(visitor: VisitorFacts, names: readonly string[]): Declarations {
  const named = Object.fromEntries(names.map((name) => [name, dyn]));
  return {
    types: {
      ...named,
      event: dyn,
      product: productType,
      page: pageType,
      device: deviceType,
      now: timestamp,
      ...visitor,
    },
  };
}

/** How CEL sees values of a JSON Schema. `money: true` marks major units of the playbook's currency. */
export function typeOfSchema(schema: unknown): CelType {
  if (schema === null || typeof schema !== 'object' || Array.isArray(schema)) return dyn;
  const {
    type,
    properties,
    items,
    enum: values,
    const: constant,
    money: isMoney,
    additionalProperties,
  } = schema as JsonObject;
  if (type === undefined && Array.isArray(values) && values.every((value) => typeof value === 'string')) return string;
  if (type === undefined && typeof constant === 'string') return string;
  switch (type) {
    case 'string':
      return string;
    case 'boolean':
      return bool;
    case 'number':
    case 'integer':
      return isMoney === true ? money : number;
    case 'array':
      return listOf(typeOfSchema(items));
    case 'object':
      if (properties !== undefined) return { kind: 'object', fields: fieldsOfSchema(schema as JsonObject) };
      return { kind: 'map', of: typeOfSchema(additionalProperties) };
    default:
      return dyn;
  }
}

export function fieldsOfSchema(schema: JsonObject): { [name: string]: CelType } {
  const properties = (schema['properties'] ?? {}) as JsonObject;
  return Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, typeOfSchema(each)]));
}

/** The roots that traits and segments fill, as conditions see them. */
export function visitorFacts(
  traits: readonly { readonly trait: Trait; readonly type: CelType }[],
  segments: readonly string[],
): VisitorFacts {
  const roots: Record<'visitor' | 'session' | 'traits' | 'consent', Record<string, CelType>> = {
    visitor: { ...visitorFields },
    session: { ...sessionFields },
    traits: {},
    consent: {},
  };
  let cart: CelType = cartType;
  for (const { trait, type } of traits) {
    const [root, name] = trait.path;
    if (root === 'cart') cart = type;
    else if (name !== undefined && root !== undefined && Object.hasOwn(roots, root))
      roots[root as keyof typeof roots][name] = type;
  }
  const object = (fields: Record<string, CelType>): ObjectType => ({ kind: 'object', fields });
  return {
    cart,
    visitor: object(roots.visitor),
    session: object(roots.session),
    traits: object(roots.traits),
    consent: object(roots.consent),
    segments: object(Object.fromEntries(segments.map((id) => [id, bool]))),
  };
}
