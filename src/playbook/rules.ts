import type { Declarations } from '../cel/compiler.ts';
import type { CelType } from '../cel/types.ts';
import { isSingle } from '../cel/types.ts';
import { nearest } from '../model/nearest.ts';
import { checkContent } from './contents.ts';
import { type CheckedCondition, checkCondition } from './expressions.ts';
import { type EventFacts, factsOfEvent, factsOfWhile, type VisitorFacts } from './facts.ts';
import { playbookLimits, type RawContent, type RawRule, type RawShow, type RawSlot } from './format.ts';
import type { Rule, Show } from './playbook.ts';
import type { Report } from './problem.ts';
import { sentenceOf } from './sentence.ts';
import { type Located, type Named, wrote } from './shape.ts';
import { type EventPlaces, unknownEvent } from './traits.ts';

/** What rules refer to. */
export interface RuleSurroundings {
  readonly events: EventPlaces;
  readonly eventNames: ReadonlyMap<string, string>;
  readonly slots: ReadonlyMap<string, Named<RawSlot>>;
  readonly contents: ReadonlyMap<string, Named<RawContent>>;
  readonly visitor: VisitorFacts;
  readonly minorDigits: number;
  readonly report: Report;
  /** Told of each content that a rule shows, with what its texts may name there. */
  shows(content: string, slot: string, declared: Declarations): void;
}

export function checkRule(named: Named<RawRule>, around: RuleSurroundings): Rule | null {
  const { id, value: raw } = named;
  const { report } = around;
  const events: EventFacts[] = [];
  for (const { value, tree } of raw.when) {
    const event = around.events.facts.get(value);
    if (event === undefined) unknownEvent(value, tree, around.events, report);
    else if (events.includes(event)) report.error(tree, `${value} stands twice`);
    else events.push(event);
  }
  const words = (['then', 'choose'] as const).filter((word) => wrote(raw.at, word));
  if (words.length !== 1) {
    const message = words.length === 0 ? `the rule ${id} does nothing` : `the rule ${id} has then and choose`;
    report.error(named.span, message, { expected: 'then (all of a list) or choose (the first that fits)' });
  }
  // Without all of its events it is not known what the conditions may name; what is named besides can be looked up all the same.
  const declared = events.length < raw.when.length ? null : factsOfEvent(events, around.visitor);
  const condition = declared === null || raw.if === undefined ? null : checkCondition(raw.if, declared, report);
  const entries = raw.choose ?? raw.then ?? [];
  const shows = entries.map((entry) => checkShow(id, entry, condition, declared, around));
  if (declared === null || words.length !== 1 || (wrote(raw.at, 'if') && condition === null) || shows.includes(null))
    return null;
  warnUnreachable(raw, shows as CheckedShow[], report);

  const status = raw.status?.value ?? 'live';
  const rule: Omit<Rule, 'sentence'> = {
    id,
    name: raw.name?.value ?? id.replaceAll('_', ' '),
    when: events.map(({ type }) => type),
    if: condition,
    mode: raw.choose === undefined ? 'then' : 'choose',
    entries: shows.map((show) => show!.show),
    priority: raw.priority?.value ?? 0,
    status,
  };
  const sentence = sentenceOf(rule, condition, shows as CheckedShow[], around.eventNames);
  return { ...rule, sentence };
}

export interface CheckedShow {
  readonly show: Show;
  readonly if: CheckedCondition | null;
  readonly while: CheckedCondition | null;
}

/** After an entry of `choose` without a condition nothing else is ever chosen. */
function warnUnreachable(raw: RawRule, shows: readonly CheckedShow[], report: Report): void {
  if (raw.choose === undefined) return;
  const always = shows.findIndex((show) => show.if === null);
  const after = raw.choose[always + 1];
  if (always >= 0 && after !== undefined) {
    report.warning(
      { ...after.at, end: after.at.start + 1 },
      'this is never chosen: the one before it has no condition and always fits',
    );
  }
}

function checkShow(
  rule: string,
  raw: RawShow,
  ruleIf: CheckedCondition | null,
  declared: Declarations | null,
  around: RuleSurroundings,
): CheckedShow | null {
  const { report } = around;
  const { slot, content, while: whileAt, for: forMs, until } = raw.show;
  const slotNamed = lookUp(slot, around.slots, 'slot', report);
  const contentNamed = lookUp(content, around.contents, 'content', report);
  if (declared === null) return null;
  const condition = raw.if === undefined ? null : checkCondition(raw.if, declared, report);
  const holds = whileAt === undefined ? null : checkCondition(whileAt, factsOfWhile(declared), report);
  if ((raw.if !== undefined && condition === null) || (whileAt !== undefined && holds === null)) return null;
  if (slotNamed === null || contentNamed === null) return null;

  const accepts = slotNamed.value.accepts?.value;
  const type = contentNamed.value.type.value;
  if (accepts !== undefined && accepts !== type) {
    report.error(content.tree, `${content.value} is of type ${type}, the slot ${slot.value} accepts ${accepts}`, {
      expected: `a content of type ${accepts}`,
    });
    return null;
  }
  around.shows(content.value, slot.value, declared);
  const textReads = checkContent(
    contentNamed.value,
    declared,
    around.minorDigits,
    report,
    `shown by the rule ${rule}: `,
  );
  if (textReads === null) return null;
  const unbounded = [...textReads, ...capturedBy(holds)].find((name) => !isSingleFact(name, declared));
  if (unbounded !== undefined) {
    report.error(
      content.tree,
      `${content.value} or its while reads ${unbounded}, a list or a map; only single values are captured`,
      {
        expected: 'texts, numbers, times or true/false',
      },
    );
    return null;
  }
  const captures = capturesOf(textReads, holds, [ruleIf, condition], declared);
  if (captures === null) {
    const message = `${content.value} and its while read more than ${playbookLimits.captures} facts: ${[...textReads, ...capturedBy(holds)].join(', ')}`;
    report.error(content.tree, message, { expected: `at most ${playbookLimits.captures}` });
    return null;
  }
  const show: Show = {
    if: condition,
    slot: slot.value,
    content: content.value,
    while: holds,
    forMs: forMs?.value ?? null,
    until: until?.value ?? null,
    captures,
  };
  return { show, if: condition, while: holds };
}

/** What `while` reads of the event and the product, which a later event no longer has. */
function capturedBy(holds: CheckedCondition | null): readonly string[] {
  return holds?.reads.filter((name) => name.startsWith('event.') || name.startsWith('product.')) ?? [];
}

/** At most 8 names: what texts and `while` need, then, to explain, what the conditions read. null: they need more. */
function capturesOf(
  texts: readonly string[],
  holds: CheckedCondition | null,
  conditions: readonly (CheckedCondition | null)[],
  declared: Declarations,
): readonly string[] | null {
  const needed = [...new Set([...texts, ...capturedBy(holds)])];
  if (needed.length > playbookLimits.captures) return null;
  const read = conditions
    .flatMap((condition) => condition?.reads ?? [])
    .filter((name) => name !== 'now' && isSingleFact(name, declared));
  return [...new Set([...needed, ...read])].slice(0, playbookLimits.captures);
}

/** Lists and maps have no bound that a slot's state could carry. */
function isSingleFact(name: string, declared: Declarations): boolean {
  const [root, ...fields] = name.split('.');
  let type: CelType | undefined = declared.types[root!];
  for (const field of fields)
    type = type?.kind === 'object' ? type.fields[field] : type?.kind === 'map' ? type.of : undefined;
  return type !== undefined && isSingle(type);
}

function lookUp<T>(at: Located<string>, known: ReadonlyMap<string, T>, what: string, report: Report): T | null {
  const found = known.get(at.value);
  if (found !== undefined) return found;
  const near = nearest(at.value, known.keys());
  const expected =
    known.size === 0
      ? `a ${what}; the playbook has none`
      : known.size <= 24
        ? `one of ${[...known.keys()].join(', ')}`
        : `a ${what} of the playbook`;
  report.error(
    at.tree,
    `${at.value} is not a ${what} of this playbook`,
    near === null ? { expected } : { expected, nearest: near },
  );
  return null;
}
