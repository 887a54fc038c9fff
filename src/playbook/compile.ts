import { createHash } from 'node:crypto';
import type { Declarations } from '../cel/compiler.ts';
import { UsherError } from '../errors.ts';
import { nearest } from '../model/nearest.ts';
import { zoneOffset } from '../model/zones.ts';
import { checkSending, warnUnsent } from './actions.ts';
import { ConditionIndex } from './conditionIndex.ts';
import { checkContent, compileContent, dataOf, textsOf } from './contents.ts';
import { type CheckedContentType, checkContentTypes } from './contentTypes.ts';
import { warnOfRules } from './doubts.ts';
import { type CheckedEvent, checkEvent, finishEvent } from './events.ts';
import { checkText } from './expressions.ts';
import { factsOfAnything, factsOfEvent, visitorFacts } from './facts.ts';
import { fitContent } from './fitContent.ts';
import { mainFileKeys, type RawContent, type RawEvent, type RawFile, type RawSlot, readSections } from './format.ts';
import { newAjv } from './jsonSchema.ts';
import type {
  Catalog,
  ContentDefinition,
  ContentType,
  Entry,
  EventType,
  Playbook,
  Product,
  Rule,
  Segment,
  SlotDefinition,
  Trait,
} from './playbook.ts';
import { type Problem, Report, type Span } from './problem.ts';
import { type CheckedRule, checkRule } from './rules.ts';
import { checkSegments } from './segments.ts';
import type { Named } from './shape.ts';
import type { RuleSurroundings } from './surroundings.ts';
import { checkSize, checkSizes } from './traitBudget.ts';
import { type CheckedTrait, checkTrait, type EventPlaces } from './traits.ts';
import { readYaml, type ScalarTree } from './tree.ts';

/** The file that every bundle begins with; no folder can hold one of that name. */
export const builtInPath = '<usher>/builtin.yaml';
export const mainPath = 'playbook.yaml';

/** Content hash of a bundle: 16 hex digits of SHA-256. */
export function bundleHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/**
 * Checks and compiles the texts of a playbook. Pure: the same text gives the same playbook on every machine.
 * `playbook` is null when a problem is an error; warnings alone let it through.
 */
export function compilePlaybook(playbookText: string): { playbook: Playbook | null; problems: Problem[] } {
  const report = new Report();
  const { files } = JSON.parse(playbookText) as { files: Record<string, string> };
  const playbook = new PlaybookCompiler(report, files).compile(bundleHash(playbookText));
  return { playbook: report.failed ? null : playbook, problems: [...report.problems()] };
}

/** @throws UsherError BUNDLE_MISSING when the text is not a catalog's */
export function compileCatalog(catalogText: string): Catalog {
  const products = productsIn(catalogText);
  return {
    version: bundleHash(catalogText),
    products: new Map(products.map((product: Product) => [product.id, product])),
  };
}

/** @throws UsherError BUNDLE_MISSING when the text is not a catalog's */
export function productsIn(catalogText: string): readonly Product[] {
  const { products } = JSON.parse(catalogText) as { products?: readonly Product[] };
  if (!Array.isArray(products))
    throw new UsherError('BUNDLE_MISSING', 'expected the text of a catalog, {"products": […]}');
  return products;
}

class PlaybookCompiler {
  readonly #report: Report;
  readonly #files: readonly { readonly path: string; readonly builtIn: boolean; readonly sections: RawFile }[];

  constructor(report: Report, files: Readonly<Record<string, string>>) {
    this.#report = report;
    this.#files = Object.keys(files)
      .sort((a, b) => Number(b === builtInPath) - Number(a === builtInPath) || (a < b ? -1 : 1))
      .flatMap((path) => {
        const tree = readYaml(path, files[path]!, report);
        const builtIn = path === builtInPath;
        return tree === null ? [] : [{ path, builtIn, sections: readSections(tree, builtIn, report) }];
      });
  }

  compile(version: string): Playbook {
    const main = this.#readMain();
    const events = this.#checkEvents();
    const places: EventPlaces = {
      facts: new Map([...events].map(([type, { checked }]) => [type, checked.facts])),
      spanOf: (type) => events.get(type)?.span,
    };
    const traits = this.#checkTraits(places, main.minorDigits);
    const rawSegments = this.#section('segments');
    const visitor = visitorFacts(traits, [...rawSegments.keys()]);
    const allTraits = traits.map(({ trait }) => trait);
    const segments = checkSegments(rawSegments, allTraits, visitor, this.#report);
    const eventTypes = this.#finishEvents(events, main.minorDigits);
    const slots = this.#section('slots');
    const types = checkContentTypes(this.#section('types').values(), this.#report);
    const contents = this.#fitContents(types);
    const shown = new Map<string, Declarations>();
    const filled = new Set<string>();
    const destinations = this.#section('destinations');
    const actions = this.#section('actions');
    const { minorDigits } = main;
    const sending = checkSending(actions, { destinations, visitor, minorDigits, report: this.#report });
    const sent = new Set<string>();
    const checkedRules = this.#checkRules({
      events: places,
      eventTypes,
      slots,
      contents,
      actions: sending.actions,
      segments: rawSegments,
      traits: new Map(traits.map((checked) => [checked.trait.name, checked])),
      visitor,
      minorDigits: main.minorDigits,
      report: this.#report,
      shows: (content, slot, declared) => {
        if (!shown.has(content)) shown.set(content, declared);
        filled.add(slot);
      },
      sends: (action) => sent.add(action),
    });
    warnUnsent(actions, destinations, sent, this.#report);
    warnOfRules(checkedRules, segments, pagesOf(slots), this.#report);
    const fallbacks = this.#checkSlots(slots, contents, filled);
    const anything = factsOfAnything(
      visitor,
      checkedRules.flatMap(({ names }) => names),
    );
    const definitions = this.#compileContents(contents, shown, fallbacks, anything, main.minorDigits);
    const rules = new Map(checkedRules.map(({ rule }) => [rule.id, rule]));
    const parts = assemble(version, main, eventTypes, allTraits, segments, types, definitions, slots, rules);
    return { ...parts, destinations: sending.destinations, actions: sending.defined };
  }

  /** Every declaration of a section by id; a second one of the same id is an error that names both places. */
  #section<
    K extends 'events' | 'traits' | 'segments' | 'types' | 'content' | 'slots' | 'destinations' | 'actions' | 'rules',
  >(name: K): Map<string, NonNullable<RawFile[K]>[number]> {
    const found = new Map<string, NonNullable<RawFile[K]>[number]>();
    const own = new Set<string>();
    for (const { builtIn, sections } of this.#files) {
      for (const named of (sections[name] ?? []) as readonly NonNullable<RawFile[K]>[number][]) {
        const before = found.get(named.id);
        // The standard events may be declared again: a shop's own properties belong there.
        if (before !== undefined && !(name === 'events' && !own.has(named.id))) {
          const { line } = before.span.file.position(before.span.start);
          this.#report.error(
            named.span,
            `${named.id} is declared twice in ${name}; the other place is ${before.span.file.path}:${line}`,
            { expected: 'each id once' },
          );
          continue;
        }
        if (!builtIn) own.add(named.id);
        found.set(named.id, named);
      }
    }
    return found;
  }

  #readMain(): Main {
    const main = this.#files.find(({ path }) => path === mainPath)?.sections;
    const report = this.#report;
    for (const { path, sections } of this.#files) {
      if (path === mainPath || sections.at.kind !== 'map') continue;
      for (const { key, keySpan } of sections.at.entries) {
        if ((mainFileKeys as readonly string[]).includes(key)) report.error(keySpan, `${key} belongs into ${mainPath}`);
      }
    }
    if (
      main !== undefined &&
      main.format === undefined &&
      main.at.kind === 'map' &&
      !main.at.entries.some(({ key }) => key === 'format')
    ) {
      report.error({ ...main.at, end: main.at.start + 1 }, 'format is missing', { expected: 'format: 1' });
    }
    const timezone = main?.timezone?.value ?? 'UTC';
    if (main?.timezone !== undefined && zoneOffset(timezone) === null) {
      report.error(main.timezone.tree, `${timezone} is not a time zone`, { expected: 'a name such as Europe/Berlin' });
    }
    const asked = main?.currency;
    const known = asked === undefined || Intl.supportedValuesOf('currency').includes(asked.value);
    if (!known)
      report.error(asked.tree, `${asked.value} is not a currency`, { expected: 'an ISO 4217 code such as USD or EUR' });
    const currency = known ? (asked?.value ?? 'USD') : 'USD';
    return {
      currency,
      minorDigits: minorDigitsOf(currency),
      timezone,
      sessionIdleMs: main?.session?.idle?.value ?? defaultIdleMs,
    };
  }

  #checkEvents(): Map<string, { checked: CheckedEvent; raw: RawEvent; span: Span }> {
    const events = new Map<string, { checked: CheckedEvent; raw: RawEvent; span: Span }>();
    const ajv = newAjv();
    for (const [type, { span, value }] of this.#section('events')) {
      const checked = checkEvent(type, value, span, ajv, this.#report);
      if (checked !== null) events.set(type, { checked, raw: value, span });
    }
    return events;
  }

  #checkTraits(places: EventPlaces, minorDigits: number): CheckedTrait[] {
    const builtIn = new Set(
      this.#files
        .filter((file) => file.builtIn)
        .flatMap((file) => (file.sections.traits ?? []).map(({ span }) => span.file)),
    );
    const all = [...this.#section('traits').values()].flatMap((named) => {
      const checked = checkTrait(named, builtIn.has(named.span.file), minorDigits, places, this.#report);
      return checked === null ? [] : [checked];
    });
    const own = all.filter(({ span }) => !builtIn.has(span.file));
    const tooLarge = own.filter((checked) => !checkSize(checked, this.#report));
    if (tooLarge.length === 0) checkSizes(all, own, this.#report);
    return all;
  }

  #finishEvents(
    events: ReadonlyMap<string, { checked: CheckedEvent; raw: RawEvent; span: Span }>,
    minorDigits: number,
  ): Map<string, EventType> {
    const finished = new Map<string, EventType>();
    for (const [type, { checked, raw, span }] of events) {
      const declared = factsOfEvent([checked.facts], null);
      const tree: ScalarTree = raw.says?.tree ?? { kind: 'scalar', value: '', ...span };
      const says = checkText(raw.says?.value ?? `did "${checked.name}"`, tree, declared, minorDigits, this.#report);
      if (says !== null) finished.set(type, finishEvent(checked, says));
    }
    return finished;
  }

  #checkRules(around: RuleSurroundings): CheckedRule[] {
    return [...this.#section('rules').values()].flatMap((named) => {
      const checked = checkRule(named, around);
      return checked === null ? [] : [checked];
    });
  }

  /** The contents, each with how it meets the type that is declared for it. */
  #fitContents(types: ReadonlyMap<string, CheckedContentType>): Map<string, Named<RawContent>> {
    const contents = this.#section('content');
    for (const [id, { span, value, ...named }] of contents) {
      const type = types.get(value.type.value);
      if (type === undefined) continue;
      const fitted = fitContent(dataOf(value), span, type, this.#report);
      contents.set(id, { ...named, span, value: { ...value, fitted } });
    }
    return contents;
  }

  /** Fallbacks are shown without an event, to anyone: there is nothing that their texts could name. */
  #checkSlots(
    slots: ReadonlyMap<string, Named<RawSlot>>,
    contents: ReadonlyMap<string, Named<RawContent>>,
    filled: ReadonlySet<string>,
  ): Set<string> {
    const report = this.#report;
    const fallbacks = new Set<string>();
    for (const [id, { span, value }] of slots) {
      const { fallback, accepts } = value;
      const content = contents.get(fallback.value)?.value;
      fallbacks.add(fallback.value);
      if (content === undefined) {
        report.error(
          fallback.tree,
          `${fallback.value} is not a content of this playbook`,
          suggest(fallback.value, [...contents.keys()]),
        );
        continue;
      }
      if (accepts !== undefined && content.type.value !== accepts.value) {
        report.error(
          fallback.tree,
          `${fallback.value} is of type ${content.type.value}, the slot accepts ${accepts.value}`,
          { expected: `a content of type ${accepts.value}` },
        );
      }
      for (const { tree, source } of textsOf(content.tree)) {
        report.error(
          tree,
          `${fallback.value} is the fallback of ${id}; nothing is known when it shows, so its texts cannot have holes: ${source.slice(0, 60)}`,
          {
            expected: 'a text without ${…}, or another fallback',
          },
        );
      }
      if (!filled.has(id))
        report.warning(span, `no rule shows anything in the slot ${id}; it always shows ${fallback.value}`);
    }
    return fallbacks;
  }

  #compileContents(
    contents: ReadonlyMap<string, Named<RawContent>>,
    shown: ReadonlyMap<string, Declarations>,
    fallbacks: ReadonlySet<string>,
    anything: Declarations,
    minorDigits: number,
  ): Map<string, ContentDefinition> {
    const definitions = new Map<string, ContentDefinition>();
    for (const [id, named] of contents) {
      const declared = shown.get(id) ?? anything;
      if (!shown.has(id)) {
        checkContent(named.value, declared, minorDigits, this.#report, '');
        if (!fallbacks.has(id)) this.#report.warning(named.span, `nothing shows the content ${id}`);
      }
      // What is wrong with its texts has been told where a rule shows it.
      definitions.set(id, compileContent(named, declared, minorDigits, new Report()));
    }
    return definitions;
  }
}

function suggest(name: string, known: readonly string[]): { expected: string; nearest?: string } {
  const near = nearest(name, known);
  const expected = 'a content of this playbook';
  return near === null ? { expected } : { expected, nearest: near };
}

const defaultIdleMs = 30 * 60_000;

interface Main {
  readonly currency: string;
  readonly minorDigits: number;
  readonly timezone: string;
  readonly sessionIdleMs: number;
}

export function minorDigitsOf(currency: string): number {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2;
}

function assemble(
  version: string,
  main: Main,
  events: ReadonlyMap<string, EventType>,
  traits: readonly Trait[],
  segments: ReadonlyMap<string, Segment>,
  types: ReadonlyMap<string, ContentType>,
  contents: ReadonlyMap<string, ContentDefinition>,
  slots: ReadonlyMap<string, Named<RawSlot>>,
  rules: ReadonlyMap<string, Rule>,
): Omit<Playbook, 'destinations' | 'actions'> {
  const shared = withSharedParts(rules);
  const live = [...shared.values()].filter(({ status }) => status === 'live').sort((a, b) => (a.id < b.id ? -1 : 1));
  const rulesByEvent = new Map<string, ConditionIndex<Rule>>();
  const traitsByEvent = new Map<string, ConditionIndex<Trait>>();
  for (const type of events.keys()) {
    const rulesOfType = live.filter(({ when }) => when.includes(type));
    rulesByEvent.set(type, new ConditionIndex(rulesOfType, (rule) => (runsAtOnce(rule) ? rule.if : null)));
    const traitsOfType = traits.filter(({ events }) => events === null || events.includes(type));
    traitsByEvent.set(type, new ConditionIndex(traitsOfType, (trait) => trait.if));
  }
  const definitions = new Map<string, SlotDefinition>();
  for (const [name, { value }] of slots) {
    definitions.set(name, {
      name,
      page: value.page?.value ?? null,
      accepts: value.accepts?.value ?? null,
      fallback: value.fallback.value,
    });
  }
  return {
    version,
    ...main,
    events,
    traits: new Map(traits.map((trait) => [trait.name, trait])),
    types,
    contents,
    slots: definitions,
    rules: shared,
    segments,
    segmentRules: live.filter(({ trigger }) => trigger.kind === 'segment'),
    rulesFor: (type) => rulesByEvent.get(type)?.all ?? [],
    traitsFor: (type) => traitsByEvent.get(type)?.all ?? [],
    candidateRules: (type, event) => rulesByEvent.get(type)?.candidates(event) ?? [],
    candidateTraits: (type, event) => traitsByEvent.get(type)?.candidates(event) ?? [],
  };
}

function pagesOf(slots: ReadonlyMap<string, Named<RawSlot>>): Map<string, string> {
  return new Map(
    [...slots].flatMap(([name, { value }]) => (value.page === undefined ? [] : [[name, value.page.value] as const])),
  );
}

/** A sequence or an absence must see each of its events, whatever its `if` says of the one that it runs with. */
function runsAtOnce({ trigger }: Rule): boolean {
  return trigger.kind === 'event' || trigger.kind === 'spent';
}

/** What many rules have alike is one object, so that an event's facts are gathered once for all, and ten thousand rules take less memory. */
function withSharedParts(rules: ReadonlyMap<string, Rule>): Map<string, Rule> {
  const lists = new Map<string, readonly string[]>();
  const shared = (list: readonly string[]) => {
    const name = list.join(' ');
    if (!lists.has(name)) lists.set(name, list);
    return lists.get(name)!;
  };
  const entryOf = (entry: Entry): Entry =>
    entry.do === 'show' ? { ...entry, captures: shared(entry.captures) } : entry;
  return new Map(
    [...rules].map(([id, rule]) => {
      const trigger = rule.trigger.kind === 'event' ? onEvent : rule.trigger;
      return [id, { ...rule, trigger, when: shared(rule.when), entries: rule.entries.map(entryOf) }];
    }),
  );
}
const onEvent = { kind: 'event' } as const;
