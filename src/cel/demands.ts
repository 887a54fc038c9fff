import type { ASTNode } from '@marcbachmann/cel-js';
import { factPathOf } from './path.ts';

/**
 * What an expression demands beside all else: of `product.category == "tents" && cart.value > 100`, that product.category is "tents" and
 * cart.value from 100 on. Wherever a path holds another text, or a number out of its range, the expression is false for certain, whatever
 * the rest of it does, failing included: `&&` is false when one of its sides is.
 */
export interface Demands {
  readonly equalities: readonly Equality[];
  /** At most one a path. */
  readonly ranges: readonly Range[];
}

/** A path that must hold one of these texts, if it holds a text. */
export interface Equality {
  readonly path: readonly string[];
  readonly texts: readonly string[];
}

/** A path that must hold a number of this range, if it holds a number. Ends are included, also where the expression leaves them out. */
export interface Range {
  readonly path: readonly string[];
  readonly from: number;
  readonly to: number;
}

export function demandsOf(node: ASTNode): Demands {
  const sides = sidesOf(node);
  const ranges = new Map<string, Range>();
  for (const { path, from, to } of sides.flatMap(rangesOf)) {
    const name = path.join('.');
    const known = ranges.get(name) ?? { path, from, to };
    ranges.set(name, { path, from: Math.max(from, known.from), to: Math.min(to, known.to) });
  }
  return { equalities: sides.flatMap(equalitiesOf), ranges: [...ranges.values()] };
}

/** What must all be true. */
function sidesOf(node: ASTNode): readonly ASTNode[] {
  return node.op === '&&' ? node.args.flatMap(sidesOf) : [node];
}

function equalitiesOf(node: ASTNode): readonly Equality[] {
  switch (node.op) {
    case '==':
      return [...equalityOf(node.args[0], [node.args[1]]), ...equalityOf(node.args[1], [node.args[0]])];
    case 'in':
      return node.args[1].op === 'list' ? equalityOf(node.args[0], node.args[1].args) : [];
    default:
      return [];
  }
}

function equalityOf(node: ASTNode, others: readonly ASTNode[]): readonly Equality[] {
  const path = factPathOf(node);
  const texts = others.map((other) => (other.op === 'value' && typeof other.args === 'string' ? other.args : null));
  return path === null || texts.includes(null) ? [] : [{ path, texts: texts as string[] }];
}

function rangesOf({ op, args }: ASTNode): readonly Range[] {
  switch (op) {
    case '<':
    case '<=':
      return atMost(args[0], args[1]);
    case '>':
    case '>=':
      return atMost(args[1], args[0]);
    case '==':
      return [...atMost(args[0], args[1]), ...atMost(args[1], args[0])];
    default:
      return [];
  }
}

/** Of `low <= high`, when one is a path and the other a number. */
function atMost(low: ASTNode, high: ASTNode): readonly Range[] {
  const [lowPath, from, highPath, to] = [factPathOf(low), numberOf(low), factPathOf(high), numberOf(high)];
  if (lowPath !== null && to !== null) return [{ path: lowPath, from: Number.NEGATIVE_INFINITY, to }];
  if (highPath !== null && from !== null) return [{ path: highPath, from, to: Number.POSITIVE_INFINITY }];
  return [];
}

/** A number that is written out. */
function numberOf(node: ASTNode): number | null {
  if (node.op === '-_') {
    const negated = numberOf(node.args);
    return negated === null ? null : -negated;
  }
  if (node.op !== 'value') return null;
  return typeof node.args === 'number' || typeof node.args === 'bigint' ? Number(node.args) : null;
}
