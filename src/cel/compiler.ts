import type { ASTNode } from '@marcbachmann/cel-js';
import { nearest } from '../model/nearest.ts';
import { type CelError, type CelProblem, errorAt } from './errors.ts';
import { type CelType, dyn, nameOf } from './types.ts';

/** The names an expression may use. */
export interface Declarations {
  readonly types: { readonly [root: string]: CelType };
  /** Known names that are not there in this place, and why. */
  readonly unavailable?: { readonly [root: string]: string };
}

/** A scope that need not make a whole root to tell one field of it has this method; undefined: there is none. */
export const readField: unique symbol = Symbol('readField');

/** A scope by its roots. Locals hold the budget of macro steps at 0, then the variables of macros by depth. */
export type Roots = {
  readonly [root: string]: unknown;
  readonly [readField]?: (root: string, field: string) => unknown;
};
export type Run = (roots: Roots, locals: unknown[]) => unknown;

/** A node, checked, with the closure that evaluates it. */
export interface Compiled {
  readonly type: CelType;
  readonly run: Run;
  /** As `run`, but null where the path is absent: for `has()` and comparisons with null. Only where that makes sense. */
  readonly maybe?: Run;
  /** The name of a root of the scope, where it is nothing else. */
  readonly root?: string;
  /** The value, where it is known without a scope. */
  readonly constant?: unknown;
}

export interface Local {
  readonly name: string;
  readonly type: CelType;
  readonly slot: number;
}

/** One expression on its way from tree to closure: what it may name, what was wrong so far. */
export class Context {
  readonly source: string;
  readonly declared: Declarations;
  readonly problems: CelProblem[] = [];
  /** The deepest slot of locals that a macro uses; 0: no macro. */
  depth = 0;
  readonly #node: (context: Context, node: ASTNode, locals: readonly Local[]) => Compiled;

  constructor(
    source: string,
    declared: Declarations,
    node: (context: Context, node: ASTNode, locals: readonly Local[]) => Compiled,
  ) {
    this.source = source;
    this.declared = declared;
    this.#node = node;
  }

  compile(node: ASTNode, locals: readonly Local[]): Compiled {
    return this.#node(this, node, locals);
  }

  /** Notes a mistake. What it returns stands for the node, of a type that leads to no further messages. */
  fail(
    node: { start: number; end: number },
    message: string,
    more: Omit<CelProblem, 'message' | 'start' | 'end'> = {},
  ): Compiled {
    this.problems.push({ message, start: node.start, end: node.end, ...more });
    return { type: dyn, run: () => null };
  }

  /** As `fail`, when the type is another than expected. */
  mismatch(node: { start: number; end: number }, what: string, expected: string, got: CelType): Compiled {
    return this.fail(node, `${what} must be ${withArticle(expected)}, not ${withArticle(nameOf(got))}`, {
      expected,
      got: nameOf(got),
    });
  }

  unknown(node: { start: number; end: number }, message: string, name: string, known: readonly string[]): Compiled {
    const near = nearest(name, known);
    const expected =
      known.length === 0
        ? 'nothing'
        : known.length <= 24
          ? `one of ${[...known].sort().join(', ')}`
          : 'a declared name';
    return this.fail(node, message, near === null ? { expected } : { expected, nearest: near });
  }

  textOf(node: { start: number; end: number }): string {
    return this.source.slice(node.start, node.end);
  }

  /** The error of a value that turns out to have another type, or none, while running. */
  runtimeError(node: { start: number; end: number }, message: string): () => CelError {
    const text = this.textOf(node);
    return errorAt(() => `${text}: ${message}`);
  }
}

export function withArticle(noun: string): string {
  if (/^(null|any |text,|number,|number or|bool,)/.test(noun)) return noun;
  return /^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`;
}
