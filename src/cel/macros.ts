import type { ASTNode } from '@marcbachmann/cel-js';
import type { Compiled, Context, Local, Run } from './compiler.ts';
import { CelError } from './errors.ts';
import { bool, type CelType, dyn, isMap, listOf, string } from './types.ts';

export const macroNames: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'filter', 'map']);

/** Steps that all macros of one evaluation may take together: nested ones multiply. */
export const maxMacroSteps = 10_000;
/** How deep macros may nest. */
export const maxMacroDepth = 3;

export function compileMacro(
  context: Context,
  node: Extract<ASTNode, { op: 'rcall' }>,
  locals: readonly Local[],
): Compiled {
  const [name, receiverNode, args] = node.args;
  const [variable, ...bodies] = args;
  const most = name === 'map' ? 2 : 1;
  if (variable?.op !== 'id' || bodies.length < 1 || bodies.length > most) {
    return context.fail(node, `.${name}() is written .${name}(x, ${name === 'map' ? 'value of x' : 'condition on x'})`);
  }
  const over = context.compile(receiverNode, locals);
  if (over.type.kind !== 'list' && !isMap(over.type) && over.type.kind !== 'dyn') {
    return context.mismatch(receiverNode, `what .${name}() goes over`, 'list or map', over.type);
  }
  const slot = locals.length + 1;
  if (slot > maxMacroDepth)
    return context.fail(node, `macros nest at most ${maxMacroDepth} deep`, { expected: `at most ${maxMacroDepth}` });
  context.depth = Math.max(context.depth, slot);
  const elementType: CelType = over.type.kind === 'list' ? over.type.of : over.type.kind === 'dyn' ? dyn : string;
  const inner = [...locals, { name: variable.args, type: elementType, slot }];
  const compiled = bodies.map((body) => context.compile(body, inner));
  // In map with three arguments the first body is a filter.
  const conditions = name === 'map' ? compiled.slice(0, -1) : compiled;
  for (const [i, { type }] of conditions.entries()) {
    if (type.kind !== 'bool' && type.kind !== 'dyn')
      return context.mismatch(bodies[i]!, `the condition of .${name}()`, 'bool', type);
  }

  const notList = context.runtimeError(receiverNode, 'must be a list or a map');
  const notBool = context.runtimeError(node, 'the condition must be true or false');
  const tooMany = context.runtimeError(node, `takes more than ${maxMacroSteps} steps`);
  const elements: (roots: Parameters<Run>[0], values: unknown[]) => readonly unknown[] = (roots, values) => {
    const value = over.run(roots, values);
    if (Array.isArray(value)) return value;
    if (value === null || typeof value !== 'object') throw notList();
    return Object.keys(value);
  };
  const step = (body: Run, roots: Parameters<Run>[0], values: unknown[], element: unknown): unknown => {
    const taken = (values[0] as number) + 1;
    if (taken > maxMacroSteps) throw tooMany();
    values[0] = taken;
    values[slot] = element;
    return body(roots, values);
  };
  const holds = (body: Run, roots: Parameters<Run>[0], values: unknown[], element: unknown): boolean => {
    const held = step(body, roots, values, element);
    if (typeof held !== 'boolean') throw notBool();
    return held;
  };
  const body = compiled[0]!.run;

  switch (name) {
    case 'all':
    case 'exists': {
      const decides = name === 'exists';
      // As with && and ||: an element that decides does so although another one failed.
      const run: Run = (roots, values) => {
        let failure: CelError | null = null;
        const all = elements(roots, values);
        for (let i = 0; i < all.length; i++) {
          try {
            if (holds(body, roots, values, all[i]) === decides) return decides;
          } catch (error) {
            if (!(error instanceof CelError) || (values[0] as number) >= maxMacroSteps) throw error;
            failure ??= error;
          }
        }
        if (failure !== null) throw failure;
        return !decides;
      };
      return { type: bool, run };
    }
    case 'exists_one':
      return {
        type: bool,
        run: (roots, values) =>
          elements(roots, values).filter((element) => holds(body, roots, values, element)).length === 1,
      };
    case 'filter':
      return {
        type: over.type.kind === 'list' ? over.type : listOf(elementType),
        run: (roots, values) => elements(roots, values).filter((element) => holds(body, roots, values, element)),
      };
    default: {
      const transform = compiled.at(-1)!;
      const filter = compiled.length === 2 ? body : null;
      return {
        type: listOf(transform.type),
        run: (roots, values) => {
          const mapped: unknown[] = [];
          for (const element of elements(roots, values)) {
            if (filter === null || holds(filter, roots, values, element))
              mapped.push(step(transform.run, roots, values, element));
          }
          return mapped;
        },
      };
    }
  }
}
