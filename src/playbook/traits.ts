import { createHash } from 'node:crypto';
import type { Cel } from '../cel/cel.ts';
import { bool, type CelType, isSingle, listOf, nameOf, number, string, timestamp } from '../cel/types.ts';
import { canonicalJson, type Json } from '../model/json.ts';
import { nearest } from '../model/nearest.ts';
import { type CheckedCondition, checkCondition, checkExpression } from './expressions.ts';
import { anyEvent, cartType, type EventFacts, factsOfEvent } from './facts.ts';
import type { RawTrait } from './formatTraits.ts';
import type { Trait } from './playbook.ts';
import { Report, type Span } from './problem.ts';
import { type Located, type Named, startOf, wrote } from './shape.ts';
import { charactersOf } from './traitBudget.ts';
import { entryOf } from './tree.ts';
import { windowOf } from './window.ts';

const kinds = [
  'count',
  'sum',
  'min',
  'max',
  'average',
  'last',
  'first',
  'recent',
  'distinct',
  'rate',
  'score',
  'set',
  'cart',
] as const;
type Kind = (typeof kinds)[number];

const numeric: readonly Kind[] = ['sum', 'min', 'max', 'average'];
/** Which kinds take a key. */
const takers: { readonly [key: string]: readonly Kind[] } = {
  of: [...numeric, 'last', 'first', 'recent', 'distinct', 'score'],
  by: ['count', ...numeric, 'last', 'first', 'rate', 'score'],
  limit: ['recent', 'distinct'],
  halfLife: ['score'],
  per: ['rate'],
  if: kinds.filter((kind) => kind !== 'set' && kind !== 'cart'),
  over: kinds.filter((kind) => kind !== 'set' && kind !== 'cart'),
};
const windowed: readonly Kind[] = ['count', ...numeric, 'last', 'first', 'distinct', 'rate'];
const defaults = { recent: 20, distinct: 64, groups: 16 } as const;
const setTypes = { text: string, number, bool, time: timestamp } as const;

export interface CheckedTrait {
  readonly trait: Trait;
  /** What conditions read at its path. */
  readonly type: CelType;
  /** What it takes of a visitor's state at most. */
  readonly characters: number;
  /** Where the figure can be changed. */
  readonly span: Span;
}

/** Where an event type is declared, for a mistake that only shows in Usher's own traits. */
export interface EventPlaces {
  readonly facts: ReadonlyMap<string, EventFacts>;
  spanOf(type: string): Span | undefined;
}

export function checkTrait(
  named: Named<RawTrait>,
  builtIn: boolean,
  minorDigits: number,
  events: EventPlaces,
  report: Report,
): CheckedTrait | null {
  const kind = kindOf(named, report);
  if (kind === null || named.value[kind] === undefined) return null;
  const { id, value: raw } = named;
  if (kind === 'cart') return checkCart(id, raw, events, report);
  if (!checkKeys(kind, raw, report)) return null;
  if (kind === 'set') return settable(id, raw);

  const types = raw[kind] as readonly Located<string>[];
  const facts = factsOfTypes(types, events, report);
  if (facts === null) return null;
  const every = facts[0] === anyEvent;
  // A mistake in one of Usher's own traits is one of the playbook's declaration of the event.
  const own = builtIn ? new Report() : report;
  const declared = factsOfEvent(facts, null);
  const condition = raw.if === undefined ? null : checkCondition(raw.if, declared, own);
  const of = raw.of === undefined ? null : checkExpression(raw.of, declared, own);
  const by = raw.by === undefined ? null : checkExpression(raw.by, declared, own);
  if (own !== report && own.failed) {
    const span = events.spanOf(facts[0]!.type) ?? named.span;
    for (const { message } of own.problems())
      report.error(span, `${message}; ${raw.path?.value ?? id} of every visitor needs it`);
    return null;
  }
  const parts: readonly (readonly [Located<string> | undefined, CheckedCondition | { cel: Cel } | null])[] = [
    [raw.if, condition],
    [raw.of, of],
    [raw.by, by],
  ];
  if (parts.some(([written, checked]) => written !== undefined && checked === null)) return null;
  const ofType = of?.cel.type ?? null;
  if (!checkOf(kind, raw, ofType, report) || !checkBy(raw, by?.cel.type ?? null, report)) return null;

  const over = raw.over?.value ?? 'all';
  const element = ofType?.kind === 'list' && kind === 'recent' ? ofType.of : ofType;
  const money = element?.kind === 'number' && element.money && takesMoney.includes(kind);
  const value = typeOfValue(kind, element);
  const trait: Omit<Trait, 'signature'> = {
    name: id,
    path: pathOf(id, raw, builtIn),
    kind,
    events: every ? null : facts.map((event) => event.type),
    over: over === 'session' ? 'session' : 'all',
    window: typeof over === 'number' ? windowOf(over) : null,
    if: condition,
    of,
    by,
    limit: kind === 'recent' || kind === 'distinct' ? (raw.limit?.value ?? defaults[kind]) : 0,
    groups: by === null ? 0 : (raw.groups?.value ?? defaults.groups),
    halfLifeMs: raw.halfLife?.value ?? 0,
    perMs: raw.per?.value ?? 0,
    money,
    initial: by === null ? initialOf(kind, value) : {},
    cart: null,
    says: raw.says?.value ?? null,
  };
  const signed = { ...trait, signature: signatureOf(trait, minorDigits) };
  return {
    trait: signed,
    type: by === null ? value : { kind: 'map', of: value },
    characters: charactersOf(signed, element),
    span: (typeof over === 'number' ? raw.over : (raw.limit ?? raw.groups))?.tree ?? named.span,
  };
}

function kindOf({ id, span, value: raw }: Named<RawTrait>, report: Report): Kind | null {
  const given = kinds.filter((kind) => wrote(raw.at, kind));
  const [kind] = given;
  if (kind !== undefined && given.length === 1) return kind;
  const expected = `one of ${kinds.slice(0, -1).join(', ')}`;
  const said = given.length === 0 ? 'does not say what it is' : `says ${given.join(' and ')}`;
  report.error(span, `the trait ${id} ${said}`, { expected });
  return null;
}

/** What a kind needs, and what it cannot take. */
function checkKeys(kind: Kind, raw: RawTrait, report: Report): boolean {
  let ok = true;
  for (const [key, kinds] of Object.entries(takers)) {
    if (!wrote(raw.at, key) || kinds.includes(kind)) continue;
    report.error(entryOf(raw.at, key)!.keySpan, `${key} does not go with ${kind}`, {
      expected: `${key} with ${kinds.join(', ')}`,
    });
    ok = false;
  }
  const needs = [
    ['of', takers['of']!.includes(kind) && kind !== 'score', `what is ${verbOf(kind)}, such as event.productId`],
    ['halfLife', kind === 'score', 'a time such as 7d, in which the score is halved'],
    ['per', kind === 'rate', 'a time such as 1m, per which the rate is told'],
    ['over', kind === 'rate', 'a window such as 10m, over which the rate is taken'],
  ] as const;
  for (const [key, needed, what] of needs) {
    if (!needed || wrote(raw.at, key)) continue;
    report.error(startOf(raw.at), `${key} is missing`, { expected: `${key}: ${what}` });
    ok = false;
  }
  if (wrote(raw.at, 'groups') && !wrote(raw.at, 'by')) {
    report.error(entryOf(raw.at, 'groups')!.keySpan, 'groups goes with by alone', {
      expected: 'by: the text to group by',
    });
    ok = false;
  }
  const { over } = raw;
  if (over !== undefined && typeof over.value === 'number' && !windowed.includes(kind)) {
    report.error(over.tree, `${kind} has no window`, {
      expected: `all or session; a window with ${windowed.join(', ')}`,
    });
    ok = false;
  }
  if (kind === 'rate' && over !== undefined && typeof over.value === 'string') {
    report.error(over.tree, `a rate is over a window, not over ${over.value}`, { expected: 'a duration such as 10m' });
    ok = false;
  }
  // What could not be read has been told.
  return ok && needs.every(([key, needed]) => !needed || raw[key] !== undefined);
}

function verbOf(kind: Kind): string {
  if (kind === 'sum') return 'added up';
  if (kind === 'distinct') return 'counted';
  return numeric.includes(kind) ? 'compared' : 'remembered';
}

/** null: an unknown one, which the report tells. */
function factsOfTypes(
  types: readonly Located<string>[],
  events: EventPlaces,
  report: Report,
): readonly EventFacts[] | null {
  if (types.some(({ value }) => value === '*')) return [anyEvent];
  const facts: EventFacts[] = [];
  for (const { value, tree } of types) {
    const event = events.facts.get(value);
    if (event === undefined) unknownEvent(value, tree, events, report);
    else facts.push(event);
  }
  return facts.length < types.length ? null : facts;
}

function checkOf(kind: Kind, raw: RawTrait, type: CelType | null, report: Report): boolean {
  if (type === null) return true;
  const { tree } = raw.of!;
  if (numeric.includes(kind) || kind === 'score') {
    if (type.kind === 'number' || type.kind === 'dyn') return true;
    const what =
      kind === 'sum'
        ? 'a sum is'
        : kind === 'average'
          ? 'an average is'
          : kind === 'score'
            ? 'a score is'
            : `${kind} is`;
    report.error(tree, `${what} of numbers, not of ${nameOf(type)}s`, { expected: 'number' });
    return false;
  }
  if (isSingle(type) || (kind === 'recent' && type.kind === 'list' && isSingle(type.of))) return true;
  report.error(tree, `a trait remembers a text, number, time or true/false, not a ${nameOf(type)}`, {
    expected: kind === 'recent' ? 'a single value, or a list of them' : 'a single value',
  });
  return false;
}

function checkBy(raw: RawTrait, type: CelType | null, report: Report): boolean {
  if (type === null || ['string', 'number', 'bool', 'dyn'].includes(type.kind)) return true;
  report.error(raw.by!.tree, `a trait is grouped by a text, number or true/false, not by a ${nameOf(type)}`, {
    expected: 'a text such as product.category',
  });
  return false;
}

/** Kinds whose value is money when `of` is. */
const takesMoney: readonly Kind[] = [...numeric, 'last', 'first', 'recent'];

function typeOfValue(kind: Kind, of: CelType | null): CelType {
  if (kind === 'recent') return listOf(of!);
  return takesMoney.includes(kind) ? of! : number;
}

function initialOf(kind: Kind, type: CelType): Json {
  if (kind === 'recent') return [];
  if (kind === 'count' || kind === 'sum' || kind === 'distinct' || kind === 'rate' || kind === 'score') return 0;
  // A text that is not known yet reads as an empty one; a number or a time that is not known reads as null.
  return type.kind === 'string' ? '' : null;
}

function pathOf(id: string, raw: RawTrait, builtIn: boolean): readonly string[] {
  return builtIn && raw.path !== undefined ? raw.path.value.split('.') : ['traits', id];
}

/** All that decides what its state means; a state that was made under another signature is none. */
function signatureOf(trait: Omit<Trait, 'signature'>, minorDigits: number): string {
  const { kind, events, over, window, if: condition, of, by, limit, groups, halfLifeMs, perMs, money } = trait;
  const parts = [
    kind,
    events,
    over,
    window?.widthMs ?? null,
    condition?.source ?? null,
    of?.source ?? null,
    by?.source ?? null,
    limit,
    groups,
    halfLifeMs,
    perMs,
    money,
    minorDigits,
  ];
  return createHash('sha256').update(canonicalJson(parts)).digest('base64url').slice(0, 6);
}

const plain = {
  over: 'all',
  window: null,
  if: null,
  of: null,
  by: null,
  limit: 0,
  groups: 0,
  halfLifeMs: 0,
  perMs: 0,
  money: false,
  initial: null,
  cart: null,
} as const;

/** A value that rules set: no event makes it. */
function settable(id: string, raw: RawTrait): CheckedTrait {
  const type = setTypes[raw.set!.value];
  const trait = {
    ...plain,
    name: id,
    path: ['traits', id],
    kind: 'set',
    events: [],
    initial: initialOf('set', type),
    says: raw.says?.value ?? null,
  } as const;
  // The type belongs to the signature: a text is no number.
  const signature = signatureOf({ ...trait, events: [raw.set!.value] }, 0);
  const signed: Trait = { ...trait, signature };
  return { trait: signed, type, characters: charactersOf(signed, type), span: raw.set!.tree };
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
  const trait: Omit<Trait, 'signature'> = {
    ...plain,
    name: id,
    path: pathOf(id, raw, true),
    kind: 'cart',
    events: [add.value, remove.value, order.value],
    money: true,
    cart: { add: add.value, remove: remove.value, order: order.value },
    says: raw.says?.value ?? null,
  };
  const signed = { ...trait, signature: signatureOf(trait, 0) };
  return { trait: signed, type: cartType, characters: 0, span: startOf(raw.at) };
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
