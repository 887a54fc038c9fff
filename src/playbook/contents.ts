import { type Cel, compileCel } from '../cel/cel.ts';
import type { Declarations } from '../cel/compiler.ts';
import { CelError } from '../cel/errors.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Fact } from '../model/visitor.ts';
import { checkText } from './expressions.ts';
import { checkValues, type FittedContent, settleValues } from './fitContent.ts';
import type { RawContent } from './format.ts';
import type { HoleKind } from './holes.ts';
import type { ContentDefinition, Scope } from './playbook.ts';
import type { Report } from './problem.ts';
import type { Named } from './shape.ts';
import { type ScalarTree, type Tree, toJson } from './tree.ts';

/** A text of a content that has holes. */
interface TextAt {
  readonly tree: ScalarTree;
  readonly source: string;
}

/** The texts with holes anywhere in a content's data. */
export function textsOf(tree: Tree): readonly TextAt[] {
  if (tree.kind === 'list') return tree.items.flatMap(textsOf);
  if (tree.kind === 'map') return tree.entries.flatMap(({ value }) => textsOf(value));
  return typeof tree.value === 'string' && tree.value.includes('${') ? [{ tree, source: tree.value }] : [];
}

/**
 * Checks the texts of a content where a rule shows it, and gives the names that they read. null: they do not fit there.
 * @param where begins each message: which rule shows the content, as the mistake is told at the content
 */
export function checkContent(
  raw: RawContent,
  declared: Declarations,
  minorDigits: number,
  report: Report,
  where: string,
): readonly string[] | null {
  const texts = textsOf(raw.tree).map(({ source, tree }) =>
    checkText(source, tree, declared, minorDigits, report, where),
  );
  if (texts.includes(null)) return null;
  const { fitted } = raw;
  const kindOf = (source: string) => kindOfHole(source, declared);
  if (fitted !== null && !checkValues(fitted, dataOf(raw), kindOf, report, where)) return null;
  return [...new Set(texts.flatMap((text) => text!.reads))];
}

/** What a content holds for the page: all but its type. */
export function dataOf({ tree }: RawContent): Tree {
  return tree.kind === 'map' ? { ...tree, entries: tree.entries.filter(({ key }) => key !== 'type') } : tree;
}

function kindOfHole(source: string, declared: Declarations): HoleKind {
  const result = compileCel(source, declared);
  switch (result.ok ? result.cel.type.kind : 'dyn') {
    case 'number':
      return 'number';
    case 'bool':
      return 'bool';
    case 'dyn':
    case 'null':
      return 'any';
    default:
      // A time, too, is told as a text.
      return 'text';
  }
}

/** undefined: a value whose fact is missing. */
type Template = (scope: Scope) => Json | undefined;

/** What a content's texts are made with. */
interface Making {
  readonly declared: Declarations;
  readonly minorDigits: number;
  readonly report: Report;
  readonly fitted: FittedContent | null;
}

/** @param declared where it is shown, or anything for a content that no rule shows; the texts were checked against it */
export function compileContent(
  named: Named<RawContent>,
  declared: Declarations,
  minorDigits: number,
  report: Report,
): ContentDefinition {
  const { id, value: raw } = named;
  const { fitted } = raw;
  const template = templateOf(dataOf(raw), { declared, minorDigits, report, fitted });
  const hasValues = fitted !== null && fitted.values.size > 0;
  return {
    id,
    type: raw.type.value,
    render(facts) {
      const data = template(scopeOfFacts(facts) as Scope) as JsonObject;
      return hasValues ? settleValues(fitted, data) : data;
    },
  };
}

function templateOf(tree: Tree, making: Making): Template {
  if (textsOf(tree).length === 0) {
    const value = toJson(tree);
    return () => value;
  }
  if (tree.kind === 'list') {
    const items = tree.items.map((item) => templateOf(item, making));
    return (scope) => items.map((item) => item(scope)) as Json;
  }
  if (tree.kind === 'map') {
    const entries = tree.entries.map(({ key, value }) => [key, templateOf(value, making)] as const);
    return (scope) => Object.fromEntries(entries.map(([key, value]) => [key, value(scope)])) as Json;
  }
  const { declared, minorDigits, report, fitted } = making;
  const value = fitted?.values.get(tree);
  if (value !== undefined) {
    const result = compileCel(value.source, declared);
    return result.ok ? (scope) => valueIn(result.cel, scope, minorDigits) : () => undefined;
  }
  const text = checkText(String(tree.value), tree, declared, minorDigits, report);
  const longest = fitted?.longest.get(tree) ?? Number.POSITIVE_INFINITY;
  return (scope) => cut(text?.render(scope) ?? '', longest);
}

/** A single value of CEL as JSON; money to the currency's digits. */
function valueIn({ type, evaluate }: Cel, scope: Scope, minorDigits: number): Json | undefined {
  let value: unknown;
  try {
    value = evaluate(scope);
  } catch (error) {
    if (error instanceof CelError) return undefined;
    throw error;
  }
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  return type.kind === 'number' && type.money ? Number(value.toFixed(minorDigits)) : value;
}

/** At most so many characters, as JSON Schema counts them: code points. */
function cut(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const characters = [...text];
  return characters.length <= longest ? text : characters.slice(0, longest).join('');
}

/** Captured facts as a scope again: `[['product.name', 'Tent']]` → `{product: {name: 'Tent'}}`. */
export function scopeOfFacts(facts: readonly Fact[]): object {
  const scope: Record<string, unknown> = Object.create(null);
  for (const [path, value] of facts) {
    const parts = path.split('.');
    const last = parts.pop()!;
    let at = scope;
    for (const part of parts) {
      const below = at[part];
      if (below === null || typeof below !== 'object') at[part] = Object.create(null);
      at = at[part] as Record<string, unknown>;
    }
    at[last] = value;
  }
  return scope;
}
