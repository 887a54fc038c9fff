import type { ASTNode } from '@marcbachmann/cel-js';
import { type GroupedRoot, groupAt } from '../playbook/playbook.ts';
import type { Compiled, Context, Local, Roots, Run } from './compiler.ts';
import { dyn, isMap, nameOf } from './types.ts';

/** Names that every object answers to without owning them. */
const inherited = new Set(Object.getOwnPropertyNames(Object.prototype));

export function compileName(
  context: Context,
  node: Extract<ASTNode, { op: 'id' }>,
  locals: readonly Local[],
): Compiled {
  const name = node.args;
  const local = locals.findLast((candidate) => candidate.name === name);
  if (local !== undefined) {
    const { slot, type } = local;
    return { type, run: (_roots, values) => values[slot] };
  }
  const { types, unavailable = {} } = context.declared;
  if (Object.hasOwn(types, name)) {
    const run: Run = (roots) => roots[name] ?? null;
    return { type: types[name]!, run, maybe: run };
  }
  if (Object.hasOwn(unavailable, name)) return context.fail(node, `${name} is not known here: ${unavailable[name]}`);
  return context.unknown(node, `${name} is not a known name`, name, [
    ...Object.keys(types),
    ...locals.map((each) => each.name),
  ]);
}

export function compileSelect(
  context: Context,
  node: Extract<ASTNode, { op: '.' }>,
  locals: readonly Local[],
): Compiled {
  const [base, field] = node.args;
  return selectFrom(context, node, base, context.compile(base, locals), field, locals);
}

export function compileIndex(
  context: Context,
  node: Extract<ASTNode, { op: '[]' }>,
  locals: readonly Local[],
): Compiled {
  const [base, indexNode] = node.args;
  const from = context.compile(base, locals);
  const index = context.compile(indexNode, locals);
  if (from.type.kind === 'object' && typeof index.constant === 'string')
    return selectFrom(context, node, base, from, index.constant, locals);
  if (from.type.kind === 'list') {
    if (index.type.kind !== 'number' && index.type.kind !== 'dyn')
      return context.mismatch(indexNode, 'the index of a list', 'number', index.type);
  } else if (isMap(from.type)) {
    if (index.type.kind !== 'string' && index.type.kind !== 'dyn')
      return context.mismatch(indexNode, 'the key of a map', 'text', index.type);
  } else if (from.type.kind !== 'dyn') {
    return context.fail(base, `${context.textOf(base)} is a ${nameOf(from.type)}; only lists and maps have [ ]`, {
      expected: 'list or map',
      got: nameOf(from.type),
    });
  }
  const absent = context.runtimeError(node, 'there is no such element');
  const found = memberOf(base, from, from.run, locals) ?? elementOf(from.run);
  const maybeFound = memberOf(base, from, from.maybe ?? from.run, locals) ?? elementOf(from.maybe ?? from.run);
  const maybe: Run = (roots, values) => maybeFound(roots, values, index.run(roots, values)) ?? null;
  const run: Run = (roots, values) => {
    const element = found(roots, values, index.run(roots, values));
    if (element === undefined) throw absent();
    return element;
  };
  const type = from.type.kind === 'list' || from.type.kind === 'map' ? from.type.of : dyn;
  return { type, run, maybe };
}

function selectFrom(
  context: Context,
  node: ASTNode,
  baseNode: ASTNode,
  base: Compiled,
  field: string,
  locals: readonly Local[],
): Compiled {
  const { type } = base;
  const fieldNode = node.op === '.' ? { start: node.end - field.length, end: node.end } : node;
  if (type.kind === 'object' && !Object.hasOwn(type.fields, field)) {
    const why = type.missing?.[field];
    const what = `${context.textOf(baseNode)} has no ${field}`;
    if (why !== undefined) return context.fail(fieldNode, `${what}: ${why}`);
    return context.unknown(fieldNode, what, field, Object.keys(type.fields));
  }
  if (!isMap(type) && type.kind !== 'dyn') {
    const what = `${context.textOf(baseNode)} is ${nameOf(type) === 'null' ? 'null' : `a ${nameOf(type)}`} and has no fields`;
    return context.fail(fieldNode, what, { expected: 'map', got: nameOf(type) });
  }
  const absent = context.runtimeError(node, 'is absent');
  const { run: of } = base;
  const maybeOf = base.maybe ?? of;
  const owned = type.kind !== 'object' || inherited.has(field);
  const found = memberOf(baseNode, base, of, locals) ?? elementOf(of);
  const maybeFound = memberOf(baseNode, base, maybeOf, locals) ?? elementOf(maybeOf);
  const maybe: Run = owned
    ? (roots, values) => maybeFound(roots, values, field) ?? null
    : (roots, values) => {
        const object = maybeOf(roots, values) as Record<string, unknown> | null;
        return object === null || typeof object !== 'object' ? null : (object[field] ?? null);
      };
  const run: Run = owned
    ? (roots, values) => {
        const value = found(roots, values, field);
        if (value === undefined) throw absent();
        return value;
      }
    : (roots, values) => {
        const object = of(roots, values) as Record<string, unknown> | null;
        if (object === null || typeof object !== 'object') throw absent();
        const value = object[field];
        if (value === undefined) throw absent();
        return value;
      };
  return { type: type.kind === 'object' ? type.fields[field]! : type.kind === 'map' ? type.of : dyn, run, maybe };
}

function ownOf(object: unknown, field: string): unknown {
  if (object === null || typeof object !== 'object' || Array.isArray(object) || !Object.hasOwn(object, field))
    return undefined;
  return (object as Record<string, unknown>)[field];
}

type Member = (roots: Roots, values: unknown[], key: unknown) => unknown;

function elementOf(of: Run): Member {
  return (roots, values, key) => {
    const object = of(roots, values);
    if (Array.isArray(object)) return typeof key === 'number' && Number.isInteger(key) ? object[key] : undefined;
    return typeof key === 'string' ? ownOf(object, key) : undefined;
  };
}

/** Of a map right under a root, as `traits.interest` is: a root that can tells the one member, without all the others. null: it is none. */
function memberOf(node: ASTNode, { type }: Compiled, of: Run, locals: readonly Local[]): Member | null {
  if (type.kind !== 'map' || node.op !== '.' || node.args[0].op !== 'id') return null;
  const [{ args: root }, name] = node.args;
  if (locals.some((local) => local.name === root)) return null;
  const whole = elementOf(of);
  return (roots, values, key) => {
    const object = roots[root] as GroupedRoot | null | undefined;
    if (typeof key !== 'string' || object?.[groupAt] === undefined) return whole(roots, values, key);
    return object[groupAt](name, key);
  };
}

/** `has(a.b)`: whether the path is there and not null. */
export function compileHas(
  context: Context,
  node: ASTNode,
  args: readonly ASTNode[],
  locals: readonly Local[],
): Compiled {
  const [path] = args;
  if (args.length !== 1 || path === undefined || path.op !== '.') {
    return context.fail(node, 'has() asks for one field, as in has(event.results)', { expected: 'a field' });
  }
  const { maybe } = context.compile(path, locals);
  if (maybe === undefined) return { type: { kind: 'bool' }, run: () => false };
  return { type: { kind: 'bool' }, run: (roots, values) => maybe(roots, values) !== null };
}
