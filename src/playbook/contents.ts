import type { Declarations } from '../cel/compiler.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { Fact } from '../model/visitor.ts';
import { checkText } from './expressions.ts';
import type { RawContent } from './format.ts';
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
  return [...new Set(texts.flatMap((text) => text!.reads))];
}

type Template = (scope: Scope) => Json;

/** @param declared where it is shown, or anything for a content that no rule shows; the texts were checked against it */
export function compileContent(
  named: Named<RawContent>,
  declared: Declarations,
  minorDigits: number,
  report: Report,
): ContentDefinition {
  const { id, value: raw } = named;
  const data: Tree =
    raw.tree.kind === 'map' ? { ...raw.tree, entries: raw.tree.entries.filter(({ key }) => key !== 'type') } : raw.tree;
  const template = templateOf(data, declared, minorDigits, report);
  return {
    id,
    type: raw.type.value,
    render: (facts) => template(scopeOfFacts(facts) as Scope) as JsonObject,
  };
}

function templateOf(tree: Tree, declared: Declarations, minorDigits: number, report: Report): Template {
  if (textsOf(tree).length === 0) {
    const value = toJson(tree);
    return () => value;
  }
  if (tree.kind === 'list') {
    const items = tree.items.map((item) => templateOf(item, declared, minorDigits, report));
    return (scope) => items.map((item) => item(scope));
  }
  if (tree.kind === 'map') {
    const entries = tree.entries.map(
      ({ key, value }) => [key, templateOf(value, declared, minorDigits, report)] as const,
    );
    return (scope) => Object.fromEntries(entries.map(([key, value]) => [key, value(scope)]));
  }
  const text = checkText(String(tree.value), tree, declared, minorDigits, report);
  return (scope) => text?.render(scope) ?? '';
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
