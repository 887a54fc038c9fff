import { withCaptures } from './captures.ts';
import { type CheckedEntry, checkEntry } from './entries.ts';
import { type CheckedCondition, checkCondition } from './expressions.ts';
import type { RawRule } from './formatRules.ts';
import { hoursOf } from './hours.ts';
import type { Limit, Rule } from './playbook.ts';
import { sentenceOf } from './sentence.ts';
import { type Named, wrote } from './shape.ts';
import type { RuleSurroundings } from './surroundings.ts';
import { type CheckedTrigger, checkSingle, checkTrigger } from './triggers.ts';

export interface CheckedRule {
  readonly rule: Rule;
  readonly entries: readonly CheckedEntry[];
  /** Event types that it runs with; null: it also runs without an event. */
  readonly runsWith: readonly string[] | null;
  readonly named: Named<RawRule>;
  /** What `as` calls events of its sequence. */
  readonly names: readonly string[];
}

/** null: it is broken, as the report tells. */
export function checkRule(named: Named<RawRule>, around: RuleSurroundings): CheckedRule | null {
  const { id, value: raw } = named;
  const { report } = around;
  const words = (['then', 'choose'] as const).filter((word) => wrote(raw.at, word));
  if (words.length !== 1) {
    const message = words.length === 0 ? `the rule ${id} does nothing` : `the rule ${id} has then and choose`;
    report.error(named.span, message, { expected: 'then (all of a list) or choose (the first that fits)' });
  }
  // Without its trigger it is not known what the conditions may name; what is named besides can be looked up all the same.
  const trigger = checkTrigger(raw.when, around);
  const declared = trigger?.declared ?? null;
  const check = (at: RawRule['if']): CheckedCondition | null =>
    at === undefined || declared === null ? null : checkCondition(at, declared, report);
  const condition = check(raw.if);
  const unless = check(raw.unless);
  const names = trigger?.names.map(({ value }) => value) ?? [];
  const purpose = raw.purpose?.value ?? null;
  const place = { rule: id, conditions: [condition, unless], purpose, declared, names };
  const raws = raw.choose ?? raw.then ?? [];
  const entries = raws.map((entry) => checkEntry(entry, place, around));
  const hours = hoursOf(raw.hours, raw.days, report);
  const limit = trigger === null ? undefined : limitOf(raw, trigger, around);
  const inTime = checkPeriod(raw, around);
  if (trigger === null || words.length !== 1 || entries.includes(null)) return null;
  if ((wrote(raw.at, 'if') && condition === null) || (wrote(raw.at, 'unless') && unless === null)) return null;
  if (hours === undefined || limit === undefined || !inTime) return null;
  if (wrote(raw.at, 'purpose') && purpose === null) return null;

  const checked = entries as readonly CheckedEntry[];
  const reads = [
    ...(condition?.reads ?? []),
    ...(unless?.reads ?? []),
    ...(limit?.key?.reads ?? []),
    ...checked.flatMap((entry) => entry.reads),
  ];
  const captured = withCaptures(trigger, reads, report);
  if (captured === null) return null;
  const rule: Omit<Rule, 'sentence'> = {
    id,
    name: raw.name?.value ?? id.replaceAll('_', ' '),
    trigger: captured,
    when: trigger.when,
    if: condition,
    unless,
    from: raw.from?.value ?? null,
    to: raw.to?.value ?? null,
    hours,
    limit,
    cooldownMs: raw.cooldown?.value ?? 0,
    mode: raw.choose === undefined ? 'then' : 'choose',
    entries: checked.map(({ entry }) => entry),
    priority: raw.priority?.value ?? 0,
    status: raw.status?.value ?? 'live',
  };
  const sentence = sentenceOf(rule, around.eventTypes);
  return { rule: { ...rule, sentence }, entries: checked, runsWith: trigger.runsWith, named, names };
}

const perWords = ['visitor', 'session', 'day'] as const;

/** null: none. undefined: a broken one. */
function limitOf(raw: RawRule, trigger: CheckedTrigger, around: RuleSurroundings): Limit | null | undefined {
  if (raw.limit === undefined) return wrote(raw.at, 'limit') ? undefined : null;
  const { times, per, group } = raw.limit;
  const word = per === undefined ? 'visitor' : perWords.find((each) => each === per.value);
  const common = { times: times.value, group: group?.value ?? null };
  if (word !== undefined) return { ...common, per: word, key: null };
  const key = checkSingle(per!, trigger.declared, 'what a limit counts by', around.report);
  return key === null ? undefined : { ...common, per: 'key', key };
}

function checkPeriod({ from, to }: RawRule, { report }: RuleSurroundings): boolean {
  if (from === undefined || to === undefined || from.value < to.value) return true;
  report.error(to.tree, 'the rule ends before it begins', { expected: 'an instant after `from`' });
  return false;
}
