import { constantOf } from '../cel/constant.ts';
import type { CheckedEntry } from './entries.ts';
import type { Condition, Rule, Segment, Show } from './playbook.ts';
import type { Report, Span } from './problem.ts';
import type { CheckedRule } from './rules.ts';
import { startOf } from './shape.ts';

/**
 * Warnings for what can be played, but is surely not meant: rules that can never fire, and contents that can never win.
 * @param pages kinds of page by slot, of those that are on one kind alone
 */
export function warnOfRules(
  rules: readonly CheckedRule[],
  segments: ReadonlyMap<string, Segment>,
  pages: ReadonlyMap<string, string>,
  report: Report,
): void {
  const empty = emptySegments(segments);
  for (const checked of rules) {
    if (checked.rule.status === 'draft')
      report.warning(checked.named.span, `the rule ${checked.rule.id} is a draft and does not run`);
    warnUnreachable(checked, report);
    warnNeverFires(checked, empty, report);
    warnOtherPage(checked, pages, report);
  }
  warnNeverWins(rules, report);
  warnLonely(rules, report);
}

/** Segments that nobody is ever in: as conditions see them, false. */
type Empty = { readonly [id: string]: false };

/** Each stands after those that it reads. */
function emptySegments(segments: ReadonlyMap<string, Segment>): Empty {
  const empty: Record<string, false> = {};
  for (const { id, condition } of segments.values()) if (neverHolds(condition, empty)) empty[id] = false;
  return empty;
}

/** A condition that no facts can make true. */
function neverHolds(condition: Condition, empty: Empty): boolean {
  return constantOf(condition, { segments: empty }) === false || contradicts(condition);
}

/** `product.category == "a" && product.category == "b"`, `cart.value > 5 && cart.value < 3` */
function contradicts({ demands: { equalities, ranges } }: Condition): boolean {
  if (ranges.some(({ from, to }) => from > to)) return true;
  return equalities.some(({ path, texts }, i) =>
    equalities
      .slice(i + 1)
      .some((other) => other.path.join('.') === path.join('.') && !other.texts.some((text) => texts.includes(text))),
  );
}

function warnNeverFires({ rule, entries, named }: CheckedRule, empty: Empty, report: Report): void {
  const { value: raw, span } = named;
  const { trigger } = rule;
  if (rule.if !== null && neverHolds(rule.if, empty))
    report.warning(raw.if!.tree, `the rule ${rule.id} never runs: its condition can never hold`);
  if (rule.unless !== null && constantOf(rule.unless, { segments: empty }) === true)
    report.warning(raw.unless!.tree, `the rule ${rule.id} never runs: what it says after unless always holds`);
  if (trigger.kind === 'segment') {
    const all = [...trigger.entered, ...trigger.left];
    if (all.every((id) => Object.hasOwn(empty, id)))
      report.warning(span, `the rule ${rule.id} never runs: nobody is ever in ${all.join(', ')}`);
  }
  for (const { entry, raw: entryRaw } of entries) {
    if (entry.if !== null && neverHolds(entry.if, empty))
      report.warning(entryRaw.if!.tree, 'this never happens: its condition can never hold');
    if (entry.do !== 'show') continue;
    if (entry.while !== null && neverHolds(entry.while, empty))
      report.warning(entryRaw.show!.while!.tree, 'this is never shown: its while can never hold');
    if (entry.until !== null && rule.from !== null && entry.until <= rule.from)
      report.warning(entryRaw.show!.until!.tree, 'this is never shown: it ends before the rule begins');
  }
}

/** `only: { page: home }` in a slot of product pages. */
function warnOtherPage({ entries }: CheckedRule, pages: ReadonlyMap<string, string>, report: Report): void {
  for (const { entry, raw } of entries) {
    const page = entry.do === 'show' ? pages.get(entry.slot) : undefined;
    if (entry.do !== 'show' || page === undefined || entry.only?.pages == null || entry.only.pages.includes(page))
      continue;
    report.warning(
      raw.show!.only!.page![0]!.tree,
      `this is never shown: the slot ${entry.slot} is on ${page} pages alone`,
    );
  }
}

/** A group of one rule limits nothing together: most likely the name of another group was meant. */
function warnLonely(rules: readonly CheckedRule[], report: Report): void {
  const sizes = new Map<string, number>();
  for (const { rule } of rules) {
    const group = rule.limit?.group;
    if (group != null) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  }
  for (const { rule, named } of rules) {
    const group = rule.limit?.group;
    if (group != null && sizes.get(group) === 1)
      report.warning(named.value.limit!.group!.tree, `no other rule is in the group ${group}`);
  }
}

/** After an entry of `choose` without a condition nothing else is ever chosen. */
function warnUnreachable({ rule, entries }: CheckedRule, report: Report): void {
  if (rule.mode !== 'choose') return;
  const always = entries.findIndex(({ entry }) => entry.if === null);
  const after = entries[always + 1];
  if (always >= 0 && after !== undefined)
    report.warning(startOf(after.raw.at), 'this is never chosen: the one before it has no condition and always fits');
}

interface Shown {
  readonly rule: Rule;
  readonly show: Show;
}

/**
 * A content that another rule always stands before: whenever its own rule runs, the other one has shown, in the same slot, a
 * content that nothing ends.
 */
function warnNeverWins(rules: readonly CheckedRule[], report: Report): void {
  const live = rules.filter(({ rule }) => rule.status === 'live');
  const always = new Map<string, Shown>();
  for (const { rule } of live) {
    if (!alwaysRuns(rule)) continue;
    for (const [place, show] of rule.entries.entries()) {
      if (show.do !== 'show' || !alwaysShows(show) || (rule.mode === 'choose' && place > 0)) continue;
      for (const type of rule.when) {
        const key = `${show.slot} ${type}`;
        const before = always.get(key);
        if (before === undefined || standsBefore({ rule, show }, before)) always.set(key, { rule, show });
      }
    }
  }
  for (const { rule, entries, runsWith } of live) {
    for (const { entry, raw } of entries) {
      if (entry.do !== 'show' || runsWith === null) continue;
      const winners = runsWith.map((type) => always.get(`${entry.slot} ${type}`));
      if (
        !winners.every(
          (winner) => winner !== undefined && winner.rule !== rule && standsBefore(winner, { rule, show: entry }),
        )
      )
        continue;
      const [winner] = winners as Shown[];
      report.warning(
        spanOfShow(raw),
        `this can never win: the rule ${winner!.rule.id} always shows ${winner!.show.content} in ${entry.slot} then, and stands before it`,
      );
    }
  }
}

function spanOfShow(raw: CheckedEntry['raw']): Span {
  return raw.show!.content.tree;
}

/** Whether it runs with every event of its types. */
function alwaysRuns(rule: Rule): boolean {
  return (
    rule.trigger.kind === 'event' &&
    [rule.if, rule.unless, rule.from, rule.to, rule.hours, rule.limit].every((each) => each === null) &&
    rule.cooldownMs === 0
  );
}

/** Whether nothing keeps it from being shown, or ends it. */
function alwaysShows(show: Show): boolean {
  return [show.if, show.while, show.forMs, show.until, show.exclude, show.only].every((each) => each === null);
}

/** Pinned, then priority, then the smaller id (semantics 5.1). */
function standsBefore(a: Shown, b: Shown): boolean {
  if (a.show.pinned !== b.show.pinned) return a.show.pinned;
  if (a.rule.priority !== b.rule.priority) return a.rule.priority > b.rule.priority;
  return a.rule.id < b.rule.id;
}
