import type { ASTNode } from '@marcbachmann/cel-js';
import { nearest } from '../model/nearest.ts';
import type { OffsetAt } from '../model/zones.ts';
import { durationParts, isInstant, offsetOf, timestampParts } from './calendar.ts';
import type { Compiled, Context, Local } from './compiler.ts';
import { number } from './types.ts';

export const timeMethodNames: readonly string[] = Object.keys(timestampParts);

const exampleZone = 'a time zone such as "Europe/Berlin" or "+02:00"';

/** `now.getHours("Europe/Berlin")`; without a zone, of UTC. Of a duration `getHours()` is how many there are. */
export function compileTimeMethod(
  context: Context,
  node: Extract<ASTNode, { op: 'rcall' }>,
  receiver: Compiled,
  locals: readonly Local[],
): Compiled {
  const [name, receiverNode, args] = node.args;
  const { kind } = receiver.type;
  const isDuration = kind === 'duration';
  const of = isDuration ? durationParts : timestampParts;
  // Not typed because of a mistake that is told already.
  if (kind === 'dyn' && context.problems.length > 0) return { ...receiver, type: number };
  if ((!isDuration && kind !== 'timestamp') || !Object.hasOwn(of, name)) {
    const what = Object.hasOwn(durationParts, name) ? 'timestamp or duration' : 'timestamp';
    return context.mismatch(receiverNode, `what has .${name}()`, what, receiver.type);
  }
  const most = isDuration ? 0 : 1;
  if (args.length > most)
    return context.fail(
      node,
      `.${name}() takes ${isDuration ? 'no argument' : 'at most 1 argument'}, not ${args.length}`,
    );
  const part = of[name as 'getHours'];
  const offset = args[0] === undefined ? null : zoneOf(context, args[0], locals);
  const notTime = context.runtimeError(receiverNode, `is not a ${kind}`);
  const { run } = receiver;
  return {
    type: number,
    run: (roots, values) => {
      const ms = run(roots, values);
      if (typeof ms !== 'number' || !(isDuration || isInstant(ms))) throw notTime();
      return part(offset === null ? ms : ms + offset(ms));
    },
  };
}

/** A zone is written out, so that it is checked here and not by the visitor who comes first. */
function zoneOf(context: Context, node: ASTNode, locals: readonly Local[]): OffsetAt | null {
  const { constant } = context.compile(node, locals);
  if (typeof constant !== 'string') {
    context.fail(node, `expected ${exampleZone}, written out`, { expected: exampleZone });
    return null;
  }
  const offset = offsetOf(constant);
  if (offset === null) {
    const near = nearest(constant, Intl.supportedValuesOf('timeZone'));
    context.fail(node, `${JSON.stringify(constant)} is not a time zone`, {
      expected: exampleZone,
      got: JSON.stringify(constant),
      ...(near === null ? {} : { nearest: near }),
    });
  }
  return offset;
}
