import type { Declarations } from '../cel/compiler.ts';
import { type CelType, nameOf } from '../cel/types.ts';
import type { Purpose } from '../model/purposes.ts';
import { capturesOf, readsToCapture, withProductIds } from './captures.ts';
import { checkContent } from './contents.ts';
import { checkEmit } from './emits.ts';
import { type CheckedCondition, checkCondition, checkExpression } from './expressions.ts';
import { factsOfWhile } from './facts.ts';
import type { RawEntry, RawSet, RawShow } from './formatRules.ts';
import { hoursOf } from './hours.ts';
import type { Entry, Exclusion, ReadCondition, SetTrait, Show } from './playbook.ts';
import { checkSend } from './sends.ts';
import { type Located, startOf, wrote } from './shape.ts';
import { lookUp, type RuleSurroundings } from './surroundings.ts';

export interface CheckedEntry {
  readonly entry: Entry;
  /** Every dotted name that it reads. */
  readonly reads: readonly string[];
  readonly raw: RawEntry;
}
/** The rule around an entry; `declared` is null when its trigger is broken: then only what can be looked up is checked. */
export interface EntryPlace {
  readonly rule: string;
  readonly conditions: readonly (CheckedCondition | null)[];
  /** Of the whole rule. */
  readonly purpose: Purpose | null;
  readonly declared: Declarations | null;
  /** Events of a sequence that have a name. */
  readonly names: readonly string[];
}

/** What is asked before an entry happens. */
export interface Asked {
  readonly if: CheckedCondition | null;
  readonly purpose: Purpose | null;
}

/** Something that a rule does. null: it is broken, as the report tells. */
export function checkEntry(raw: RawEntry, place: EntryPlace, around: RuleSurroundings): CheckedEntry | null {
  const condition =
    raw.if === undefined || place.declared === null ? null : checkCondition(raw.if, place.declared, around.report);
  const asked: Asked = { if: condition, purpose: raw.purpose?.value ?? place.purpose };
  const checked =
    raw.show !== undefined
      ? checkShow(raw.show, asked, place, around)
      : raw.set !== undefined
        ? checkSet(raw.set, asked, place, around)
        : raw.emit !== undefined
          ? checkEmit(raw.emit, asked, place, around)
          : raw.send !== undefined
            ? checkSend(raw.send, asked, place, around)
            : null;
  if (checked === null || (raw.if !== undefined && condition === null)) return null;
  if (wrote(raw.at, 'purpose') && raw.purpose === undefined) return null;
  return { entry: checked.entry, reads: [...checked.reads, ...(condition?.reads ?? [])], raw };
}

export type Checked<T extends Entry> = { readonly entry: T; readonly reads: readonly string[] };

function checkShow(
  raw: RawShow,
  asked: Asked,
  { rule, conditions, declared, names }: EntryPlace,
  around: RuleSurroundings,
): Checked<Show> | null {
  const { report } = around;
  const { slot, content, while: whileAt, for: forMs, until } = raw;
  const slotNamed = lookUp(slot, around.slots, 'slot', report);
  const contentNamed = lookUp(content, around.contents, 'content', report);
  const only = readConditionOf(raw, around);
  if (declared === null) return null;
  const holds = whileAt === undefined ? null : checkCondition(whileAt, factsOfWhile(declared), report);
  const exclude = exclusionOf(raw, declared, around);
  if (whileAt !== undefined && holds === null) return null;
  if (slotNamed === null || contentNamed === null || exclude === undefined || only === undefined) return null;

  const accepts = slotNamed.value.accepts?.value;
  const type = contentNamed.value.type.value;
  if (accepts !== undefined && accepts !== type) {
    report.error(content.tree, `${content.value} is of type ${type}, the slot ${slot.value} accepts ${accepts}`, {
      expected: `a content of type ${accepts}`,
    });
    return null;
  }
  around.shows(content.value, slot.value, declared);
  const where = `shown by the rule ${rule}: `;
  const read = checkContent(contentNamed.value, declared, around.minorDigits, report, where);
  if (read === null) return null;
  const textReads = withProductIds(read);
  const needed = readsToCapture(textReads, holds, exclude, names);
  const captures = capturesOf(content, needed, [...conditions, asked.if], declared, report);
  if (captures === null) return null;
  const show: Show = {
    do: 'show',
    ...asked,
    slot: slot.value,
    content: content.value,
    pinned: raw.pinned?.value ?? false,
    while: holds,
    forMs: forMs?.value ?? null,
    until: until?.value ?? null,
    exclude,
    only,
    captures,
  };
  return { entry: show, reads: [...textReads, ...(holds?.reads ?? [])] };
}

/** null: none. undefined: a broken one. */
function exclusionOf(raw: RawShow, declared: Declarations, { report }: RuleSurroundings): Exclusion | null | undefined {
  if (raw.exclude === undefined) return null;
  const { bought, shown } = raw.exclude;
  if (bought?.value === true && declared.types['product'] === undefined) {
    report.error(bought.tree, `bought needs a product: ${declared.unavailable?.['product'] ?? 'there is none'}`, {
      expected: 'a rule whose event has a productId',
    });
    return undefined;
  }
  const exclude = { bought: bought?.value === true ? 'product.id' : null, shown: shown?.value ?? null };
  if (exclude.bought !== null || exclude.shown !== null) return exclude;
  // What could not be read has been told.
  if (wrote(raw.exclude.at, 'shown') || (wrote(raw.exclude.at, 'bought') && bought === undefined)) return undefined;
  report.error(startOf(raw.exclude.at), 'exclude says nothing', { expected: 'bought: true, or shown: 3' });
  return undefined;
}

/** null: none. undefined: a broken one. */
function readConditionOf(raw: RawShow, { report }: RuleSurroundings): ReadCondition | null | undefined {
  if (raw.only === undefined) return null;
  const { page, device, hours, days, at } = raw.only;
  const checked = hoursOf(hours, days, report);
  if (checked === undefined) return undefined;
  if (!['page', 'device', 'hours', 'days'].some((key) => wrote(at, key))) {
    report.error(startOf(at), 'only says nothing', { expected: 'page, device, hours or days' });
    return undefined;
  }
  const values = (list: readonly Located<string>[] | undefined) => list?.map(({ value }) => value) ?? null;
  return { pages: values(page), devices: values(device), hours: checked };
}

function checkSet(
  raw: RawSet,
  asked: Asked,
  { declared }: EntryPlace,
  around: RuleSurroundings,
): Checked<SetTrait> | null {
  const { report } = around;
  const settable = new Map([...around.traits].filter(([, { trait }]) => trait.kind === 'set'));
  const known = around.traits.get(raw.trait.value);
  if (known !== undefined && known.trait.kind !== 'set') {
    const { kind } = known.trait;
    report.error(raw.trait.tree, `${raw.trait.value} is made from events (${kind}); a rule cannot set it`, {
      expected: settable.size === 0 ? 'a trait such as { set: text }' : `one of ${[...settable.keys()].join(', ')}`,
    });
    return null;
  }
  const trait = lookUp(raw.trait, settable, 'trait with `set`', report);
  if (declared === null) return null;
  const to = checkExpression(raw.to, declared, report);
  if (trait === null || to === null) return null;
  if (!fits(to.cel.type, trait.type)) {
    report.error(raw.to.tree, `${raw.trait.value} is a ${nameOf(trait.type)}, and this is a ${nameOf(to.cel.type)}`, {
      expected: nameOf(trait.type),
    });
    return null;
  }
  return { entry: { do: 'set', ...asked, trait: raw.trait.value, to }, reads: to.reads };
}

function fits(type: CelType, wanted: CelType): boolean {
  return type.kind === wanted.kind || type.kind === 'dyn';
}
