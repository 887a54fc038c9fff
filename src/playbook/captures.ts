import type { Declarations } from '../cel/compiler.ts';
import { type CelType, isSingle } from '../cel/types.ts';
import type { CheckedCondition } from './expressions.ts';
import { rootNames } from './facts.ts';
import { playbookLimits } from './limits.ts';
import type { Exclusion, SequenceTrigger, Trigger } from './playbook.ts';
import type { Report } from './problem.ts';
import type { Located } from './shape.ts';
import type { CheckedTrigger } from './triggers.ts';

/** What is kept of an event for later: of the one that a rule runs with, and of those of a sequence that have a name. */

/** Whether a name stands for a fact of an event, which a later step no longer has. */
function isOfEvent(name: string, names: readonly string[]): boolean {
  const root = name.slice(0, name.indexOf('.'));
  return root === 'event' || root === 'product' || names.includes(root);
}

/** Lists and maps have no bound that a slot's state could carry. */
export function isSingleFact(name: string, declared: Declarations): boolean {
  const [root, ...fields] = name.split('.');
  let type: CelType | undefined = declared.types[root!];
  for (const field of fields)
    type = type?.kind === 'object' ? type.fields[field] : type?.kind === 'map' ? type.of : undefined;
  return type !== undefined && isSingle(type);
}

/**
 * The trigger with what is kept of each named event of its sequence: all that anything in the rule reads of it.
 * @param reads every dotted name that the rule reads
 */
export function withCaptures(
  { trigger, declared, names }: CheckedTrigger,
  reads: readonly string[],
  report: Report,
): Trigger | null {
  if (trigger.kind !== 'sequence' || names.length === 0) return trigger;
  const kept = new Map<string, readonly string[]>();
  for (const { value: name, tree } of names) {
    const read = [...new Set(reads.filter((each) => each === name || each.startsWith(`${name}.`)))];
    const whole = read.find((each) => !isSingleFact(each, declared));
    if (whole !== undefined) {
      report.error(tree, `${whole} is a list or a map; only single values are kept of an event of a sequence`, {
        expected: `a field, such as ${name}.product.id`,
      });
      return null;
    }
    const paths = read.map((each) => each.slice(name.length + 1)).filter((path) => path !== 'at');
    if (paths.length > playbookLimits.captures) {
      report.error(tree, `more than ${playbookLimits.captures} facts of ${name} are read: ${read.join(', ')}`, {
        expected: `at most ${playbookLimits.captures}`,
      });
      return null;
    }
    kept.set(name, paths);
  }
  const elements = trigger.elements.map((element) =>
    element.as === null ? element : { ...element, captures: kept.get(element.as) ?? [] },
  );
  return { ...trigger, elements } satisfies SequenceTrigger;
}

/** What a page shows of a product as it is now, not as it was when it was decided (semantics 6.2). */
const liveFields: readonly string[] = ['price', 'stock', 'availability', 'image'];

/** Of `product.price` `product`, of `seen.product.stock` `seen.product`; null: the name is of no such fact. */
export function liveProductOf(name: string): string | null {
  const parts = name.split('.');
  const field = parts.pop()!;
  if (!liveFields.includes(field) || parts.at(-1) !== 'product' || parts.length > 2) return null;
  return parts.length === 2 && rootNames.includes(parts[0]!) ? null : parts.join('.');
}

/** What texts read, and the ids of the products whose newest price, stock or image they show. */
export function withProductIds(texts: readonly string[]): readonly string[] {
  const ids = texts.flatMap((name) => {
    const product = liveProductOf(name);
    return product === null ? [] : [`${product}.id`];
  });
  return [...new Set([...texts, ...ids])];
}

/** Facts that a shown content needs later: what its texts read, what `while` and `exclude` need of the events. */
export function readsToCapture(
  texts: readonly string[],
  holds: CheckedCondition | null,
  exclude: Exclusion | null,
  names: readonly string[],
): readonly string[] {
  const ofWhile = holds?.reads.filter((name) => isOfEvent(name, names)) ?? [];
  const ofExclude = exclude === null || exclude.bought === null ? [] : [exclude.bought];
  return [...new Set([...texts, ...ofWhile, ...ofExclude])];
}

/** At most 8 names: what is needed, then, to explain, what the conditions read. null: more are needed, or one that is no single value. */
export function capturesOf(
  content: Located<string>,
  needed: readonly string[],
  conditions: readonly (CheckedCondition | null)[],
  declared: Declarations,
  report: Report,
): readonly string[] | null {
  const unbounded = needed.find((name) => !isSingleFact(name, declared));
  if (unbounded !== undefined) {
    report.error(
      content.tree,
      `${content.value} or its while reads ${unbounded}, a list or a map; only single values are captured`,
      { expected: 'texts, numbers, times or true/false' },
    );
    return null;
  }
  if (needed.length > playbookLimits.captures) {
    const message = `${content.value} and its while read more than ${playbookLimits.captures} facts: ${needed.join(', ')}`;
    report.error(content.tree, message, { expected: `at most ${playbookLimits.captures}` });
    return null;
  }
  return [...new Set([...needed, ...factsToExplain(conditions, declared)])].slice(0, playbookLimits.captures);
}

/** The single values that conditions read, at most 8, as far as they can be told later. */
export function factsToExplain(
  conditions: readonly (CheckedCondition | null)[],
  declared: Declarations,
): readonly string[] {
  const read = conditions
    .flatMap((condition) => condition?.reads ?? [])
    .filter((name) => name !== 'now' && isSingleFact(name, declared));
  return [...new Set(read)].slice(0, playbookLimits.captures);
}
