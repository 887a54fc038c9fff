import type { Purpose } from '../model/purposes.ts';
import { type EventNames, eventsSaid, list, spokenDuration } from './phrases.ts';
import type { Entry, Hours, Limit, Rule, Segment, SequenceTrigger, Show, Trait, Trigger } from './playbook.ts';
import type { ActionDefinition } from './sending.ts';
import { Words } from './words.ts';

/** A rule in plain English, for people who do not read CEL. */
export function sentenceOf(rule: Omit<Rule, 'sentence'>, events: EventNames): string {
  const { trigger } = rule;
  const names = trigger.kind === 'sequence' ? trigger.elements.flatMap(({ as }) => as ?? []) : [];
  const words = new Words(names);
  const parts = [
    `When a visitor ${triggerSaid(trigger, rule.when, events, words)}`,
    ...periodSaid(rule),
    ...(rule.if === null ? [] : [`if ${words.condition(rule.if)}`]),
    ...(rule.unless === null ? [] : [`unless ${words.condition(rule.unless)}`]),
    actionsSaid(rule, events, words),
  ];
  const more = [
    ...(rule.limit === null ? [] : [limitSaid(rule.limit)]),
    ...(rule.cooldownMs === 0 ? [] : [`Not again for ${spokenDuration(rule.cooldownMs)}.`]),
    `Priority ${rule.priority}.`,
    ...(rule.status === 'live' ? [] : [rule.status === 'draft' ? 'It is a draft and does not run.' : 'It is paused.']),
  ];
  return `${parts.join(', ')}. ${more.join(' ')}`;
}

function triggerSaid(trigger: Trigger, when: readonly string[], events: EventNames, words: Words): string {
  switch (trigger.kind) {
    case 'event':
      return eventsSaid(when, 'does', events);
    case 'spent':
      return `has looked at a page for ${spokenDuration(trigger.seconds * 1_000)}`;
    case 'sequence':
      return sequenceSaid(trigger, events, words);
    case 'absence': {
      const { absent, since, forMs, key } = trigger;
      const waits =
        key === null ? '' : key.source === 'cart.id' ? ' (each cart by itself)' : ` (each ${key.source} by itself)`;
      return `has not ${eventsSaid(absent, 'done', events)} for ${spokenDuration(forMs)} after ${eventsSaid(since, 'doing', events)}${waits}`;
    }
    case 'segment': {
      const entered = trigger.entered.length === 0 ? [] : [`enters the segment ${list(trigger.entered, 'or')}`];
      const left = trigger.left.length === 0 ? [] : [`leaves the segment ${list(trigger.left, 'or')}`];
      return list([...entered, ...left], 'or');
    }
  }
}

function sequenceSaid({ elements, withinMs, without }: SequenceTrigger, events: EventNames, words: Words): string {
  const steps: string[] = [];
  for (let i = 0; i < elements.length; ) {
    const element = elements[i]!;
    // The elements that one entry with `times` made differ in the name alone, which stands with the last.
    let times = 1;
    while (isRepeated(elements[i + times - 1]!, elements[i + times])) times++;
    const named = elements[i + times - 1]!.as;
    const details = [
      ...(element.same === null ? [] : [`${words.value(element.same)} the same each time`]),
      ...(element.if === null ? [] : [words.condition(element.if)]),
      ...(named === null ? [] : [`called "${named}"`]),
    ];
    const often = times === 1 ? '' : times === 2 ? ' twice' : ` ${times} times`;
    const more = details.length === 0 ? '' : ` (${details.join('; ')})`;
    steps.push(`${eventsSaid(element.events, 'does', events)}${often}${more}`);
    i += times;
  }
  const between = without.length === 0 ? '' : ` and without ${eventsSaid(without, 'doing', events)} in between`;
  return `${steps.join(', then ')}, within ${spokenDuration(withinMs)}${between}`;
}

type Element = SequenceTrigger['elements'][number];
function isRepeated(element: Element, next: Element | undefined): boolean {
  return (
    next !== undefined &&
    element.as === null &&
    !next.first &&
    element.events === next.events &&
    element.if === next.if &&
    element.same === next.same
  );
}

function periodSaid({ from, to, hours }: Pick<Rule, 'from' | 'to' | 'hours'>): readonly string[] {
  const begins = from === null ? '' : `from ${instantSaid(from)}${to === null ? ' on' : ''}`;
  const ends = to === null ? '' : `until ${instantSaid(to)}`;
  const period = [begins, ends, hours === null ? '' : hoursSaid(hours)].filter((part) => part !== '');
  return period.length === 0 ? [] : [`only ${period.join(' ')}`];
}

const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];

function hoursSaid({ from, to, days }: Hours): string {
  const clock = (minutes: number) =>
    `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
  const times = from === null || to === null ? '' : `between ${clock(from)} and ${clock(to)}`;
  const on = days === null ? '' : daysSaid(days);
  return [times, on].filter((part) => part !== '').join(' ');
}

/** "Monday to Friday" rather than five names. */
function daysSaid(days: readonly number[]): string {
  const names = days.map((each) => weekdays[each]!);
  const isRow = days.length > 2 && days.every((each, i) => each === days[0]! + i);
  return isRow ? `from ${names[0]} to ${names.at(-1)}` : `on ${list(names, 'and')}`;
}

function instantSaid(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

function actionsSaid({ mode, entries }: Pick<Rule, 'mode' | 'entries'>, events: EventNames, words: Words): string {
  const told = entries.map((entry) => ({
    what: `${actionSaid(entry, events, words)}${purposeSaid(entry.purpose)}`,
    only: entry.if === null ? null : words.condition(entry.if),
  }));
  if (mode === 'then' && told.every(({ only }) => only === null))
    return list(
      told.map(({ what }) => what),
      'and',
    );
  // With conditions among them a list would not tell what they belong to.
  return told
    .map(({ what, only }, i) => {
      const next = i === 0 ? '' : mode === 'then' ? 'and ' : only === null ? 'otherwise ' : 'else ';
      return `${next}${only === null ? '' : `if ${only}, `}${what}`;
    })
    .join('; ');
}

function purposeSaid(purpose: Purpose | null): string {
  return purpose === null ? '' : `, given consent to ${purpose}`;
}

function actionSaid(entry: Entry, events: EventNames, words: Words): string {
  switch (entry.do) {
    case 'show':
      return showSaid(entry, words);
    case 'set':
      return `set the trait ${entry.trait} to ${words.value(entry.to)}`;
    case 'emit': {
      const properties = entry.properties.map(([name, value]) => `${name} ${words.value(value)}`);
      const using = properties.length === 0 ? '' : ` with ${list(properties, 'and')}`;
      return `add the event "${events.get(entry.event)?.name ?? entry.event}"${using}`;
    }
    case 'send': {
      const values = entry.with.map(([name, value]) => `${name} ${words.value(value)}`);
      return `send ${entry.action}${values.length === 0 ? '' : ` with ${list(values, 'and')}`}`;
    }
  }
}

function showSaid(show: Show, words: Words): string {
  const { only, exclude } = show;
  const where = [
    ...(only?.pages == null ? [] : [`on ${list(only.pages, 'or')} pages`]),
    ...(only?.devices == null ? [] : [`on ${list(only.devices, 'or')} devices`]),
    ...(only?.hours == null ? [] : [hoursSaid(only.hours)]),
  ];
  const enough = [
    ...(exclude?.bought == null ? [] : ['the product has been bought']),
    ...(exclude?.shown == null ? [] : [`it has been seen ${exclude.shown === 1 ? 'once' : `${exclude.shown} times`}`]),
  ];
  return [
    `show ${show.content} in ${show.slot}`,
    show.pinned ? ' before all that is not pinned' : '',
    show.forMs === null ? '' : ` for ${spokenDuration(show.forMs)}`,
    show.until === null ? '' : ` until ${instantSaid(show.until)}`,
    show.while === null ? '' : ` while ${words.condition(show.while)}`,
    where.length === 0 ? '' : `, only ${where.join(' and ')}`,
    enough.length === 0 ? '' : `, unless ${list(enough, 'or')}`,
  ].join('');
}

function limitSaid({ times, per, key, group }: Limit): string {
  const often = times === 1 ? 'once' : times === 2 ? 'twice' : `${times} times`;
  const of = per === 'key' ? key!.source : per;
  const together = group === null ? '' : `, counted together with the group ${group}`;
  return `At most ${often} per ${of}${together}.`;
}

/** Who is in a segment, and whether that may end without an event. */
export function segmentSaid({ condition, changes }: Segment): string {
  const byTime = changes.length === 0 ? '' : ' Time alone may change that.';
  return `A visitor is in it as long as ${new Words().condition(condition)}.${byTime}`;
}

/** Where a message goes, and when it waits. */
export function messageSaid({ destination, to, quiet, purpose, takes }: ActionDefinition): string {
  const words = new Words();
  const receiver = to === null ? '' : ` to ${words.value(to)}`;
  const waits = quiet === null ? '' : ` It waits while it is ${hoursSaid(quiet)} where the visitor is.`;
  const only = purpose === null ? '' : ` Only with consent to ${purpose}.`;
  const given = takes.size === 0 ? '' : ` Rules give it ${list([...takes.keys()], 'and')}.`;
  return `A message by ${destination}${receiver}.${given}${waits}${only}`;
}

/** What a trait is, of the playbook's own. */
export function traitSaid(trait: Trait, events: EventNames): string {
  const { window, over, by, if: condition, limit, halfLifeMs, perMs } = trait;
  const words = new Words();
  const of = trait.of === null ? '' : words.value(trait.of);
  const when = `${trait.events === null ? 'doing anything' : eventsSaid(trait.events, 'doing', events)}`;
  const what = {
    count: `How often: ${when}`,
    sum: `The sum of ${of} when ${when}`,
    min: `The smallest value of ${of} when ${when}`,
    max: `The largest value of ${of} when ${when}`,
    average: `The average of ${of} when ${when}`,
    last: `The last value of ${of} when ${when}`,
    first: `The first value of ${of} when ${when}`,
    recent: `The last ${limit} different values of ${of} when ${when}, newest first`,
    distinct: `How many different values of ${of} when ${when}, up to ${limit}`,
    rate: `How often per ${spokenDuration(perMs)}: ${when}`,
    score: `A score that grows by ${of === '' ? '1' : of} when ${when}, and is halved in ${spokenDuration(halfLifeMs)}`,
    set: 'A value that rules set',
    cart: 'The cart',
  }[trait.kind];
  const span =
    window !== null ? `, in the last ${spokenDuration(window.widthMs)}` : over === 'session' ? ', in this visit' : '';
  const only = condition === null ? '' : `, if ${words.condition(condition)}`;
  const each = by === null ? '' : `, by ${words.value(by)}`;
  return `${what}${span}${only}${each}.`;
}
