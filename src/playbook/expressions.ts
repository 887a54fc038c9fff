import {
  type Cel,
  type CelResult,
  compileCel,
  compileCondition,
  compileTree,
  evaluateCondition,
  evaluateJson,
} from '../cel/cel.ts';
import type { Declarations } from '../cel/compiler.ts';
import { demandsOf } from '../cel/demands.ts';
import type { CelProblem } from '../cel/errors.ts';
import { compileText } from '../cel/text.ts';
import type { Condition, Expression, Text } from './playbook.ts';
import type { Report } from './problem.ts';
import type { Located } from './shape.ts';
import { type ScalarTree, within } from './tree.ts';

/** A condition with what `describe` and captures need of it. */
export interface CheckedCondition extends Condition {
  readonly cel: Cel;
}
export interface CheckedExpression extends Expression {
  readonly cel: Cel;
}

/** The tree and type behind a condition or expression of a playbook: all of them are made here. */
export function celOf(each: Condition | Expression): Cel {
  return (each as CheckedCondition | CheckedExpression).cel;
}

export function checkCondition(at: Located<string>, declared: Declarations, report: Report): CheckedCondition | null {
  const cel = take(compileCondition(at.value, declared), at.tree, report);
  return cel === null ? null : conditionOf(cel, declared);
}

/** @param source the part's own text, of a part of an expression */
function conditionOf(cel: Cel, declared: Declarations, source: string = cel.source): CheckedCondition {
  let parts: readonly Condition[] | null = null;
  return {
    source,
    reads: cel.reads,
    demands: demandsOf(cel.tree),
    /** Made when they are asked for, to explain and to ask again; deciding tries the whole. */
    get parts() {
      parts ??= cel.tree.op === '&&' ? partsOf(cel, declared) : [this];
      return parts;
    },
    evaluate: (scope) => evaluateCondition(cel, scope),
    cel,
  };
}

function partsOf(cel: Cel, declared: Declarations): readonly Condition[] {
  return conjunctsOf(cel.tree).map((node) => {
    const part = compileTree(cel.source, node, declared);
    if (!part.ok) throw new Error(`a part of ${cel.source} does not compile alone`);
    return conditionOf(part.cel, declared, textOf(cel.source, node.start, node.end));
  });
}

/** A node's place leaves parentheses around it out, and may so end, or begin, in the midst of a pair. */
function textOf(source: string, start: number, end: number): string {
  const text = source.slice(start, end);
  let depth = 0;
  let missing = 0;
  for (const character of text.replace(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g, '')) {
    if (character === '(') depth++;
    else if (character === ')' && depth > 0) depth--;
    else if (character === ')') missing++;
  }
  return `${'('.repeat(missing)}${text}${')'.repeat(depth)}`;
}

function conjunctsOf(node: Cel['tree']): readonly Cel['tree'][] {
  return node.op === '&&' ? node.args.flatMap(conjunctsOf) : [node];
}

export function checkExpression(at: Located<string>, declared: Declarations, report: Report): CheckedExpression | null {
  const cel = take(compileCel(at.value, declared), at.tree, report);
  return cel === null
    ? null
    : { source: cel.source, reads: cel.reads, evaluate: (scope) => evaluateJson(cel, scope), cel };
}

export function checkText(
  source: string,
  tree: ScalarTree,
  declared: Declarations,
  minorDigits: number,
  report: Report,
  where = '',
): Text | null {
  const result = compileText(source, declared, minorDigits);
  if (result.ok) return result.text;
  reportProblems(result.problems, tree, report, where);
  return null;
}

function take(result: CelResult, tree: ScalarTree, report: Report): Cel | null {
  if (result.ok) return result.cel;
  reportProblems(result.problems, tree, report, '');
  return null;
}

function reportProblems(problems: readonly CelProblem[], tree: ScalarTree, report: Report, where: string): void {
  for (const { message, start, end, expected, nearest } of problems) {
    const details = { ...(expected === undefined ? {} : { expected }), ...(nearest === undefined ? {} : { nearest }) };
    report.error(within(tree, start, end), `${where}${message}`, details);
  }
}
