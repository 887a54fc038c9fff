import type { Json } from '../model/json.ts';
import { isWithin, type LocalTime, localTimeOf } from '../model/localTime.ts';
import type { TraitStates } from '../model/traitStates.ts';
import type { Limit, Playbook, Rule, Scope } from '../playbook/playbook.ts';
import { textOf } from './waits.ts';

/** What a rule may run by besides its conditions (semantics 3.12), and what is written down when it has run. */

/** Keys, and page views, of which one rule keeps that it ran. */
export const maxKeys = 16;
export const maxPageViews = 8;

/** Whether the instant is one of the rule's: `from`, `to`, and the hours and days where the visitor is. */
export function isInTime(rule: Rule, scope: Scope, playbook: Playbook): boolean {
  const { from, to, hours } = rule;
  if ((from !== null && scope.now < from) || (to !== null && scope.now >= to)) return false;
  return hours === null || isWithin(hours, timeOf(scope, playbook));
}

/** Whatever `now` is: the fold's instants are of a calendar, and a playbook's time zone is checked. */
function timeOf(scope: Scope, playbook: Playbook): LocalTime {
  return localTimeOf(scope.now, scope.visitor['timeZone'], playbook.timezone)!;
}

/** Whether cool-down and limit let the rule run. @throws CelError when the limit's key fails */
export function mayRun(rule: Rule, states: TraitStates, scope: Scope, playbook: Playbook): boolean {
  if (rule.cooldownMs > 0) {
    const ranAt = states.get(`cool.${rule.id}`) as number | undefined;
    if (ranAt !== undefined && scope.now < ranAt + rule.cooldownMs) return false;
  }
  const { limit } = rule;
  return limit === null || ranTimes(rule, limit, states, scope, playbook) < limit.times;
}

/** How often it has run by what the limit counts. */
export function ranTimes(rule: Rule, limit: Limit, states: TraitStates, scope: Scope, playbook: Playbook): number {
  return countOf(limit, states.get(nameOf(rule, limit)), scope, playbook);
}

/** The rules' states after this one has run. */
export function withRun(rule: Rule, before: TraitStates, scope: Scope, playbook: Playbook): TraitStates {
  const changes: [string, Json][] = [];
  if (rule.cooldownMs > 0) changes.push([`cool.${rule.id}`, scope.now]);
  const { limit, trigger } = rule;
  if (limit !== null) {
    const name = nameOf(rule, limit);
    changes.push([name, counted(limit, before.get(name), scope, playbook)]);
  }
  if (trigger.kind === 'spent') {
    const name = `spent.${rule.id}`;
    const seen = (before.get(name) as readonly Json[] | undefined) ?? [];
    changes.push([name, [...seen, scope.event['pageViewId'] ?? null].slice(-maxPageViews)]);
  }
  return changes.length === 0 ? before : before.with(changes);
}

/** Whether this `time_spent` is the first of its page view that is long enough, as far as the rule has not run for it. */
export function isSpent(rule: Rule, seconds: number, states: TraitStates, scope: Scope): boolean {
  const { event } = scope;
  const spent = event['seconds'];
  if (typeof spent !== 'number' || spent < seconds) return false;
  const seen = states.get(`spent.${rule.id}`) as readonly Json[] | undefined;
  return seen === undefined || !seen.includes(event['pageViewId'] ?? null);
}

/** What is counted otherwise, as after a change of the playbook, is another count. */
function nameOf(rule: Rule, { group, per }: Limit): string {
  return group === null ? `limit.${per}.${rule.id}` : `group.${per}.${group}`;
}

/** `[what it is counted by, how often]`; of keys a list of these, the least recently run first. */
type Count = readonly [by: Json, times: number];

function countOf(limit: Limit, state: Json | undefined, scope: Scope, playbook: Playbook): number {
  // Also while nothing is counted: a key that fails must do so before the rule runs, not after.
  const by = countedBy(limit, scope, playbook);
  if (state === undefined) return 0;
  if (limit.per === 'key') {
    return (state as unknown as readonly Count[]).find(([key]) => key === by)?.[1] ?? 0;
  }
  const [last, times] = state as unknown as Count;
  return last === by ? times : 0;
}

function counted(limit: Limit, state: Json | undefined, scope: Scope, playbook: Playbook): Json {
  const by = countedBy(limit, scope, playbook);
  const times = countOf(limit, state, scope, playbook) + 1;
  if (limit.per !== 'key') return [by, times];
  const others = ((state as unknown as readonly Count[] | undefined) ?? []).filter(([key]) => key !== by);
  return [...others.slice(-(maxKeys - 1)), [by, times]] as unknown as Json;
}

function countedBy(limit: Limit, scope: Scope, playbook: Playbook): Json {
  switch (limit.per) {
    case 'visitor':
      return 0;
    case 'session':
      return scope.session['number'] ?? 0;
    case 'day':
      return timeOf(scope, playbook).date;
    case 'key':
      return textOf(limit.key!.evaluate(scope));
  }
}
