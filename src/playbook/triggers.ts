import type { Declarations } from '../cel/compiler.ts';
import { constantOf } from '../cel/constant.ts';
import { isSingle, nameOf } from '../cel/types.ts';
import { type CheckedExpression, checkCondition, checkExpression } from './expressions.ts';
import { type EventFacts, factsOfEvent, factsOfKey, factsOfVisitor, rootNames, withNamedEvent } from './facts.ts';
import type { RawElement, RawWhen } from './formatRules.ts';
import { playbookLimits } from './limits.ts';
import { absenceSaid } from './phrases.ts';
import type { AbsenceTrigger, SequenceElement, SequenceTrigger, Trigger } from './playbook.ts';
import type { Report } from './problem.ts';
import { type Located, startOf } from './shape.ts';
import { lookUp, type RuleSurroundings } from './surroundings.ts';
import { unknownEvent } from './traits.ts';
import { entryOf } from './tree.ts';

/** What makes a rule run, checked, with what its conditions, contents and entries may name. */
export interface CheckedTrigger {
  readonly trigger: Trigger;
  /** Event types that matter to it. */
  readonly when: readonly string[];
  /** Event types that it runs with; null: it also runs without an event. */
  readonly runsWith: readonly string[] | null;
  readonly declared: Declarations;
  /** Names that `as` gave, with their place. */
  readonly names: readonly Located<string>[];
}

export function checkTrigger(raw: RawWhen, around: RuleSurroundings): CheckedTrigger | null {
  switch (raw.kind) {
    case 'event':
      return eventTrigger(raw.event, { kind: 'event' }, around);
    case 'spent':
      return spentTrigger(raw, around);
    case 'sequence':
      return sequenceTrigger(raw, around);
    case 'absence':
      return absenceTrigger(raw, around);
    case 'segment':
      return segmentTrigger(raw, around);
  }
}

function eventTrigger(
  types: readonly Located<string>[],
  trigger: Trigger,
  around: RuleSurroundings,
): CheckedTrigger | null {
  const facts = knownEvents(types, around);
  if (facts === null) return null;
  const when = facts.map(({ type }) => type);
  return { trigger, when, runsWith: when, declared: factsOfEvent(facts, around.visitor), names: [] };
}

/** null: one is unknown, or stands twice. */
function knownEvents(types: readonly Located<string>[], around: RuleSurroundings): readonly EventFacts[] | null {
  const { events, report } = around;
  const facts: EventFacts[] = [];
  for (const { value, tree } of types) {
    const event = events.facts.get(value);
    if (event === undefined) unknownEvent(value, tree, events, report);
    else if (facts.includes(event)) report.error(tree, `${value} stands twice`);
    else facts.push(event);
  }
  return facts.length < types.length ? null : facts;
}

function spentTrigger(raw: RawWhen & { kind: 'spent' }, around: RuleSurroundings): CheckedTrigger | null {
  const { value, tree } = raw.spent;
  const facts = around.events.facts.get('time_spent');
  if (facts?.fields['pageViewId']?.kind !== 'string' || facts.fields['seconds']?.kind !== 'number') {
    around.report.error(tree, 'time_spent has no pageViewId and seconds, which spent needs', {
      expected: 'time_spent as it is built in, or with more properties',
    });
    return null;
  }
  const type = { value: 'time_spent', tree };
  return eventTrigger([type], { kind: 'spent', seconds: value / 1_000 }, around);
}

function sequenceTrigger(raw: RawWhen & { kind: 'sequence' }, around: RuleSurroundings): CheckedTrigger | null {
  const elements = raw.sequence.map((element) => checkElement(element, around));
  const without = raw.without === undefined ? [] : knownEvents(raw.without, around);
  const length = raw.sequence.reduce((sum, { times }) => sum + (times?.value ?? 1), 0);
  if (length < 2 || length > playbookLimits.sequence) {
    const tree = entryOf(raw.at, 'sequence')!.value;
    const got = length === 1 ? 'one event is no sequence' : `a sequence of ${length} events`;
    around.report.error(startOf(tree), got, {
      expected: `2 to ${playbookLimits.sequence} events, each counted \`times\` often`,
    });
    return null;
  }
  const namesOk = checkNames(raw.sequence, around.report);
  if (without === null || elements.includes(null) || !namesOk) return null;
  const checked = elements as readonly CheckedElement[];
  const notBetween = without.map(({ type }) => type);
  if (!checkCompletes(checked, notBetween, around.report)) return null;

  const last = checked.at(-1)!.facts;
  let declared = factsOfEvent(last, around.visitor);
  for (const { raw, facts } of checked)
    if (raw.as !== undefined) declared = withNamedEvent(declared, raw.as.value, facts);
  const trigger: SequenceTrigger = {
    kind: 'sequence',
    elements: checked.flatMap(repeated),
    withinMs: raw.within.value,
    without: notBetween,
  };
  const when = [...new Set([...checked.flatMap(({ facts }) => facts.map(({ type }) => type)), ...notBetween])];
  return {
    trigger,
    when,
    runsWith: last.map(({ type }) => type),
    declared,
    names: checked.flatMap(({ raw }) => (raw.as === undefined ? [] : [raw.as])),
  };
}

interface CheckedElement {
  readonly raw: RawElement;
  readonly facts: readonly EventFacts[];
  readonly if: SequenceElement['if'];
  readonly same: CheckedExpression | null;
}

function checkElement(raw: RawElement, around: RuleSurroundings): CheckedElement | null {
  const facts = knownEvents(raw.event, around);
  if (facts === null) return null;
  const declared = factsOfEvent(facts, around.visitor);
  const condition = raw.if === undefined ? null : checkCondition(raw.if, declared, around.report);
  const same = raw.same === undefined ? null : checkSingle(raw.same, declared, 'what is the same', around.report);
  if ((raw.if !== undefined && condition === null) || (raw.same !== undefined && same === null)) return null;
  if (raw.same !== undefined && (raw.times?.value ?? 1) < 2) {
    around.report.error(raw.same.tree, 'same compares the events of one element, and this is one event alone', {
      expected: 'times: 2, or more',
    });
    return null;
  }
  return { raw, facts, if: condition, same };
}

/** `times: 3` is three elements. The name stands with the last of them: it is the latest event. */
function repeated({ raw, facts, if: condition, same }: CheckedElement): readonly SequenceElement[] {
  const times = raw.times?.value ?? 1;
  const events = facts.map(({ type }) => type);
  return Array.from({ length: times }, (_, i) => ({
    events,
    if: condition,
    same,
    first: same !== null && i === 0,
    as: i === times - 1 ? (raw.as?.value ?? null) : null,
    captures: [],
  }));
}

function checkNames(elements: readonly RawElement[], report: Report): boolean {
  const names = new Set<string>();
  let ok = true;
  for (const { as } of elements) {
    if (as === undefined) continue;
    if (rootNames.includes(as.value)) {
      report.error(as.tree, `${as.value} is a name that conditions have already`, { expected: 'a name such as seen' });
      ok = false;
    } else if (names.has(as.value)) {
      report.error(as.tree, `${as.value} names two events of the sequence`, { expected: 'each name once' });
      ok = false;
    }
    names.add(as.value);
  }
  return ok;
}

/** A sequence that no visitor can ever complete is a mistake, not a rule that is quiet. */
function checkCompletes(elements: readonly CheckedElement[], without: readonly string[], report: Report): boolean {
  for (const { raw, facts, if: condition } of elements) {
    if (facts.every(({ type }) => without.includes(type))) {
      const types = facts.map(({ type }) => type).join(', ');
      report.error(
        raw.event[0]!.tree,
        `the sequence can never be completed: ${types} is in it and in without, which makes it begin anew`,
        { expected: 'an event type that is not in without' },
      );
      return false;
    }
    if (condition !== null && constantOf(condition) === false) {
      report.error(raw.if!.tree, 'the sequence can never be completed: this condition never holds', {
        expected: 'a condition that can hold',
      });
      return false;
    }
  }
  return true;
}

function absenceTrigger(raw: RawWhen & { kind: 'absence' }, around: RuleSurroundings): CheckedTrigger | null {
  const absent = knownEvents(raw.absent, around);
  const since = knownEvents(raw.since, around);
  const key =
    raw.key === undefined ? null : checkSingle(raw.key, factsOfKey(around.visitor), 'the key of a wait', around.report);
  if (absent === null || since === null || (raw.key !== undefined && key === null)) return null;
  const absentTypes = absent.map(({ type }) => type);
  const sinceTypes = since.map(({ type }) => type);
  const trigger: AbsenceTrigger = {
    kind: 'absence',
    absent: absentTypes,
    since: sinceTypes,
    forMs: raw.for.value,
    key,
    says: absenceSaid(absentTypes, raw.for.value, around.eventTypes),
  };
  return {
    trigger,
    when: [...new Set([...absentTypes, ...sinceTypes])],
    runsWith: null,
    declared: factsOfVisitor(around.visitor, 'an absence has no event'),
    names: [],
  };
}

function segmentTrigger(raw: RawWhen & { kind: 'segment' }, around: RuleSurroundings): CheckedTrigger | null {
  const known = (ids: readonly Located<string>[] = []): readonly string[] | null => {
    const found = ids.filter((id) => lookUp(id, around.segments, 'segment', around.report) !== null);
    const twice = ids.find(({ value }, i) => ids.findIndex((other) => other.value === value) < i);
    if (twice !== undefined) around.report.error(twice.tree, `${twice.value} stands twice`);
    return found.length < ids.length || twice !== undefined ? null : ids.map(({ value }) => value);
  };
  const [entered, left] = [known(raw.entered), known(raw.left)];
  if (entered === null || left === null) return null;
  return {
    trigger: { kind: 'segment', entered, left },
    when: [],
    runsWith: null,
    declared: factsOfVisitor(around.visitor, 'a segment is entered and left by time too, without an event'),
    names: [],
  };
}

/** An expression that must give one value: a key, or what is compared. */
export function checkSingle(
  at: Located<string>,
  declared: Declarations,
  what: string,
  report: Report,
): CheckedExpression | null {
  const checked = checkExpression(at, declared, report);
  if (checked === null || isSingle(checked.cel.type)) return checked;
  report.error(at.tree, `${what} must be one value, not a ${nameOf(checked.cel.type)}`, { expected: 'a single value' });
  return null;
}
