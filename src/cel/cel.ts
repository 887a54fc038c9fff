import { type ASTNode, Environment, ParseError } from '@marcbachmann/cel-js';
import type { Json } from '../model/json.ts';
import { compileIndex, compileName, compileSelect } from './access.ts';
import { type Compiled, Context, type Declarations, type Local, type Roots } from './compiler.ts';
import { CelError, type CelProblem } from './errors.ts';
import { compileCall, compileMethod } from './functions.ts';
import {
  compileArithmetic,
  compileChoice,
  compileEquality,
  compileIn,
  compileLogic,
  compileMinus,
  compileNot,
  compileOrder,
} from './operators.ts';
import { readsOf } from './reads.ts';
import { bool, type CelType, dyn, listOf, nameOf, nullType, number, string, unify } from './types.ts';

/** Limits of one expression: a condition that people can read is far below them. */
export const celLimits = {
  maxLength: 2_000,
  maxAstNodes: 500,
  maxDepth: 50,
  maxListElements: 200,
  maxMapEntries: 50,
  maxCallArguments: 3,
} as const;

const { maxLength: _, ...parserLimits } = celLimits;
const environment = new Environment({ limits: parserLimits });

/** A checked expression. */
export interface Cel {
  readonly source: string;
  readonly tree: ASTNode;
  readonly type: CelType;
  /** Dotted names it reads, each once, as far as they are written. */
  readonly reads: readonly string[];
  /** @throws CelError when a fact is absent or of another type than declared */
  evaluate(scope: object): unknown;
}

export type CelResult =
  | { readonly ok: true; readonly cel: Cel }
  | { readonly ok: false; readonly problems: readonly CelProblem[] };

/**
 * Parses an expression, checks it against what is declared, and compiles it to closures.
 * Integer literals are doubles, as all numbers here: `1 / 2` is 0.5.
 */
export function compileCel(source: string, declared: Declarations): CelResult {
  const parsed = parse(source);
  return parsed.ok ? compileTree(source, parsed.tree, declared) : parsed;
}

/** As `compileCel`, for a part of an expression that names no variable of a macro around it. */
export function compileTree(source: string, tree: ASTNode, declared: Declarations): CelResult {
  const context = new Context(source, declared, compileNode);
  const { type, run } = context.compile(tree, []);
  if (context.problems.length > 0) return { ok: false, problems: context.problems };
  const size = context.depth + 1;
  const none: unknown[] = [];
  const evaluate =
    context.depth === 0
      ? (scope: object) => run(scope as Roots, none)
      : (scope: object) => {
          const locals = new Array<unknown>(size);
          locals[0] = 0;
          return run(scope as Roots, locals);
        };
  return { ok: true, cel: { source, tree, type, reads: readsOf(tree), evaluate } };
}

/** As `compileCel`, for what must be true or false. */
export function compileCondition(source: string, declared: Declarations): CelResult {
  const result = compileCel(source, declared);
  if (!result.ok || result.cel.type.kind === 'bool' || result.cel.type.kind === 'dyn') return result;
  const got = nameOf(result.cel.type);
  const problem = {
    message: `a condition must be true or false; this is a ${got}`,
    start: 0,
    end: source.length,
    expected: 'bool',
    got,
  };
  return { ok: false, problems: [problem] };
}

/** The value of a condition. @throws CelError when it is neither true nor false */
export function evaluateCondition(cel: Cel, scope: object): boolean {
  const value = cel.evaluate(scope);
  if (typeof value !== 'boolean') throw new CelError(`${cel.source}: must be true or false`);
  return value;
}

/** The value as JSON. @throws CelError also for numbers that JSON has not */
export function evaluateJson(cel: Cel, scope: object): Json {
  const value = cel.evaluate(scope) as Json;
  if (typeof value === 'number' && !Number.isFinite(value)) throw new CelError(`${cel.source}: not a finite number`);
  return value;
}

type Parsed =
  | { readonly ok: true; readonly tree: ASTNode }
  | { readonly ok: false; readonly problems: readonly CelProblem[] };

/** Checks the grammar alone. */
export function parse(source: string): Parsed {
  if (source.length > celLimits.maxLength) {
    const message = `an expression has at most ${celLimits.maxLength} characters; this one has ${source.length}`;
    return {
      ok: false,
      problems: [{ message, start: 0, end: source.length, expected: `at most ${celLimits.maxLength} characters` }],
    };
  }
  if (source.trim() === '') {
    return {
      ok: false,
      problems: [{ message: 'an expression is empty', start: 0, end: source.length, expected: 'an expression' }],
    };
  }
  try {
    return { ok: true, tree: environment.parse(source).ast };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const start = Math.min(error.range?.start ?? 0, source.length);
    const end = Math.min(Math.max(error.range?.end ?? start, start + 1), Math.max(source.length, start));
    return { ok: false, problems: [{ ...grammarMessage(error.summary, source, start), start, end }] };
  }
}

const tokenNames: Readonly<Record<string, string>> = {
  EOF: 'the end',
  RPAREN: '")"',
  LPAREN: '"("',
  RBRACKET: '"]"',
  LBRACKET: '"["',
  RBRACE: '"}"',
  LBRACE: '"{"',
  COLON: '":"',
  COMMA: '","',
  QUESTION: '"?"',
  DOT: '"."',
  IDENTIFIER: 'a name',
  NUMBER: 'a number',
  STRING: 'a text',
  AND: '"&&"',
  OR: '"||"',
  NOT: '"!"',
  EQ: '"=="',
  NE: '"!="',
  PLUS: '"+"',
  MINUS: '"-"',
  MULTIPLY: '"*"',
  DIVIDE: '"/"',
  MODULO: '"%"',
  LT: '"<"',
  LE: '"<="',
  GT: '">"',
  GE: '">="',
  IN: '"in"',
};

/** Slips of people who know another language. */
const slips: readonly (readonly [RegExp, string])[] = [
  [/^=(?!=)/, '"==" (equality is written with two signs)'],
  [/^and\b/i, '"&&"'],
  [/^or\b/i, '"||"'],
  [/^not\b/i, '"!"'],
  [/^&(?!&)/, '"&&"'],
  [/^\|(?!\|)/, '"||"'],
  [/^<>/, '"!="'],
];

function grammarMessage(summary: string, source: string, start: number): { message: string; expected?: string } {
  const slip = slips.find(([pattern]) => pattern.test(source.slice(start)));
  if (slip !== undefined) return { message: `expected ${slip[1]}`, expected: slip[1] };
  const expected = /^Expected (\w+), got (\w+)$/.exec(summary);
  if (expected !== null) {
    const wanted = tokenNames[expected[1]!] ?? expected[1]!;
    return { message: `expected ${wanted}, got ${tokenNames[expected[2]!] ?? expected[2]}`, expected: wanted };
  }
  const token = /^Unexpected token: (\w+)$/.exec(summary);
  if (token !== null)
    return { message: `expected a value, got ${tokenNames[token[1]!] ?? token[1]}`, expected: 'a value' };
  if (summary.startsWith('Unexpected character'))
    return {
      message: `expected an operator or the end, got ${JSON.stringify(source.slice(start, start + 12))}`,
      expected: 'an operator',
    };
  return { message: summary.charAt(0).toLowerCase() + summary.slice(1) };
}

function compileNode(context: Context, node: ASTNode, locals: readonly Local[]): Compiled {
  switch (node.op) {
    case 'value':
      return compileLiteral(context, node);
    case 'id':
      return compileName(context, node, locals);
    case '.':
      return compileSelect(context, node, locals);
    case '[]':
      return compileIndex(context, node, locals);
    case 'call':
      return compileCall(context, node, locals);
    case 'rcall':
      return compileMethod(context, node, locals);
    case 'list':
      return compileList(context, node, locals);
    case 'map':
      return compileMap(context, node, locals);
    case '?:':
      return compileChoice(context, node, locals);
    case '&&':
    case '||':
      return compileLogic(context, node, locals);
    case '!_':
      return compileNot(context, node, locals);
    case '-_':
      return compileMinus(context, node, locals);
    case '==':
    case '!=':
      return compileEquality(context, node, locals);
    case 'in':
      return compileIn(context, node, locals);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return compileOrder(context, node, locals);
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return compileArithmetic(context, node, locals);
    default:
      return context.fail(node, `${context.textOf(node)}: optional access is not run by this version`);
  }
}

function compileLiteral(context: Context, node: Extract<ASTNode, { op: 'value' }>): Compiled {
  const literal = node.args;
  const value = typeof literal === 'bigint' ? Number(literal) : literal;
  switch (typeof value) {
    case 'number':
      if (typeof literal === 'bigint' && !Number.isSafeInteger(value)) {
        return context.fail(node, `${literal} is beyond the whole numbers that JSON keeps (2^53)`, {
          expected: 'a number up to 2^53',
        });
      }
      return { type: number, run: () => value, constant: value };
    case 'string':
      return { type: string, run: () => value, constant: value };
    case 'boolean':
      return { type: bool, run: () => value, constant: value };
    default:
      if (value === null) return { type: nullType, run: () => null, constant: null };
      return context.fail(node, `${context.textOf(node)}: bytes and unsigned numbers are not run by this version`);
  }
}

function compileList(context: Context, node: Extract<ASTNode, { op: 'list' }>, locals: readonly Local[]): Compiled {
  const elements = node.args.map((element) => context.compile(element, locals));
  let of: CelType = elements[0]?.type ?? dyn;
  for (const [i, element] of elements.entries()) {
    const both = unify(of, element.type);
    if (both === null) return context.mismatch(node.args[i]!, 'each element of this list', nameOf(of), element.type);
    of = both;
  }
  const runs = elements.map(({ run }) => run);
  if (elements.every(({ constant }) => constant !== undefined)) {
    const value = elements.map(({ constant }) => constant);
    return { type: listOf(of), run: () => value };
  }
  return { type: listOf(of), run: (roots, values) => runs.map((run) => run(roots, values)) };
}

function compileMap(context: Context, node: Extract<ASTNode, { op: 'map' }>, locals: readonly Local[]): Compiled {
  let of: CelType | null = null;
  const entries: (readonly [string, Compiled['run']])[] = [];
  for (const [keyNode, valueNode] of node.args) {
    const key = context.compile(keyNode, locals);
    if (typeof key.constant !== 'string')
      return context.fail(keyNode, 'the key of a map must be a text, written out', { expected: 'text' });
    if (entries.some(([known]) => known === key.constant))
      return context.fail(keyNode, `the key ${key.constant} stands twice`);
    const value = context.compile(valueNode, locals);
    of = of === null ? value.type : (unify(of, value.type) ?? dyn);
    entries.push([key.constant, value.run]);
  }
  return {
    type: { kind: 'map', of: of ?? dyn },
    run: (roots, values) => Object.fromEntries(entries.map(([key, run]) => [key, run(roots, values)])),
  };
}
