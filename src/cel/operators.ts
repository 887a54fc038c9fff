import type { ASTNode, BinaryOperator } from '@marcbachmann/cel-js';
import { compareUtf8 } from '../model/shard.ts';
import { isDuration, isInstant } from './calendar.ts';
import { type Compiled, type Context, type Local, type Run, withArticle } from './compiler.ts';
import { CelError } from './errors.ts';
import {
  bool,
  type CelType,
  comparable,
  duration,
  isMap,
  money,
  nameOf,
  number,
  string,
  timestamp,
  unify,
} from './types.ts';

type Binary = Extract<ASTNode, { op: BinaryOperator | '&&' | '||' }>;

/**
 * CEL's `&&` and `||`: the side that decides alone decides, also when the other one fails. So `product.price > 10 || true` holds
 * without a product.
 */
export function compileLogic(context: Context, node: Binary, locals: readonly Local[]): Compiled {
  const sides = node.args.map((side) => {
    const compiled = context.compile(side, locals);
    if (compiled.type.kind === 'bool' || compiled.type.kind === 'dyn') return compiled;
    return context.mismatch(side, `each side of ${node.op}`, 'bool', compiled.type);
  });
  const [left, right] = [sides[0]!.run, sides[1]!.run];
  const decides = node.op === '||';
  const notBool = context.runtimeError(node, 'each side must be true or false');
  const run: Run = (roots, values) => {
    let first: unknown;
    let failure: CelError;
    try {
      first = left(roots, values);
      if (first === decides) return decides;
      if (first === !decides) {
        const second = right(roots, values);
        if (typeof second === 'boolean') return second;
      }
      failure = notBool();
    } catch (error) {
      if (!(error instanceof CelError) || first !== undefined) throw error;
      failure = error;
    }
    if (first !== !decides && right(roots, values) === decides) return decides;
    throw failure;
  };
  return { type: bool, run };
}

export function compileNot(context: Context, node: Extract<ASTNode, { op: '!_' }>, locals: readonly Local[]): Compiled {
  const { type, run } = context.compile(node.args, locals);
  if (type.kind !== 'bool' && type.kind !== 'dyn') return context.mismatch(node.args, 'what ! negates', 'bool', type);
  const notBool = context.runtimeError(node, 'must be true or false');
  return {
    type: bool,
    run: (roots, values) => {
      const value = run(roots, values);
      if (typeof value !== 'boolean') throw notBool();
      return !value;
    },
  };
}

export function compileMinus(
  context: Context,
  node: Extract<ASTNode, { op: '-_' }>,
  locals: readonly Local[],
): Compiled {
  const { type, run, constant } = context.compile(node.args, locals);
  if (type.kind !== 'number' && type.kind !== 'dyn') {
    return context.mismatch(node.args, 'what - negates', 'number', type);
  }
  if (typeof constant === 'number') return { type, run: () => -constant, constant: -constant };
  const notNumber = context.runtimeError(node, 'must be a number');
  return {
    type,
    run: (roots, values) => {
      const value = run(roots, values);
      if (typeof value !== 'number') throw notNumber();
      return -value;
    },
  };
}

export function compileChoice(
  context: Context,
  node: Extract<ASTNode, { op: '?:' }>,
  locals: readonly Local[],
): Compiled {
  const [conditionNode, yesNode, noNode] = node.args;
  const condition = context.compile(conditionNode, locals);
  if (condition.type.kind !== 'bool' && condition.type.kind !== 'dyn') {
    return context.mismatch(conditionNode, 'what stands before ?', 'bool', condition.type);
  }
  const yes = context.compile(yesNode, locals);
  const no = context.compile(noNode, locals);
  const type = unify(yes.type, no.type);
  if (type === null) {
    return context.fail(node, `both sides of : must have one type, not ${nameOf(yes.type)} and ${nameOf(no.type)}`, {
      expected: nameOf(yes.type),
      got: nameOf(no.type),
    });
  }
  const notBool = context.runtimeError(conditionNode, 'must be true or false');
  return {
    type,
    run: (roots, values) => {
      const value = condition.run(roots, values);
      if (value === true) return yes.run(roots, values);
      if (value === false) return no.run(roots, values);
      throw notBool();
    },
  };
}

export function compileEquality(context: Context, node: Binary, locals: readonly Local[]): Compiled {
  const [left, right] = node.args.map((side) => context.compile(side, locals)) as [Compiled, Compiled];
  if (!comparable(left.type, right.type)) return neverEqual(context, node, left.type, right.type);
  const wanted = node.op === '==';
  // A missing fact equals null, so that `visitor.email == null` can be asked.
  if (right.constant === null) return nullTest(left.maybe ?? left.run, wanted);
  if (left.constant === null) return nullTest(right.maybe ?? right.run, wanted);
  const a = left.run;
  if (right.constant !== undefined) {
    const b = right.constant;
    return {
      type: bool,
      run: wanted ? (roots, values) => a(roots, values) === b : (roots, values) => a(roots, values) !== b,
    };
  }
  const b = right.run;
  const run: Run = (roots, values) => {
    const x = a(roots, values);
    const y = b(roots, values);
    return (x === y || (typeof x === 'object' && equal(x, y))) === wanted;
  };
  return { type: bool, run };
}

function nullTest(of: Run, wanted: boolean): Compiled {
  return { type: bool, run: (roots, values) => (of(roots, values) === null) === wanted };
}

function neverEqual(context: Context, node: Binary, left: CelType, right: CelType): Compiled {
  return context.fail(node, `${withArticle(nameOf(left))} never equals ${withArticle(nameOf(right))}`, {
    expected: nameOf(left),
    got: nameOf(right),
  });
}

export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((each, i) => equal(each, b[i]));
  if (Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every(
    (key) => Object.hasOwn(b, key) && equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
  );
}

const ordered = new Set(['number', 'string', 'timestamp', 'duration', 'dyn']);

export function compileOrder(context: Context, node: Binary, locals: readonly Local[]): Compiled {
  const [left, right] = node.args.map((side) => context.compile(side, locals)) as [Compiled, Compiled];
  for (const [i, { type }] of [left, right].entries()) {
    if (!ordered.has(type.kind))
      return context.mismatch(node.args[i]!, `what ${node.op} compares`, 'number, text or time', type);
  }
  if (left.type.kind !== right.type.kind && left.type.kind !== 'dyn' && right.type.kind !== 'dyn') {
    return context.fail(
      node,
      `${node.op} cannot compare ${withArticle(nameOf(left.type))} with ${withArticle(nameOf(right.type))}`,
      {
        expected: nameOf(left.type),
        got: nameOf(right.type),
      },
    );
  }
  const notOrdered = context.runtimeError(node, 'both sides must be numbers, or both texts');
  return { type: bool, run: orderOf(node.op as '<', left.run, right.run, notOrdered) };
}

function orderOf(op: '<' | '<=' | '>' | '>=', a: Run, b: Run, notOrdered: () => CelError): Run {
  // One closure an operator: a shared one with a comparator inside is half as fast.
  const number = (x: unknown, y: unknown): x is number => typeof x === 'number' && typeof y === 'number';
  /** As numbers to compare with 0. JavaScript would order texts by UTF-16 units, CEL orders them by code points. */
  const text = (x: unknown, y: unknown): number => {
    if (typeof x !== 'string' || typeof y !== 'string') throw notOrdered();
    return compareUtf8(x, y);
  };
  switch (op) {
    case '<':
      return (roots, values) => {
        const x = a(roots, values) as number;
        const y = b(roots, values) as number;
        return number(x, y) ? x < y : text(x, y) < 0;
      };
    case '<=':
      return (roots, values) => {
        const x = a(roots, values) as number;
        const y = b(roots, values) as number;
        return number(x, y) ? x <= y : text(x, y) <= 0;
      };
    case '>':
      return (roots, values) => {
        const x = a(roots, values) as number;
        const y = b(roots, values) as number;
        return number(x, y) ? x > y : text(x, y) > 0;
      };
    case '>=':
      return (roots, values) => {
        const x = a(roots, values) as number;
        const y = b(roots, values) as number;
        return number(x, y) ? x >= y : text(x, y) >= 0;
      };
  }
}

/** The type of `left op right`; null: the operator does not take these. */
function arithmeticType(op: string, left: CelType, right: CelType): CelType | null {
  if (left.kind === 'dyn' || right.kind === 'dyn') {
    const known = left.kind === 'dyn' ? right : left;
    return known.kind === 'bool' || known.kind === 'null' || isMap(known) ? null : known;
  }
  if (left.kind === 'number' && right.kind === 'number') {
    const isMoney =
      op === '/' ? left.money && !right.money : op === '*' ? left.money !== right.money : left.money || right.money;
    return isMoney ? money : number;
  }
  if (op === '+' && left.kind === 'string' && right.kind === 'string') return string;
  if (op === '+' && left.kind === 'list' && right.kind === 'list') return unify(left, right);
  if (op === '-' && left.kind === 'timestamp' && right.kind === 'timestamp') return duration;
  if ((op === '+' || op === '-') && left.kind === 'timestamp' && right.kind === 'duration') return timestamp;
  if ((op === '+' || op === '-') && left.kind === 'duration' && right.kind === 'duration') return duration;
  if (op === '+' && left.kind === 'duration' && right.kind === 'timestamp') return timestamp;
  return null;
}

export function compileArithmetic(context: Context, node: Binary, locals: readonly Local[]): Compiled {
  const [left, right] = node.args.map((side) => context.compile(side, locals)) as [Compiled, Compiled];
  const type = arithmeticType(node.op, left.type, right.type);
  if (type === null) {
    return context.fail(
      node,
      `${node.op} does not work on ${withArticle(nameOf(left.type))} and ${withArticle(nameOf(right.type))}`,
      {
        expected: nameOf(left.type),
        got: nameOf(right.type),
      },
    );
  }
  const wrong = context.runtimeError(node, `the two sides do not go with ${node.op}`);
  const [a, b] = [left.run, right.run];
  const numeric = (compute: (x: number, y: number) => number): Run => {
    return (roots, values) => {
      const x = a(roots, values);
      const y = b(roots, values);
      if (typeof x !== 'number' || typeof y !== 'number') throw wrong();
      return compute(x, y);
    };
  };
  const run = (): Run => {
    switch (node.op) {
      case '-':
        return numeric((x, y) => x - y);
      case '*':
        return numeric((x, y) => x * y);
      case '/':
        return numeric((x, y) => x / y);
      case '%': {
        const byZero = context.runtimeError(node, 'there is no remainder of a division by 0');
        return numeric((x, y) => {
          if (y === 0) throw byZero();
          // Whole numbers are what has remainders, and they have no -0.
          return (x % y) + 0;
        });
      }
      default:
        return (roots, values) => {
          const x = a(roots, values);
          const y = b(roots, values);
          if (typeof x === 'number' && typeof y === 'number') return x + y;
          if (typeof x === 'string' && typeof y === 'string') return x + y;
          if (Array.isArray(x) && Array.isArray(y)) return [...x, ...y];
          throw wrong();
        };
    }
  };
  if (type.kind === 'timestamp') return { type, run: within(run(), isInstant, context, node, 'the years 1 to 9999') };
  if (type.kind === 'duration') return { type, run: within(run(), isDuration, context, node, '292 years') };
  return { type, run: run() };
}

/** Times that nothing else here could write or read are not made. */
function within(run: Run, holds: (ms: number) => boolean, context: Context, node: ASTNode, range: string): Run {
  const beyond = context.runtimeError(node, `is beyond ${range}`);
  return (roots, values) => {
    const ms = run(roots, values) as number;
    if (!holds(ms)) throw beyond();
    return ms;
  };
}

export function compileIn(context: Context, node: Binary, locals: readonly Local[]): Compiled {
  const [element, of] = node.args.map((side) => context.compile(side, locals)) as [Compiled, Compiled];
  if (of.type.kind === 'list' && !comparable(element.type, of.type.of))
    return neverEqual(context, node, element.type, of.type.of);
  if (isMap(of.type) && element.type.kind !== 'string' && element.type.kind !== 'dyn') {
    return context.mismatch(node.args[0], 'the key of a map', 'text', element.type);
  }
  if (of.type.kind !== 'list' && !isMap(of.type) && of.type.kind !== 'dyn') {
    return context.mismatch(node.args[1], 'what stands after in', 'list or map', of.type);
  }
  const wrong = context.runtimeError(node.args[1], 'must be a list or a map');
  const has = (value: unknown, container: unknown): boolean => {
    if (Array.isArray(container))
      return typeof value === 'object' ? container.some((each) => equal(each, value)) : container.indexOf(value) >= 0;
    if (container === null || typeof container !== 'object') throw wrong();
    return typeof value === 'string' && Object.hasOwn(container, value);
  };
  return { type: bool, run: (roots, values) => has(element.run(roots, values), of.run(roots, values)) };
}
