import type { ASTNode } from '@marcbachmann/cel-js';
import { factPathOf } from './path.ts';

/**
 * What an expression demands beside all else: of `product.category == "tents" && cart.value > 100`, that product.category is "tents" and
 * cart.value more than 100. Wherever a path holds another text, or a number out of its range, the expression is false for certain, whatever
 * the rest of it does, failing included: `&&` is false when one of its sides is.
 */
export interface Demands {
  readonly equalities: readonly Equality[];
  /** At most one a path. */
  readonly ranges: readonly Range[];
  /** Nothing else: where each path holds a text, or number, as demanded, the expression is true. */
  readonly whole: boolean;
}

/** A path that must hold one of these texts, if it holds a text. */
export interface Equality {
  readonly path: readonly string[];
  readonly texts: readonly string[];
}

/** A path that must hold a number of this range, if it holds a number. Ends are included: more than 100 is from the next double on. */
export interface Range {
  readonly path: readonly string[];
  readonly from: number;
  readonly to: number;
}

export function demandsOf(node: ASTNode): Demands {
  const sides = sidesOf(node);
  const equalities = sides.map(equalitiesOf);
  const rangesOfSides = sides.map(rangesOf);
  const ranges = new Map<string, Range>();
  for (const { path, from, to } of rangesOfSides.flat()) {
    const name = path.join('.');
    const known = ranges.get(name) ?? { path, from, to };
    ranges.set(name, { path, from: Math.max(from, known.from), to: Math.min(to, known.to) });
  }
  const whole = sides.every((_, i) => equalities[i]!.length + rangesOfSides[i]!.length > 0);
  return { equalities: equalities.flat(), ranges: [...ranges.values()], whole };
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
      return between(args[0], args[1], nextAfter);
    case '<=':
      return between(args[0], args[1], same);
    case '>':
      return between(args[1], args[0], nextAfter);
    case '>=':
      return between(args[1], args[0], same);
    case '==':
      return [...between(args[0], args[1], same), ...between(args[1], args[0], same)];
    default:
      return [];
  }
}

/** Of `low < high` or `low <= high`, when one is a path and the other a number. `end`: the first that fits, from a number on to a side. */
function between(low: ASTNode, high: ASTNode, end: (of: number, to: number) => number): readonly Range[] {
  const [lowPath, from, highPath, to] = [factPathOf(low), numberOf(low), factPathOf(high), numberOf(high)];
  if (lowPath !== null && to !== null) return [{ path: lowPath, from: least, to: end(to, least) }];
  if (highPath !== null && from !== null) return [{ path: highPath, from: end(from, most), to: most }];
  return [];
}

const [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
const same = (of: number) => of;

/** The double next to this one, on the side of the other. */
function nextAfter(of: number, to: number): number {
  if (of === 0) return to > 0 ? Number.MIN_VALUE : -Number.MIN_VALUE;
  const bits = new BigInt64Array(new Float64Array([of]).buffer);
  bits[0]! += of < to === of > 0 ? 1n : -1n;
  return new Float64Array(bits.buffer)[0]!;
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
