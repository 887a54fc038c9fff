import type { Fact } from '../model/visitor.ts';
import type { Condition, Playbook, Rule, Show } from '../playbook/playbook.ts';
import { boundedValue } from './bounds.ts';
import { type EventScope, valueAt } from './scope.ts';

/** Facts that one candidate may carry (semantics 5.1). */
export const maxFacts = 8;

/** A rule that fired asks for a content in a slot. */
export interface Shown {
  readonly rule: Rule;
  /** Which of the rule's entries. */
  readonly entry: number;
  readonly show: Show;
  readonly facts: readonly Fact[];
}

export interface RulesRun {
  readonly shown: readonly Shown[];
  /** Ids of the rules that fired, in the order they ran. */
  readonly fired: readonly string[];
  /** Conditions that threw; their rule, or entry, was passed over. */
  readonly errors: number;
}

const nothingRan: RulesRun = { shown: [], fired: [], errors: 0 };

export function runRules(playbook: Playbook, eventType: string, scope: EventScope): RulesRun {
  const rules = playbook.rulesFor(eventType, scope);
  if (rules.length === 0) return nothingRan;
  const shown: Shown[] = [];
  const fired: string[] = [];
  let errors = 0;
  const holds = (condition: Condition | null): boolean => {
    if (condition === null) return true;
    try {
      return condition.evaluate(scope);
    } catch {
      // One rule's failing condition must not stop the others, nor the event (semantics 3 of the design: nothing blocks the line).
      errors++;
      return false;
    }
  };
  for (const rule of rules) {
    if (!holds(rule.if)) continue;
    const before = shown.length;
    for (let entry = 0; entry < rule.entries.length; entry++) {
      const show = rule.entries[entry]!;
      if (!holds(show.if)) continue;
      shown.push({ rule, entry, show, facts: capture(show, scope) });
      if (rule.mode === 'choose') break;
    }
    if (shown.length > before) fired.push(rule.id);
  }
  return { shown, fired, errors };
}

function capture(show: Show, scope: EventScope): readonly Fact[] {
  return show.captures.slice(0, maxFacts).map((path): Fact => [path, boundedValue(valueAt(scope, path))]);
}
