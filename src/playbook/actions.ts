import type { Declarations } from '../cel/compiler.ts';
import { bool, type CelType, money, nameOf, number, type ObjectType, string, timestamp } from '../cel/types.ts';
import { isSingleFact } from './captures.ts';
import { checkExpression, checkText } from './expressions.ts';
import { factsOfVisitor, productType, type VisitorFacts } from './facts.ts';
import { mailKeys, type RawAction, type RawDestination, writes } from './formatActions.ts';
import { hoursOf } from './hours.ts';
import { playbookLimits } from './limits.ts';
import type { Expression, Text } from './playbook.ts';
import type { Report } from './problem.ts';
import type { ActionDefinition, DestinationDefinition, MailTemplate, WithType } from './sending.ts';
import type { Located, Named } from './shape.ts';
import { lookUp } from './surroundings.ts';
import { entryOf, within } from './tree.ts';

/** Destinations and actions: what can be told of a message is told here, not by one that never left. */

const defaultRetryMs = 12 * 3_600_000;

/** null: it is broken, as the report tells. */
function checkDestination({ id, value: raw }: Named<RawDestination>, report: Report): DestinationDefinition | null {
  const common = {
    id,
    name: raw.name?.value ?? id.replaceAll('_', ' '),
    rate: raw.rate?.value ?? null,
    retryForMs: raw.retryFor?.value ?? defaultRetryMs,
  };
  if (raw.of === 'smtp') return { ...common, kind: 'smtp', from: raw.from.value };
  if (raw.of === 'topic') return { ...common, kind: 'topic' };
  const { url, secret } = raw;
  const problem = problemOfUrl(url.value);
  if (problem === null) return { ...common, kind: 'webhook', url: url.value, secret: secret.value };
  report.error(url.tree, problem, { expected: 'an address such as https://crm.example.com/hooks/usher' });
  return null;
}

function problemOfUrl(text: string): string | null {
  const url = URL.parse(text);
  if (url === null) return `${text} is not an address`;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return `${url.protocol} is not HTTP`;
  return url.username === '' && url.password === '' ? null : 'an address in a playbook holds no user and no password';
}

/** Where messages go, and what they are. */
export interface Sending {
  readonly destinations: ReadonlyMap<string, DestinationDefinition>;
  /** One that is broken is there all the same, so that nobody is told to look for it. */
  readonly actions: ReadonlyMap<string, { readonly checked: ActionDefinition | null }>;
}

export function checkSending(
  actions: ReadonlyMap<string, Named<RawAction>>,
  around: ActionSurroundings,
): Sending & { readonly defined: ReadonlyMap<string, ActionDefinition> } {
  const { destinations: raw, report } = around;
  const destinations = new Map<string, DestinationDefinition>();
  for (const [id, named] of raw) {
    const destination = checkDestination(named, report);
    if (destination !== null) destinations.set(id, destination);
  }
  const checked = new Map([...actions].map(([id, named]) => [id, { checked: checkAction(named, around) }]));
  const defined = new Map(
    [...checked].flatMap(([id, { checked: action }]) => (action === null ? [] : [[id, action] as const])),
  );
  return { destinations, actions: checked, defined };
}

/** @param sent actions that rules send */
export function warnUnsent(
  actions: ReadonlyMap<string, Named<RawAction>>,
  destinations: ReadonlyMap<string, Named<RawDestination>>,
  sent: ReadonlySet<string>,
  report: Report,
): void {
  for (const [id, { span }] of actions) if (!sent.has(id)) report.warning(span, `no rule sends the action ${id}`);
  const used = new Set([...actions.values()].map(({ value }) => value.destination.value));
  for (const [id, { span }] of destinations)
    if (!used.has(id)) report.warning(span, `no action goes to the destination ${id}`);
}

export interface ActionSurroundings {
  readonly destinations: ReadonlyMap<string, Named<RawDestination>>;
  readonly visitor: VisitorFacts;
  readonly minorDigits: number;
  readonly report: Report;
}

export const withTypes: { readonly [type in WithType]: CelType } = {
  text: string,
  number,
  money,
  bool,
  time: timestamp,
};
const withoutEvent = 'a message is written later; a rule hands it what it needs of these in `with`';
const lineType: ObjectType = {
  kind: 'object',
  fields: { ...productType.fields, productId: string, quantity: number, total: money },
};

/** null: it is broken, as the report tells. */
function checkAction(named: Named<RawAction>, around: ActionSurroundings): ActionDefinition | null {
  const { id, value: raw } = named;
  const { report } = around;
  const destination = lookUp(raw.destination, around.destinations, 'destination', report);
  if (destination === null) return null;
  const isMail = destination.value.of === 'smtp';
  const quiet = hoursOf(raw.quiet, undefined, report);
  if (!checkKeys(named, destination, report) || quiet === undefined) return null;
  const takes = new Map(raw.with?.map((each) => [each.id, each.value.value]));
  const texts = new Texts(raw, takes, around);
  const to = isMail ? addressOf(named, texts, around) : null;
  const mail = isMail ? mailOf(raw, texts) : null;
  const reads = [...texts.reads];
  if (texts.failed || (isMail && (to === null || mail === null)) || !checkReads(named, reads, texts.facts, report))
    return null;
  return {
    id,
    name: raw.name?.value ?? id.replaceAll('_', ' '),
    destination: raw.destination.value,
    takes,
    to,
    mail,
    link: raw.link?.value ?? null,
    hasCart: raw.lines !== undefined || raw.cart?.value === true,
    quiet,
    purpose: raw.purpose?.value ?? null,
    reads,
  };
}

/** What its destination needs, and has no use for. */
function checkKeys(
  { id, span, value: raw }: Named<RawAction>,
  { id: destination, value: { of } }: Named<RawDestination>,
  report: Report,
): boolean {
  const useless = of === 'smtp' ? ['cart'] : mailKeys;
  let ok = true;
  for (const key of useless.filter((each) => writes(raw, each))) {
    report.error(entryOf(raw.at, key)!.keySpan, `${key} does not go with ${destination}, which is of kind ${of}`, {
      expected: of === 'smtp' ? 'lines, for the lines of the cart' : 'with, for what the receiver is to know',
    });
    ok = false;
  }
  const needed = of === 'smtp' ? ['subject', 'text'] : [];
  for (const key of needed.filter((each) => !writes(raw, each))) {
    report.error(span, `the action ${id} goes to ${destination}, which sends mails, and has no ${key}`, {
      expected: `${key}: …`,
    });
    ok = false;
  }
  return ok;
}

/** The texts of one action, checked by what they may read. */
class Texts {
  readonly facts: Declarations;
  /** Facts of the visitor that were read so far. */
  readonly reads = new Set<string>();
  failed = false;
  readonly #around: ActionSurroundings;
  readonly #given: Declarations;

  constructor(raw: RawAction, takes: ReadonlyMap<string, WithType>, around: ActionSurroundings) {
    this.#around = around;
    const fields = Object.fromEntries([...takes].map(([name, type]) => [name, withTypes[type]]));
    const { types, unavailable } = factsOfVisitor(around.visitor, withoutEvent);
    this.facts = { types: { ...types, with: { kind: 'object', fields } }, unavailable: unavailable ?? {} };
    const without = (key: string) => `the action has no ${key}`;
    this.#given = {
      types: {
        ...this.facts.types,
        unsubscribe: string,
        ...(raw.link === undefined ? {} : { link: string }),
        ...(raw.lines === undefined ? {} : { lines: string }),
      },
      unavailable: { ...this.facts.unavailable, link: without('link'), lines: without('lines') },
    };
  }

  /** @param html it is HTML: a hole is the content of an element, or of an attribute in quotes */
  check(at: Located<string>, options: { readonly html?: true; readonly line?: true } = {}): Text | null {
    const { minorDigits, report } = this.#around;
    const declared = options.line ? this.#ofLine : this.#given;
    const text = checkText(at.value, at.tree, declared, minorDigits, report);
    if (text === null) this.failed = true;
    else this.#note(text.reads);
    const bare = options.html === true ? /=\s*\$\{/.exec(at.value) : null;
    if (bare !== null) {
      const end = bare.index + bare[0].length;
      report.error(within(at.tree, end - 2, end), 'the value of an attribute stands in quotes', {
        expected: 'href="${link}"',
      });
      this.failed = true;
    }
    return text;
  }

  value(at: Located<string>): Expression | null {
    const value = checkExpression(at, this.facts, this.#around.report);
    if (value !== null && value.cel.type.kind !== 'string') {
      this.#around.report.error(at.tree, `an address is a text, and this is a ${nameOf(value.cel.type)}`, {
        expected: 'a text, such as visitor.email',
      });
      this.failed = true;
    }
    return value;
  }

  get #ofLine(): Declarations {
    const { types, unavailable } = this.#given;
    const { lines: _, ...others } = types;
    return { types: { ...others, line: lineType }, unavailable: { ...unavailable, lines: 'these are its lines' } };
  }

  #note(reads: readonly string[]): void {
    const ownRoots = ['with', 'line', 'link', 'lines', 'unsubscribe', 'now'];
    for (const read of reads) if (!ownRoots.includes(read.split('.', 1)[0]!)) this.reads.add(read);
  }
}

/** `to`, or the address that the profile has. */
function addressOf(
  { span, value: raw }: Named<RawAction>,
  texts: Texts,
  around: ActionSurroundings,
): Expression | null {
  const { to } = raw;
  if (to !== undefined) return texts.value(to);
  // Where it is not written, what is wrong with it is told at the action.
  const source = 'visitor.email';
  if (around.visitor.visitor.fields['email'] === undefined) {
    around.report.error(span, 'to is missing, and no visitor has an e-mail address here', { expected: 'to: …' });
    return null;
  }
  return texts.value({ value: source, tree: { kind: 'scalar', value: source, ...span } });
}

function mailOf({ subject, text, html, lines }: RawAction, texts: Texts): MailTemplate | null {
  if (subject === undefined || text === undefined) return null;
  const checked = {
    subject: texts.check(subject),
    text: texts.check(text),
    html: html === undefined ? null : texts.check(html, { html: true }),
  };
  const lineText = lines === undefined ? null : texts.check(lines.text, { line: true });
  const lineHtml = lines?.html === undefined ? null : texts.check(lines.html, { line: true, html: true });
  if (texts.failed) return null;
  return {
    subject: checked.subject!,
    text: checked.text!,
    html: checked.html,
    lines: lineText === null ? null : { text: lineText, html: lineHtml },
  };
}

/** What its texts read is kept with each order: few, and single values. */
function checkReads(
  { id, span }: Named<RawAction>,
  reads: readonly string[],
  declared: Declarations,
  report: Report,
): boolean {
  const whole = reads.find((name) => !isSingleFact(name, declared));
  if (whole !== undefined) {
    report.error(
      span,
      `the texts of ${id} read ${whole}, a list or a map; only single values are kept with a message`,
      {
        expected: 'texts, numbers, times or true/false',
      },
    );
    return false;
  }
  if (reads.length <= playbookLimits.templateFacts) return true;
  report.error(
    span,
    `the texts of ${id} read more than ${playbookLimits.templateFacts} facts of the visitor: ${reads.join(', ')}`,
    { expected: `at most ${playbookLimits.templateFacts}` },
  );
  return false;
}
