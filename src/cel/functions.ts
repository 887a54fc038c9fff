import type { ASTNode } from '@marcbachmann/cel-js';
import { compileHas } from './access.ts';
import { whole, writeInstant } from './calendar.ts';
import type { Compiled, Context, Local, Run } from './compiler.ts';
import { parseDuration, parseInstant } from './duration.ts';
import { compileMacro, macroNames } from './macros.ts';
import { compileTimeMethod, timeMethodNames } from './timeMethods.ts';
import { bool, type CelType, duration, isMap, nameOf, number, string, timestamp } from './types.ts';

export const functionNames = ['size', 'has', 'duration', 'timestamp', 'string', 'double', 'int'] as const;

export function compileCall(
  context: Context,
  node: Extract<ASTNode, { op: 'call' }>,
  locals: readonly Local[],
): Compiled {
  const [name, args] = node.args;
  if (name === 'has') return compileHas(context, node, args, locals);
  if (!functionNames.includes(name as 'size')) return unknownFunction(context, node, name, [...functionNames]);
  const [arg] = args;
  if (args.length !== 1 || arg === undefined)
    return context.fail(node, `${name}() takes 1 argument, not ${args.length}`);
  const of = context.compile(arg, locals);
  switch (name) {
    case 'size':
      return compileSize(context, arg, of);
    case 'duration':
      return timeLiteral(
        context,
        arg,
        of,
        duration,
        parseDuration,
        'a duration such as duration("30m") or duration("1h30m")',
      );
    case 'timestamp':
      return timeLiteral(
        context,
        arg,
        of,
        timestamp,
        parseInstant,
        'an instant such as timestamp("2026-11-23T20:15:00Z")',
      );
    case 'string':
      return compileString(context, arg, of);
    case 'double':
      return conversion(context, arg, of, doubleOf, (value) => value);
    default:
      return conversion(
        context,
        arg,
        of,
        (text) => (/^[+-]?\d{1,15}$/.test(text) ? Number(text) : null),
        // As many as 64 bits hold.
        (value) => (Math.abs(value) < 2 ** 63 ? whole(value) : null),
      );
  }
}

function doubleOf(text: string): number | null {
  const value = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : null;
}

/** Methods of texts. */
const methods: Readonly<
  Record<string, { readonly args: number; readonly type: CelType; run(text: string, arg: string): unknown }>
> = {
  contains: { args: 1, type: bool, run: (text, part) => text.includes(part) },
  startsWith: { args: 1, type: bool, run: (text, part) => text.startsWith(part) },
  endsWith: { args: 1, type: bool, run: (text, part) => text.endsWith(part) },
  lowerAscii: { args: 0, type: string, run: (text) => text.replace(/[A-Z]+/g, (part) => part.toLowerCase()) },
  upperAscii: { args: 0, type: string, run: (text) => text.replace(/[a-z]+/g, (part) => part.toUpperCase()) },
  trim: { args: 0, type: string, run: trim },
};

/** Without Unicode's white space at both ends. JavaScript's trim() takes U+FEFF for white space, and not U+0085. */
function trim(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && whiteSpace.test(text[from]!)) from++;
  while (from < to && whiteSpace.test(text[to - 1]!)) to--;
  return text.slice(from, to);
}
const whiteSpace = /\p{White_Space}/u;

export const methodNames: readonly string[] = [...Object.keys(methods), 'size', ...macroNames, ...timeMethodNames];

export function compileMethod(
  context: Context,
  node: Extract<ASTNode, { op: 'rcall' }>,
  locals: readonly Local[],
): Compiled {
  const [name, receiverNode, args] = node.args;
  if (macroNames.has(name)) return compileMacro(context, node, locals);
  const receiver = context.compile(receiverNode, locals);
  if (name === 'size' && args.length === 0) return compileSize(context, receiverNode, receiver);
  if (timeMethodNames.includes(name)) return compileTimeMethod(context, node, receiver, locals);
  if (!Object.hasOwn(methods, name)) return unknownFunction(context, node, name, methodNames);
  const method = methods[name]!;
  if (receiver.type.kind !== 'string' && receiver.type.kind !== 'dyn')
    return context.mismatch(receiverNode, `what has .${name}()`, 'text', receiver.type);
  if (args.length !== method.args)
    return context.fail(
      node,
      `.${name}() takes ${method.args} argument${method.args === 1 ? '' : 's'}, not ${args.length}`,
    );
  const notText = context.runtimeError(node, 'must be texts');
  const { run: of } = receiver;
  const [argNode] = args;
  if (argNode === undefined) {
    return {
      type: method.type,
      run: (roots, values) => {
        const text = of(roots, values);
        if (typeof text !== 'string') throw notText();
        return method.run(text, '');
      },
    };
  }
  const arg = context.compile(argNode, locals);
  if (arg.type.kind !== 'string' && arg.type.kind !== 'dyn')
    return context.mismatch(argNode, `the argument of .${name}()`, 'text', arg.type);
  return {
    type: method.type,
    run: (roots, values) => {
      const text = of(roots, values);
      const part = arg.run(roots, values);
      if (typeof text !== 'string' || typeof part !== 'string') throw notText();
      return method.run(text, part);
    },
  };
}

function unknownFunction(context: Context, node: ASTNode, name: string, known: readonly string[]): Compiled {
  const at =
    node.op === 'rcall' ? nameRange(context, node, name) : { start: node.start, end: node.start + name.length };
  return context.unknown(at, `${name}() is not a function that this version has`, name, known);
}

function nameRange(
  context: Context,
  node: Extract<ASTNode, { op: 'rcall' }>,
  name: string,
): { start: number; end: number } {
  const start = context.source.indexOf(name, node.args[1].end);
  return start < 0 ? node : { start, end: start + name.length };
}

function compileSize(context: Context, node: ASTNode, of: Compiled): Compiled {
  const { type } = of;
  if (type.kind !== 'string' && type.kind !== 'list' && !isMap(type) && type.kind !== 'dyn') {
    return context.mismatch(node, 'what size() counts', 'text, list or map', type);
  }
  const wrong = context.runtimeError(node, 'has no size');
  const run: Run = (roots, values) => {
    const value = of.run(roots, values);
    if (Array.isArray(value)) return value.length;
    if (typeof value === 'string') return codePoints(value);
    if (value !== null && typeof value === 'object') return Object.keys(value).length;
    throw wrong();
  };
  return { type: number, run };
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

function timeLiteral(
  context: Context,
  node: ASTNode,
  of: Compiled,
  type: CelType,
  parse: (text: string) => number | null,
  expected: string,
): Compiled {
  if (typeof of.constant !== 'string')
    return context.fail(node, `expected ${expected}, written out`, { expected, got: nameOf(of.type) });
  const value = parse(of.constant);
  if (value === null) return context.fail(node, `expected ${expected}`, { expected, got: JSON.stringify(of.constant) });
  return { type, run: () => value, constant: value };
}

function compileString(context: Context, node: ASTNode, of: Compiled): Compiled {
  const { type } = of;
  if (type.kind === 'list' || isMap(type) || type.kind === 'null')
    return context.mismatch(node, 'what string() writes', 'number, bool, text or time', type);
  const wrong = context.runtimeError(node, 'cannot be written as text');
  return {
    type: string,
    run: (roots, values) => {
      const value = of.run(roots, values);
      if (typeof value === 'string') return value;
      if (typeof value === 'boolean') return String(value);
      if (typeof value !== 'number') throw wrong();
      if (type.kind === 'timestamp') {
        const instant = writeInstant(value);
        if (instant === null) throw wrong();
        return instant;
      }
      if (type.kind === 'duration') return `${value / 1000}s`;
      if (Math.abs(value) === Number.POSITIVE_INFINITY) return value > 0 ? '+Inf' : '-Inf';
      return String(value);
    },
  };
}

function conversion(
  context: Context,
  node: ASTNode,
  of: Compiled,
  fromText: (text: string) => number | null,
  fromNumber: (value: number) => number | null,
): Compiled {
  const { kind } = of.type;
  if (kind !== 'number' && kind !== 'string' && kind !== 'dyn')
    return context.mismatch(node, 'what becomes a number', 'number or text', of.type);
  const wrong = context.runtimeError(node, 'is not a number');
  return {
    type: number,
    run: (roots, values) => {
      const value = of.run(roots, values);
      const converted =
        typeof value === 'number' ? fromNumber(value) : typeof value === 'string' ? fromText(value) : null;
      if (converted === null) throw wrong();
      return converted;
    },
  };
}
