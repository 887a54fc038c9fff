import { type Cel, type CelResult, compileCel, compileCondition, evaluateCondition, evaluateJson } from '../cel/cel.ts';
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

function conditionOf(cel: Cel, declared: Declarations): CheckedCondition {
  let parts: readonly Condition[] | null = null;
  return {
    source: cel.source,
    reads: cel.reads,
    demands: demandsOf(cel.tree),
    /** Made when they are asked for, to explain; deciding tries the whole. */
    get parts() {
      parts ??= cel.tree.op === '&&' ? partsOf(cel, declared) : [this];
      return parts;
    },
    evaluate: (scope) => evaluateCondition(cel, scope),
    cel,
  };
}

function partsOf(cel: Cel, declared: Declarations): readonly Condition[] {
  return conjunctsOf(cel.tree).map(({ start, end }) => {
    const part = compileCondition(cel.source.slice(start, end), declared);
    if (!part.ok) throw new Error(`a part of ${cel.source} does not compile alone`);
    return conditionOf(part.cel, declared);
  });
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
