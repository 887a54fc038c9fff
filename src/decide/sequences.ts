import type { Json } from '../model/json.ts';
import type { TraitStates } from '../model/traitStates.ts';
import type { Rule, SequenceElement, SequenceTrigger } from '../playbook/playbook.ts';
import { boundedValue } from './bounds.ts';
import { type EventScope, valueAt } from './scope.ts';
import { putAt } from './traits.ts';

/**
 * A part of a match: how many elements it has, visitor now at the first and the last of them, the value that the next of a run must
 * have, and what was kept of the elements that have a name: `[name, event time, values of its captures…]`. Kept as `seq.RULE`.
 */
export type Partial = readonly [length: number, start: number, last: number, same: Json, kept: readonly Kept[]];
type Kept = readonly [name: string, at: number, ...values: Json[]];

export interface SequenceStep {
  readonly rules: TraitStates;
  /** The match that this event completes, by the names of its elements; null: none. */
  readonly names: { readonly [name: string]: Json } | null;
  readonly errors: number;
}

const maxPartials = 16;
const nothing: readonly Partial[] = [];

/** Moves a rule's sequence on by one event of a type that it looks at (semantics 3.10). `at`: its event time. */
export function withSequenceEvent(
  before: TraitStates,
  rule: Rule,
  trigger: SequenceTrigger,
  eventType: string,
  at: number,
  scope: EventScope,
): SequenceStep {
  const name = `seq.${rule.id}`;
  const kept = (before.get(name) as readonly Partial[] | undefined) ?? nothing;
  const { elements } = trigger;
  const isVoid = trigger.without.includes(eventType);
  const partials = isVoid
    ? nothing
    : kept.filter((partial) => scope.now - partial[1] <= trigger.withinMs && fits(partial, elements));
  const event = new ElementMatch(eventType, at, scope);
  const longer: Partial[] = [];
  for (const partial of [...partials, start(scope.now)]) {
    const next = event.extend(partial, elements[partial[0]]!);
    if (next !== null) longer.push(next);
  }
  const { errors } = event;
  const complete = longer.filter(([length]) => length === elements.length).reduce(later, null);
  if (complete !== null) {
    return { rules: without(before, name), names: namesOf(complete, elements), errors };
  }
  if (longer.length === 0 && partials.length === kept.length) return { rules: before, names: null, errors };
  const merged = unitedPartials(partials, longer);
  return {
    rules: merged.length === 0 ? without(before, name) : before.with([[name, merged as unknown as Json]]),
    names: null,
    errors,
  };
}

/** How many elements the longest partial match has that can still be completed. */
export function partialLength(rules: TraitStates, rule: Rule, trigger: SequenceTrigger, now: number): number {
  const kept = (rules.get(`seq.${rule.id}`) as readonly Partial[] | undefined) ?? nothing;
  return Math.max(0, ...kept.filter(([, first]) => now - first <= trigger.withinMs).map(([length]) => length));
}

/** What another declaration of the sequence left behind, and what does not fit this one, counts as none. */
function fits([length, , , , kept]: Partial, elements: readonly SequenceElement[]): boolean {
  if (length >= elements.length) return false;
  let named = 0;
  for (let i = 0; i < length; i++) {
    const { as, captures } = elements[i]!;
    if (as === null) continue;
    named++;
    if (!kept.some(([name, , ...values]) => name === as && values.length === captures.length)) return false;
  }
  return named === kept.length;
}

function without(rules: TraitStates, name: string): TraitStates {
  return rules.get(name) === undefined ? rules : rules.with([[name, undefined]]);
}

const start = (now: number): Partial => [0, now, now, null, []];

/** One event as an element of matches. */
class ElementMatch {
  errors = 0;
  readonly #type: string;
  readonly #at: number;
  readonly #scope: EventScope;
  /** Elements of a run are alike: what they ask is asked once an event. */
  readonly #fits = new Map<unknown, boolean>();
  readonly #values = new Map<unknown, Json>();

  constructor(type: string, at: number, scope: EventScope) {
    this.#type = type;
    this.#at = at;
    this.#scope = scope;
  }

  /** The match with this event as its next element; null: it is none. */
  extend([length, first, , same, kept]: Partial, element: SequenceElement): Partial | null {
    if (!element.events.includes(this.#type) || !this.#holds(element)) return null;
    let value: Json = null;
    if (element.same !== null) {
      value = boundedValue(this.#valueOf(element));
      if (value === null || typeof value === 'object' || (!element.first && value !== same)) return null;
    }
    const { as } = element;
    const next =
      as === null
        ? kept
        : [...kept.filter(([name]) => name !== as), [as, this.#at, ...this.#captured(element)] as Kept];
    return [length + 1, first, this.#scope.now, value, next];
  }

  #holds(element: SequenceElement): boolean {
    const { if: condition } = element;
    if (condition === null) return true;
    let holds = this.#fits.get(condition);
    if (holds === undefined) {
      holds = this.#orNot(() => condition.evaluate(this.#scope)) ?? false;
      this.#fits.set(condition, holds);
    }
    return holds;
  }

  #valueOf(element: SequenceElement): Json {
    const { same } = element;
    let value = this.#values.get(same);
    if (value === undefined) {
      value = this.#orNot(() => same!.evaluate(this.#scope)) ?? null;
      this.#values.set(same, value);
    }
    return value;
  }

  #captured(element: SequenceElement): readonly Json[] {
    return element.captures.map((path) => boundedValue(valueAt(this.#scope, path)));
  }

  #orNot<T>(compute: () => T): T | null {
    try {
      return compute();
    } catch {
      this.errors++;
      return null;
    }
  }
}

/** The one with the latest first event; a tie goes to the latest last event. */
function later(a: Partial | null, b: Partial): Partial {
  return a === null || b[1] > a[1] || (b[1] === a[1] && b[2] >= a[2]) ? b : a;
}

/** Of those with the same length and value the best; of too many the ones that began last, in the order they were made. */
export function unitedPartials(partials: readonly Partial[], longer: readonly Partial[]): readonly Partial[] {
  const best = new Map<string, Partial>();
  for (const partial of [...partials, ...longer]) {
    const key = `${partial[0]} ${typeof partial[3]} ${partial[3]}`;
    const known = best.get(key) ?? null;
    const kept = later(known, partial);
    if (kept === known) continue;
    best.delete(key);
    best.set(key, kept);
  }
  const all = [...best.values()];
  while (all.length > maxPartials) {
    let first = 0;
    for (let i = 1; i < all.length; i++) if (all[i]![1] < all[first]![1]) first = i;
    all.splice(first, 1);
  }
  return all;
}

/** `seen` → `{ event: {…}, product: {…}, at }`, with what was captured. */
function namesOf(complete: Partial, elements: readonly SequenceElement[]): { readonly [name: string]: Json } {
  const names: { [name: string]: Json } = {};
  for (const [name, at, ...values] of complete[4]) {
    const { captures } = elements.findLast((element) => element.as === name)!;
    const value: { [path: string]: Json } = { at };
    for (const [i, path] of captures.entries()) putAt(value, path.split('.'), values[i] ?? null);
    names[name] = value;
  }
  return names;
}
