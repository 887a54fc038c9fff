import { CelError, errorAt } from './errors.ts';

/**
 * The value of a condition that does not depend on facts: `false && product.price > 5` is false whatever the price. null: it
 * depends on them.
 * @param known facts that are told nonetheless, by root
 */
export function constantOf(
  condition: { evaluate(scope: object): unknown },
  known: { readonly [root: string]: object } = {},
): boolean | null {
  const roots = Object.fromEntries(Object.entries(known).map(([root, facts]) => [root, onlyKnown(facts)]));
  try {
    const value = condition.evaluate(onlyKnown(roots));
    return typeof value === 'boolean' ? value : null;
  } catch (error) {
    if (error instanceof CelError) return null;
    throw error;
  }
}

const notKnown = errorAt(() => 'not known');

/** Anything else that is asked of it fails as an absent fact does, which `&&` and `||` pass over when the other side decides. */
function onlyKnown<T extends object>(facts: T): T {
  const unknown = (): never => {
    throw notKnown();
  };
  return new Proxy(facts, {
    get: (target, name) => (Object.hasOwn(target, name) ? Reflect.get(target, name) : unknown()),
    getOwnPropertyDescriptor: (target, name) =>
      Object.hasOwn(target, name) ? Reflect.getOwnPropertyDescriptor(target, name) : unknown(),
    ownKeys: unknown,
    has: unknown,
  });
}

/** The value of an expression that reads no fact; undefined: it does, or fails. */
export function constantOfCel(cel: { readonly reads: readonly string[]; evaluate(scope: object): unknown }): unknown {
  if (cel.reads.length > 0) return undefined;
  try {
    return cel.evaluate({});
  } catch (error) {
    if (error instanceof CelError) return undefined;
    throw error;
  }
}
