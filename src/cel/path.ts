import type { ASTNode } from '@marcbachmann/cel-js';
import { macroNames } from './macros.ts';
import { childrenOf } from './reads.ts';

/** A fact as an expression names it, `["key"]` included: `['traits', 'views', 'tents']` of `traits.views["tents"]`. null: none. */
export function factPathOf(node: ASTNode): readonly string[] | null {
  switch (node.op) {
    case 'id':
      return [node.args];
    case '.': {
      const base = factPathOf(node.args[0]);
      return base === null ? null : [...base, node.args[1]];
    }
    case '[]': {
      const [of, index] = node.args;
      const base = factPathOf(of);
      return base === null || index.op !== 'value' || typeof index.args !== 'string' ? null : [...base, index.args];
    }
    default:
      return null;
  }
}

/** Whether one of the facts that an expression names passes the test; variables of macros are none. */
export function someFact(
  node: ASTNode,
  test: (path: readonly string[], node: ASTNode) => boolean,
  locals: readonly string[] = [],
): boolean {
  const path = factPathOf(node);
  if (path !== null) return !locals.includes(path[0]!) && test(path, node);
  if (node.op !== 'rcall') return childrenOf(node).some((child) => someFact(child, test, locals));
  const [name, receiver, args] = node.args;
  if (someFact(receiver, test, locals)) return true;
  const [variable, ...bodies] = args;
  return macroNames.has(name) && variable?.op === 'id'
    ? bodies.some((body) => someFact(body, test, [...locals, variable.args]))
    : args.some((arg) => someFact(arg, test, locals));
}
