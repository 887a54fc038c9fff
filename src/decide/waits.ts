import type { Json } from '../model/json.ts';
import type { EventRecord } from '../model/record.ts';
import type { TraitStates } from '../model/traitStates.ts';
import type { AbsenceTrigger, Playbook, Rule } from '../playbook/playbook.ts';
import { cutText } from './bounds.ts';
import type { EventScope } from './scope.ts';

/** `[key, te, id and type of the event]` of each wait, the one that was set last at the end. Kept as `wait.RULE`. */
export type Wait = readonly [key: string, at: number, eventId: string, eventType: string];

/** What an event does to the timer of a rule's key; null: it is cancelled. */
export interface WaitChange {
  readonly rule: string;
  readonly key: string;
  readonly due: number | null;
}

export interface WaitsStep {
  readonly rules: TraitStates;
  readonly changes: readonly WaitChange[];
  /** Keys that threw. */
  readonly errors: number;
}

/** Keys for which one rule waits with one visitor (semantics 3.11). */
export const maxWaits = 8;

/**
 * What an event starts and cancels of absences (semantics 3.11). `scope` is of the visitor as before the event.
 * @param startsNone whether it is an add to the cart that came after the order that it belongs to (10.2)
 */
export function withWaits(
  before: TraitStates,
  record: EventRecord,
  at: number,
  now: number,
  playbook: Playbook,
  scope: EventScope,
  startsNone: () => boolean,
): WaitsStep {
  let rules = before;
  let errors = 0;
  const changes: WaitChange[] = [];
  for (const { rule, trigger } of absencesOf(playbook, record.type)) {
    const starts = trigger.since.includes(record.type) && !startsNone();
    const waits = keptOf(rules, rule.id);
    const cancels = waits.length > 0 && trigger.absent.includes(record.type);
    // Nearly always: an order, or a view, of somebody for whom nothing waits.
    if (!starts && !cancels) continue;
    const key = keyOf(trigger, scope);
    if (key === null) {
      errors++;
      continue;
    }
    const known = waits.find((wait) => wait[0] === key);
    if (known !== undefined && at < known[1]) continue;
    const others = waits.filter((wait) => wait !== known);
    if (starts) {
      while (others.length >= maxWaits) changes.push({ rule: rule.id, key: others.shift()![0], due: null });
      others.push([key, at, record.id, record.type]);
      changes.push({ rule: rule.id, key, due: now + trigger.forMs });
    } else if (known !== undefined) changes.push({ rule: rule.id, key, due: null });
    else continue;
    rules = withKept(rules, rule.id, others);
  }
  return { rules, changes, errors };
}

interface AbsenceRule {
  readonly rule: Rule;
  readonly trigger: AbsenceTrigger;
}
const none: readonly AbsenceRule[] = [];
const absences = new WeakMap<Playbook, Map<string, readonly AbsenceRule[]>>();

/** The live rules that events of this type start or cancel, by id: a few of thousands, so they are looked for once. */
function absencesOf(playbook: Playbook, eventType: string): readonly AbsenceRule[] {
  // Other programs may append events of any number of types.
  if (!playbook.events.has(eventType)) return none;
  let byType = absences.get(playbook);
  if (byType === undefined) {
    byType = new Map();
    absences.set(playbook, byType);
  }
  let found = byType.get(eventType);
  if (found === undefined) {
    found = playbook.rulesFor(eventType).flatMap((rule): AbsenceRule[] => {
      const { trigger } = rule;
      return trigger.kind === 'absence' ? [{ rule, trigger }] : [];
    });
    byType.set(eventType, found);
  }
  return found;
}

/** The wait whose timer fires, and the rules' states without it. */
export function takeWait(before: TraitStates, rule: string, key: string): { rules: TraitStates; wait: Wait | null } {
  const waits = keptOf(before, rule);
  const wait = waits.find((each) => each[0] === key) ?? null;
  if (wait === null) return { rules: before, wait };
  const others = waits.filter((each) => each !== wait);
  return { rules: withKept(before, rule, others), wait };
}

function keptOf(rules: TraitStates, rule: string): readonly Wait[] {
  return (rules.get(`wait.${rule}`) as readonly Wait[] | undefined) ?? [];
}

/** What is empty is not kept. */
function withKept(rules: TraitStates, rule: string, waits: readonly Wait[]): TraitStates {
  return rules.with([[`wait.${rule}`, waits.length === 0 ? undefined : (waits as unknown as Json)]]);
}

function keyOf({ key }: AbsenceTrigger, scope: EventScope): string | null {
  if (key === null) return '';
  try {
    return textOf(key.evaluate(scope));
  } catch {
    return null;
  }
}

const keyLimit = 128;

/** A key as text; null: there is none. */
export function textOf(value: Json): string | null {
  if (value === null || typeof value === 'object') return null;
  return cutText(String(value), keyLimit);
}
