import type { Facts, ModelLimit, ModelRule, ModelShow, ShopModel } from './shopModel.ts';
import { keyText, type Run } from './steps.ts';
import { holds, type SetValue } from './view.ts';

/** What a rule that ran did. */
export interface Ran {
  readonly run: Run;
  readonly shows: readonly ModelShow[];
  readonly sets: readonly SetValue[];
}

/**
 * Whether a triggered rule runs, and what it does (semantics 3.12); null: it does not run.
 * @param before all runs of the visitor's rules so far
 */
export function tryRule(
  shop: ShopModel,
  rule: ModelRule,
  facts: Facts,
  session: number | null,
  before: readonly Run[],
): Ran | null {
  const { now } = facts;
  if (rule.from !== undefined && now < rule.from) return null;
  if (rule.to !== undefined && now >= rule.to) return null;
  const local = localTime(now, isTimeZone(facts.timeZone) ? facts.timeZone : shop.timeZone);
  if (rule.hours !== undefined && !isWithinHours(rule.hours, local)) return null;
  if (rule.if !== undefined && !holds(rule.if, facts)) return null;
  if (rule.unless !== undefined && holds(rule.unless, facts)) return null;
  const last = before.findLast((run) => run.rule === rule.id);
  if (rule.cooldown !== undefined && last !== undefined && now < last.now + rule.cooldown) return null;

  const { limit } = rule;
  let key: string | null = null;
  try {
    if (typeof limit?.per === 'function') key = keyText(limit.per(facts));
  } catch {
    return null;
  }
  const group = limit?.group ?? rule.id;
  const run: Run = { rule: rule.id, group, now, session: session ?? 0, day: local.day, key };
  if (limit !== undefined) {
    const together = before.filter((each) => each.group === group);
    if (countedBy(limit, run, together) >= limit.times) return null;
  }

  const shows: ModelShow[] = [];
  const sets: SetValue[] = [];
  for (const entry of rule.entries) {
    if (entry.if !== undefined && !holds(entry.if, facts)) continue;
    const { show, set } = entry;
    if (show !== undefined && (show.until === undefined || show.until > now)) shows.push(show);
    if (set !== undefined) sets.push({ trait: set.trait, value: set.to(facts) });
    if (rule.choose) break;
  }
  return shows.length + sets.length === 0 ? null : { run, shows, sets };
}

/** How often the rules that count together have run, by what the limit counts. */
function countedBy({ per }: ModelLimit, run: Run, together: readonly Run[]): number {
  if (per === 'visitor') return together.length;
  if (typeof per === 'function') return together.filter(({ key }) => key === run.key).length;
  // Of the last session, or day, in which they ran: one that comes back, as a day does with another time zone, begins anew.
  const isOther = (each: Run) => (per === 'session' ? each.session !== run.session : each.day !== run.day);
  return together.length - 1 - together.findLastIndex(isOther);
}

interface LocalTime {
  readonly day: string;
  readonly minute: number;
  /** 0 for Monday. */
  readonly weekday: number;
}

function isWithinHours({ from, to, days }: NonNullable<ModelRule['hours']>, { minute, weekday }: LocalTime): boolean {
  const isTime = from < to ? minute >= from && minute < to : minute >= from || minute < to;
  return isTime && (days === undefined || days.includes(weekday));
}

function isTimeZone(name: string): boolean {
  try {
    return name !== '' && formatOf(name) !== null;
  } catch {
    return false;
  }
}

const formats = new Map<string, Intl.DateTimeFormat>();
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const made =
    formats.get(timeZone) ??
    new Intl.DateTimeFormat('en-GB', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      weekday: 'short',
      hourCycle: 'h23',
    });
  formats.set(timeZone, made);
  return made;
}

function localTime(time: number, timeZone: string): LocalTime {
  const parts = Object.fromEntries(
    formatOf(timeZone)
      .formatToParts(time)
      .map(({ type, value }) => [type, value]),
  );
  return {
    day: `${parts['year']}-${parts['month']}-${parts['day']}`,
    minute: Number(parts['hour']) * 60 + Number(parts['minute']),
    weekday: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'].indexOf(parts['weekday']!),
  };
}
