import type { ASTNode } from '@marcbachmann/cel-js';
import { macroNames } from './macros.ts';

/** Dotted names that an expression reads, each once, in the order written. */
export function readsOf(tree: ASTNode): readonly string[] {
  const found = new Set<string>();
  visit(tree, [], found);
  return [...found];
}

function visit(node: ASTNode, locals: readonly string[], found: Set<string>): void {
  const path = pathOf(node);
  if (path !== null) {
    if (!locals.includes(path[0]!)) found.add(path.join('.'));
    return;
  }
  if (node.op === 'rcall') {
    const [name, receiver, args] = node.args;
    visit(receiver, locals, found);
    const [variable, ...bodies] = args;
    if (macroNames.has(name) && variable?.op === 'id')
      for (const body of bodies) visit(body, [...locals, variable.args], found);
    else for (const arg of args) visit(arg, locals, found);
    return;
  }
  for (const child of childrenOf(node)) visit(child, locals, found);
}

/** `['product', 'price']` of `product.price`; null for anything but a chain of names. */
export function pathOf(node: ASTNode): readonly string[] | null {
  if (node.op === 'id') return [node.args];
  if (node.op !== '.') return null;
  const base = pathOf(node.args[0]);
  return base === null ? null : [...base, node.args[1]];
}

/** The parts of a node, those of a method apart. */
export function childrenOf(node: ASTNode): readonly ASTNode[] {
  switch (node.op) {
    case 'value':
    case 'id':
    case 'rcall':
      return [];
    case '.':
    case '.?':
      return [node.args[0]];
    case 'call':
      return node.args[1];
    case 'map':
      return node.args.flat();
    case '!_':
    case '-_':
      return [node.args];
    default:
      return node.args;
  }
}
