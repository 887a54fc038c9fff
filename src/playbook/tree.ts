import { isAlias, isMap, isScalar, isSeq, type Node, parseDocument, type Scalar } from 'yaml';
import type { Json } from '../model/json.ts';
import { type Report, SourceFile, type Span } from './problem.ts';

/** YAML as a plain tree in which everything knows its place. */
export type Tree = ScalarTree | ListTree | MapTree;
export interface ScalarTree extends Span {
  readonly kind: 'scalar';
  readonly value: null | boolean | number | string;
}
export interface ListTree extends Span {
  readonly kind: 'list';
  readonly items: readonly Tree[];
}
export interface MapTree extends Span {
  readonly kind: 'map';
  readonly entries: readonly Entry[];
}
export interface Entry {
  readonly key: string;
  readonly keySpan: Span;
  readonly value: Tree;
}

/** Limits of one file; a playbook that people write by hand is far below them. */
export const yamlLimits = { bytes: 4_000_000, depth: 40, nodes: 500_000 } as const;

/**
 * Reads one file. Anchors and aliases are refused: a file that says what it means line by line can be checked line by line, and
 * neither a cycle nor an expansion of a few lines into gigabytes can be written.
 * @returns null when it is not YAML, or not of the kind that playbooks are written in; the report says why
 */
export function readYaml(path: string, text: string, report: Report): Tree | null {
  const file = new SourceFile(path, text);
  const whole = { file, start: 0, end: 1 };
  if (text.length > yamlLimits.bytes) {
    report.error(whole, `the file has ${text.length} characters`, { expected: `at most ${yamlLimits.bytes}` });
    return null;
  }
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, { prettyErrors: false, version: '1.2', logLevel: 'silent', uniqueKeys: false });
  } catch (error) {
    // The parser recurses; a file that is nested without end ends it, not us.
    report.error(whole, `cannot be read as YAML: ${(error as Error).message}`, {
      expected: `at most ${yamlLimits.depth} levels`,
    });
    return null;
  }
  for (const problem of [...document.errors, ...document.warnings]) {
    report.error({ file, start: problem.pos[0], end: problem.pos[1] }, `not YAML: ${yamlMessage(problem.message)}`);
  }
  if (document.errors.length > 0 || document.warnings.length > 0) return null;
  if (document.contents === null) return { kind: 'map', entries: [], file, start: 0, end: 1 };
  const conversion = { file, report, nodes: 0, ok: true };
  const tree = convert(document.contents as Node, conversion, 0);
  return conversion.ok ? tree : null;
}

function yamlMessage(message: string): string {
  // The parser recurses, and so ends what is nested without end.
  if (message.includes('call stack')) return `nested deeper than ${yamlLimits.depth} levels`;
  const plain = message.replace(/\s+/g, ' ').replace(/ at line \d+, column \d+.*$/, '');
  return plain.charAt(0).toLowerCase() + plain.slice(1);
}

interface Conversion {
  readonly file: SourceFile;
  readonly report: Report;
  nodes: number;
  ok: boolean;
}

function convert(node: Node | null, at: Conversion, depth: number): Tree {
  const [start, end] = node?.range ?? [0, 1];
  const span: Span = { file: at.file, start, end: Math.max(end, start + 1) };
  const refuse = (message: string, expected?: string): Tree => {
    at.ok = false;
    at.report.error(span, message, expected === undefined ? {} : { expected });
    return { kind: 'scalar', value: null, ...span };
  };
  if (++at.nodes > yamlLimits.nodes)
    return at.ok
      ? refuse(`the file has more than ${yamlLimits.nodes} values`)
      : { kind: 'scalar', value: null, ...span };
  if (depth > yamlLimits.depth) return refuse(`nested deeper than ${yamlLimits.depth} levels`);
  if (node === null) return { kind: 'scalar', value: null, ...span };
  if (isAlias(node)) return refuse(`*${node.source} repeats another place`, 'the value itself, written out');
  if ('anchor' in node && node.anchor) {
    const anchor = `&${node.anchor}`;
    const from = Math.max(0, at.file.text.lastIndexOf(anchor, start));
    at.ok = false;
    at.report.error({ file: at.file, start: from, end: from + anchor.length }, `${anchor} names a place to repeat`, {
      expected: 'the value without an anchor',
    });
    return { kind: 'scalar', value: null, ...span };
  }
  if ('tag' in node && node.tag && !node.tag.startsWith('tag:yaml.org,2002:'))
    return refuse(`the tag ${node.tag} is not read`);
  if (isMap(node)) {
    const entries: Entry[] = [];
    // Asked here: the parser compares each key with each.
    const keys = new Set<string>();
    for (const pair of node.items) {
      const keyNode = pair.key as Scalar;
      const keySpan = spanOf(at.file, keyNode as Node, span);
      if (!isScalar(keyNode) || typeof keyNode.value !== 'string') {
        at.ok = false;
        at.report.error(keySpan, 'a key must be a plain text', { expected: 'a name' });
        continue;
      }
      if (keyNode.value === '__proto__') {
        at.ok = false;
        at.report.error(keySpan, '__proto__ cannot be a key');
        continue;
      }
      if (keys.has(keyNode.value)) {
        at.ok = false;
        at.report.error(keySpan, 'not YAML: map keys must be unique', { expected: 'each key once' });
        continue;
      }
      keys.add(keyNode.value);
      const value =
        pair.value === null
          ? ({ kind: 'scalar', value: null, ...keySpan } as const)
          : convert(pair.value as Node, at, depth + 1);
      entries.push({ key: keyNode.value, keySpan, value });
    }
    return { kind: 'map', entries, ...span };
  }
  if (isSeq(node))
    return { kind: 'list', items: node.items.map((item) => convert(item as Node, at, depth + 1)), ...span };
  const { value } = node as Scalar;
  if (typeof value === 'number' && !Number.isFinite(value)) return refuse('JSON has no such number', 'a finite number');
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return refuse('a whole number beyond 2^53 loses digits', 'a smaller number, or a text in quotes');
  }
  if (typeof value === 'string' && !value.isWellFormed())
    return refuse('the text has half of a surrogate pair', 'well-formed Unicode');
  if (value !== null && typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
    return refuse('a value of a kind that JSON has not');
  return { kind: 'scalar', value, ...span };
}

function spanOf(file: SourceFile, node: Node | null, otherwise: Span): Span {
  const range = node?.range;
  return range ? { file, start: range[0], end: Math.max(range[1], range[0] + 1) } : otherwise;
}

export function toJson(tree: Tree): Json {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(toJson);
  return Object.fromEntries(tree.entries.map(({ key, value }) => [key, toJson(value)]));
}

export function entryOf(tree: Tree, key: string): Entry | undefined {
  return tree.kind === 'map' ? tree.entries.find((entry) => entry.key === key) : undefined;
}

/**
 * The place of a part of a text's value. A quoted or folded text differs from what the file holds (escapes, line breaks,
 * indentation), so the two are walked side by side and what the value has not is passed over.
 */
export function within(tree: ScalarTree, start: number, end: number): Span {
  const value = String(tree.value);
  const source = tree.file.text;
  let at = tree.start;
  const offsets: number[] = [];
  for (let i = 0; i < value.length; i++) {
    const wanted = value[i]!;
    const blank = wanted === ' ' || wanted === '\n';
    let next = at;
    while (next < tree.end && source[next] !== wanted && !(blank && /\s/.test(source[next]!))) next++;
    if (next >= tree.end) next = at;
    offsets.push(next);
    at = next + 1;
  }
  const last = offsets.at(-1) ?? tree.start;
  const from = offsets[start] ?? last + (offsets.length === 0 ? 0 : 1);
  const to = end > start ? (offsets[end - 1] ?? last) + 1 : from + 1;
  return { file: tree.file, start: from, end: Math.max(to, from + 1) };
}
