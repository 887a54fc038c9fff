import type { ASTNode } from '@marcbachmann/cel-js';
import { pathOf } from './reads.ts';

/** A path that must hold one of these texts for the whole expression to be true. */
export interface Equality {
  readonly path: readonly string[];
  readonly texts: readonly string[];
}

/**
 * What an expression demands beside all else: of `product.category == "tents" && cart.value > 100`, that product.category is "tents".
 * Wherever the path holds another text the expression is false for certain, whatever the rest of it does, failing included: `&&` is
 * false when one of its sides is.
 */
export function equalitiesOf(node: ASTNode): readonly Equality[] {
  switch (node.op) {
    case '&&':
      return node.args.flatMap(equalitiesOf);
    case '==':
      return [...equalityOf(node.args[0], [node.args[1]]), ...equalityOf(node.args[1], [node.args[0]])];
    case 'in':
      return node.args[1].op === 'list' ? equalityOf(node.args[0], node.args[1].args) : [];
    default:
      return [];
  }
}

function equalityOf(node: ASTNode, others: readonly ASTNode[]): readonly Equality[] {
  const path = pathOf(node);
  const texts = others.map((other) => (other.op === 'value' && typeof other.args === 'string' ? other.args : null));
  return path === null || texts.includes(null) ? [] : [{ path, texts: texts as string[] }];
}
