import type { Hours } from './playbook.ts';
import type { Report } from './problem.ts';
import type { Located, TimesOfDay } from './shape.ts';

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
type Weekday = (typeof weekdays)[number];

/** Times of the day and days of the week, either or both. null: neither. undefined: a broken one. */
export function hoursOf(
  hours: Located<TimesOfDay> | undefined,
  days: readonly Located<Weekday>[] | undefined,
  report: Report,
): Hours | null | undefined {
  if (hours === undefined && days === undefined) return null;
  if (hours !== undefined && hours.value.from === hours.value.to) {
    report.error(hours.tree, 'this is the whole day, or none of it', { expected: 'two different times, or no hours' });
    return undefined;
  }
  const twice = days?.find(({ value }, i) => days.findIndex((other) => other.value === value) < i);
  if (twice !== undefined) {
    report.error(twice.tree, `${twice.value} stands twice`);
    return undefined;
  }
  return {
    from: hours?.value.from ?? null,
    to: hours?.value.to ?? null,
    days: days?.map(({ value }) => weekdays.indexOf(value)).sort() ?? null,
  };
}
