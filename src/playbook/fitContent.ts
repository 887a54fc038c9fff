import type { ErrorObject } from 'ajv/dist/2020.js';
import { splitText } from '../cel/text.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { nearest } from '../model/nearest.ts';
import type { CheckedContentType } from './contentTypes.ts';
import type { HoledData, HoleKind, HoleMisfit } from './holes.ts';
import type { Details, Report, Span } from './problem.ts';
import { shown, startOf } from './shape.ts';
import { entryOf, type ScalarTree, type Tree } from './tree.ts';

/** How a content's data meet the type that the playbook declares. */
export interface FittedContent {
  readonly type: CheckedContentType;
  /** Texts that are one hole and stand where no text may: their CEL, which is the value itself. With their places in the data. */
  readonly values: ReadonlyMap<ScalarTree, { readonly source: string; readonly path: readonly string[] }>;
  /** The most characters of texts with holes that have a limit: they are cut when they are filled. */
  readonly longest: ReadonlyMap<ScalarTree, number>;
}

/** The CEL of a text that is one hole and nothing else; null: another text. */
export function wholeHole(source: string): string | null {
  const { parts, unclosed } = splitText(source);
  const [only] = parts;
  return unclosed === null && parts.length === 1 && typeof only === 'object' ? only.source : null;
}

/**
 * Checks a content's data against its type, and tells what does not fit at the property that it is about.
 * @param key where the content's id stands
 */
export function fitContent(data: Tree, key: Span, type: CheckedContentType, report: Report): FittedContent {
  const asTexts = new Filled(data, () => 'text');
  const values = new Map<ScalarTree, { source: string; path: readonly string[] }>();
  for (const { instancePath } of asTexts.errorsOf(type)) {
    const path = pathOf(instancePath);
    const at = nodeAt(data, path);
    const source = at.kind === 'scalar' && asTexts.isHole(at) ? wholeHole(String(at.value)) : null;
    if (source !== null) values.set(at as ScalarTree, { source, path });
  }
  const filled = new Filled(data, (tree) => (values.has(tree) ? 'any' : 'text'));
  const errors = filled.errorsOf(type);
  tellMisfits(errors, data, key, type, report);
  // Told already, whatever kind of value it turns out to be.
  for (const { instancePath } of errors) values.delete(nodeAt(data, pathOf(instancePath)) as ScalarTree);
  return { type, values, longest: filled.longest() };
}

/**
 * Checks where a rule shows the content that holes which stand for a value have one of the right kind.
 * @param where begins each message
 */
export function checkValues(
  { type, values }: FittedContent,
  data: Tree,
  kindOf: (source: string) => HoleKind,
  report: Report,
  where: string,
): boolean {
  if (values.size === 0) return true;
  const filled = new Filled(data, (tree) => {
    const value = values.get(tree);
    return value === undefined ? 'text' : kindOf(value.source);
  });
  const errors = filled.errorsOf(type).filter(({ instancePath }) => {
    const at = nodeAt(data, pathOf(instancePath));
    return at.kind === 'scalar' && values.has(at);
  });
  tellMisfits(errors, data, data, type, report, where);
  return errors.length === 0;
}

/** Takes values out of filled data that are missing, or do not fit: a page that gets none knows what to do, one that gets a wrong one does not. */
export function settleValues({ type, values }: FittedContent, data: JsonObject): JsonObject {
  type.check.call(new Map(), data);
  const unfit = new Set((type.check.errors ?? []).map(({ instancePath }) => instancePath));
  // From the last to the first, so that the places in a list stay what they are.
  for (const { path } of [...values.values()].reverse()) {
    const name = path.at(-1)!;
    const within = path.slice(0, -1).reduce<Container>((at, part) => at[part] as Container, data as Container);
    if (within[name] !== undefined && !unfit.has(pointerOf(path))) continue;
    if (Array.isArray(within)) within.splice(Number(name), 1);
    else delete within[name];
  }
  return data;
}
type Container = { [name: string]: unknown };

/** A content's data with symbols for its holes. */
class Filled {
  readonly #data: unknown;
  readonly #holes = new Map<symbol, { kind: HoleKind; longest: number }>();
  readonly #symbols = new Map<ScalarTree, symbol>();

  constructor(data: Tree, kindOf: (tree: ScalarTree) => HoleKind) {
    this.#data = this.#fill(data, kindOf);
  }

  #fill(tree: Tree, kindOf: (tree: ScalarTree) => HoleKind): unknown {
    if (tree.kind === 'list') return tree.items.map((item) => this.#fill(item, kindOf));
    if (tree.kind === 'map')
      return Object.fromEntries(tree.entries.map(({ key, value }) => [key, this.#fill(value, kindOf)]));
    if (typeof tree.value !== 'string' || !tree.value.includes('${')) return tree.value;
    const symbol = Symbol();
    this.#symbols.set(tree, symbol);
    this.#holes.set(symbol, { kind: kindOf(tree), longest: Number.POSITIVE_INFINITY });
    return symbol;
  }

  isHole(tree: ScalarTree): boolean {
    return this.#symbols.has(tree);
  }

  errorsOf({ check }: CheckedContentType): readonly ErrorObject[] {
    return check.call(this.#holes satisfies HoledData, this.#data) ? [] : told(check.errors ?? []);
  }

  longest(): Map<ScalarTree, number> {
    const found = new Map<ScalarTree, number>();
    for (const [tree, symbol] of this.#symbols) {
      const { longest } = this.#holes.get(symbol)!;
      if (longest !== Number.POSITIVE_INFINITY) found.set(tree, longest);
    }
    return found;
  }
}

/** Without what is about our own keywords, and of alternatives without what is wrong with each. */
function told(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const alternatives = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf');
  return errors.filter(
    ({ keyword, schemaPath }) =>
      keyword !== 'if' && !alternatives.some((other) => schemaPath.startsWith(`${other.schemaPath}/`)),
  );
}

function pathOf(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}
function pointerOf(path: readonly string[]): string {
  return path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function nodeAt(data: Tree, path: readonly string[]): Tree {
  let at = data;
  for (const part of path) at = (at.kind === 'list' ? at.items[Number(part)] : entryOf(at, part)?.value) ?? at;
  return at;
}

function tellMisfits(
  errors: readonly ErrorObject[],
  data: Tree,
  key: Span,
  type: CheckedContentType,
  report: Report,
  where = '',
): void {
  for (const error of errors) {
    const path = pathOf(error.instancePath);
    const at = nodeAt(data, path);
    const { span, message, details } = misfitOf(error, path, at, type);
    report.error(span ?? (path.length === 0 ? key : placeOf(at)), where + message, details);
  }
}

function placeOf(tree: Tree): Span {
  return tree.kind === 'scalar' ? tree : startOf(tree);
}

interface Misfit {
  readonly message: string;
  readonly details: Details;
  /** Where, if not at the value itself. */
  readonly span?: Span;
}

function misfitOf(error: ErrorObject, path: readonly string[], at: Tree, type: CheckedContentType): Misfit {
  const params = error.params as { readonly [name: string]: unknown };
  const what = path.length === 0 ? `the ${type.id}` : path.join('.');
  switch (error.keyword) {
    case 'required': {
      const name = String(params['missingProperty']);
      return {
        message: `${[...path, name].join('.')} is missing; the type ${type.id} requires it`,
        details: { expected: `${name}: …` },
      };
    }
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const name = String(params['additionalProperty'] ?? params['unevaluatedProperty']);
      const known = path.length === 0 ? Object.keys((type.schema['properties'] ?? {}) as object) : [];
      const near = nearest(name, known);
      return {
        message: `${[...path, name].join('.')} is not a property of the type ${type.id}`,
        details: {
          expected: known.length === 0 ? 'a property that the type declares' : `one of ${known.join(', ')}`,
          ...(near === null ? {} : { nearest: near }),
        },
        ...withSpan(entryOf(at, name)?.keySpan),
      };
    }
    case 'type': {
      const expected = wordsOf([params['type']].flat() as string[]);
      return { message: `${what} must be ${expected}, not ${shown(at)}`, details: { expected } };
    }
    case 'enum': {
      const expected = `one of ${(params['allowedValues'] as Json[]).map((value) => JSON.stringify(value)).join(', ')}`;
      return { message: `${what} must be ${expected}, not ${shown(at)}`, details: { expected } };
    }
    case 'holeFits':
      return holeMisfit(params as unknown as HoleMisfit, what, String((at as ScalarTree).value));
    default:
      return {
        message: `${what} ${error.message ?? `does not fit ${error.keyword}`}`,
        details: { expected: `what the type ${type.id} declares` },
      };
  }
}

function withSpan(span: Span | undefined): { span?: Span } {
  return span === undefined ? {} : { span };
}

function holeMisfit({ types, isFixed }: HoleMisfit, what: string, text: string): Misfit {
  if (isFixed) {
    return {
      message: `${what} must be one of certain values; what ${text.slice(0, 60)} will be is not known`,
      details: { expected: 'a value without ${…}' },
    };
  }
  const expected = wordsOf(types ?? []);
  const isWhole = wholeHole(text) !== null;
  return {
    message: `${what} must be ${expected}; ${text.slice(0, 60)} is ${isWhole ? 'of another type' : 'a text'}`,
    details: { expected: isWhole ? expected : `${expected}, or one hole alone` },
  };
}

const words: { readonly [type: string]: string } = {
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
};
function wordsOf(types: readonly string[]): string {
  return types.map((type) => words[type] ?? type).join(' or ');
}
