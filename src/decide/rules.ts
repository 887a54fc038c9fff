import type { Json, JsonObject } from '../model/json.ts';
import type { TraitStates } from '../model/traitStates.ts';
import type { Fact } from '../model/visitor.ts';
import type { Emit, Entry, Playbook, Rule, Scope, Send, SetTrait, Show } from '../playbook/playbook.ts';
import { boundedValue } from './bounds.ts';
import { consentMissing, consents } from './consent.ts';
import { countsBy, isInTime, mayRun, withRun } from './limits.ts';
import { type EventScope, NamedScope, valueAt } from './scope.ts';
import { addressed, type Sent, valuesOf } from './sending.ts';

/** Facts that one candidate may carry (semantics 5.1). */
export const maxFacts = 8;

/** A rule whose trigger came. */
export interface Triggered {
  readonly rule: Rule;
  /** Its `if` surely holds. */
  readonly holds: boolean;
  /** What the elements of its sequence are named; null: nothing. */
  readonly names: { readonly [name: string]: Json } | null;
  /** After "you", in place of the event's own words; null: those. */
  readonly says: string | null;
}

/** A rule that ran asks for a content in a slot. */
export interface Shown {
  readonly rule: Rule;
  /** Which of the rule's entries. */
  readonly entry: number;
  readonly show: Show;
  readonly facts: readonly Fact[];
  readonly says: string | null;
}
/** A rule that ran asks for an event to be appended. */
export interface Emitted {
  readonly rule: Rule;
  readonly entry: number;
  readonly type: string;
  readonly properties: JsonObject;
}

/** An entry that its condition let happen, and something else kept from it; the next one of `choose` is tried. */
export interface Withheld {
  readonly rule: string;
  readonly entry: number;
  /** "there is no consent to marketing" */
  readonly reason: string;
}

export interface RulesRun {
  readonly shown: readonly Shown[];
  readonly emitted: readonly Emitted[];
  readonly sent: readonly Sent[];
  readonly withheld: readonly Withheld[];
  /** Traits that rules set, the last word last. */
  readonly set: readonly (readonly [trait: string, value: Json])[];
  /** Ids of the rules that ran, in the order they ran. */
  readonly fired: readonly string[];
  /** Conditions and values that threw; their rule, or entry, was passed over. */
  readonly errors: number;
  readonly states: TraitStates;
}

/** Runs what was triggered in one step, in the order given (semantics 3.12). */
export function runRules(
  triggered: readonly Triggered[],
  states: TraitStates,
  playbook: Playbook,
  scope: EventScope,
): RulesRun {
  const run = new StepRun(states, playbook, scope);
  for (const each of triggered) run.try(each);
  return run;
}

class StepRun implements RulesRun {
  readonly shown: Shown[] = [];
  readonly emitted: Emitted[] = [];
  readonly sent: Sent[] = [];
  readonly withheld: Withheld[] = [];
  readonly set: [string, Json][] = [];
  readonly fired: string[] = [];
  errors = 0;
  states: TraitStates;
  readonly #playbook: Playbook;
  readonly #base: EventScope;
  /** Facts of the event by the list that names them, which rules that capture the same share. */
  readonly #captured = new Map<readonly string[], readonly Fact[]>();

  constructor(states: TraitStates, playbook: Playbook, base: EventScope) {
    this.states = states;
    this.#playbook = playbook;
    this.#base = base;
  }

  try({ rule, holds, names, says }: Triggered): void {
    const scope = names === null ? this.#base : new NamedScope(this.#base, names);
    // One rule's failing condition must not stop the others, nor the event (semantics 3 of the design: nothing blocks the line).
    try {
      if (!this.#applies(rule, holds, scope)) return;
    } catch {
      this.errors++;
      return;
    }
    const ran = this.#runEntries(rule, scope, says);
    if (!ran) return;
    this.fired.push(rule.id);
    this.states = withRun(rule, this.states, scope, this.#playbook);
  }

  #applies(rule: Rule, holds: boolean, scope: Scope): boolean {
    if ((rule.from ?? rule.to ?? rule.hours) !== null && !isInTime(rule, scope, this.#playbook)) return false;
    if (!holds && rule.if !== null && !rule.if.evaluate(scope)) return false;
    if (rule.unless?.evaluate(scope)) return false;
    return mayRun(rule, this.states, scope, this.#playbook);
  }

  #runEntries(rule: Rule, scope: Scope, says: string | null): boolean {
    let ran = false;
    for (let entry = 0; entry < rule.entries.length; entry++) {
      const what = rule.entries[entry]!;
      try {
        if (what.if !== null && !what.if.evaluate(scope)) continue;
        const kept = what.purpose !== null && !consents(what.purpose, scope) ? consentMissing(what.purpose) : null;
        if (kept !== null) {
          this.withheld.push({ rule: rule.id, entry, reason: kept });
          continue;
        }
        if (isOver(what, scope.now)) {
          if (rule.mode === 'choose') break;
          continue;
        }
        if (what.do === 'show') this.shown.push({ rule, entry, show: what, facts: this.#capture(what, scope), says });
        else if (what.do === 'set') this.#setTrait(what, scope);
        else if (what.do === 'emit')
          this.emitted.push({ rule, entry, type: what.event, properties: propertiesOf(what, scope) });
        else if (!this.#send(rule, entry, what, scope)) continue;
      } catch {
        this.errors++;
        continue;
      }
      ran = true;
      if (rule.mode === 'choose') break;
    }
    return ran;
  }

  #capture({ captures }: Show, scope: Scope): readonly Fact[] {
    if (scope !== this.#base) return factsAt(captures, scope);
    const known = this.#captured.get(captures);
    if (known !== undefined) return known;
    const facts = factsAt(captures, scope);
    this.#captured.set(captures, facts);
    return facts;
  }

  #send(rule: Rule, entry: number, send: Send, scope: Scope): boolean {
    const values = valuesOf(send, scope);
    const isAddressed = addressed(this.#playbook.actions.get(send.action)!, values, scope) !== null;
    if (isAddressed) {
      const facts = factsAt(send.captures, scope);
      this.sent.push({ rule, entry, send, values, facts, by: countsBy(rule, scope, this.#playbook) });
    } else this.withheld.push({ rule: rule.id, entry, reason: `${send.action} has no address to go to` });
    return isAddressed;
  }

  #setTrait({ trait, to }: SetTrait, scope: Scope): void {
    this.set.push([trait, boundedValue(to.evaluate(scope))]);
  }
}

/** What is shown until an instant that has passed shows nothing: its rule has not run by it (semantics 3.12, 5.1). */
function isOver(entry: Entry, now: number): boolean {
  return entry.do === 'show' && entry.until !== null && entry.until <= now;
}

function factsAt(paths: readonly string[], scope: Scope): readonly Fact[] {
  return paths.slice(0, maxFacts).map((path): Fact => [path, boundedValue(valueAt(scope, path))]);
}

function propertiesOf({ properties }: Emit, scope: Scope): JsonObject {
  const values: { [name: string]: Json } = {};
  for (const [name, expression] of properties) {
    const value = expression.evaluate(scope);
    // A property that is not known is left out, as a page would.
    if (value !== null) values[name] = value;
  }
  return values;
}
