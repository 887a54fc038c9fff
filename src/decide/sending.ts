import type { Json } from '../model/json.ts';
import { isMailAddress } from '../model/mailAddress.ts';
import type { Fact } from '../model/visitor.ts';
import type { Rule, Scope, Send } from '../playbook/playbook.ts';
import type { ActionDefinition } from '../playbook/sending.ts';
import { boundedValue } from './bounds.ts';
import { valueAt } from './scope.ts';

/** Lines of a cart that a message keeps. */
export const maxLines = 50;

/** Messages of one visitor that may wait for the end of quiet hours; of more, those that come later are withheld. */
export const maxDelayed = 8;
/** One that waits; a rule's are kept as `quiet.RULE` (semantics 9.6). */
export type Delayed = readonly [
  entry: number,
  action: string,
  id: string,
  at: number,
  values: readonly Fact[],
  facts: readonly Fact[],
  by: Json,
  cart: Json,
];

/** A rule that ran asks for a message. */
export interface Sent {
  readonly rule: Rule;
  readonly entry: number;
  readonly send: Send;
  /** `with` of the rule. */
  readonly values: readonly Fact[];
  /** What its conditions read. */
  readonly facts: readonly Fact[];
  /** What the run was counted by (semantics 3.12): a delayed message asks again. null: the rule has no limit. */
  readonly by: Json;
}

/** Where a message goes, and what it tells, by the visitor as it is. */
export interface Addressed {
  readonly to: string | null;
  readonly with: { readonly [name: string]: Json };
}

/** What the rule gives; of a fact that is missing null. @throws CelError when an expression fails */
export function valuesOf(send: Send, scope: Scope): readonly Fact[] {
  return send.with.map(([name, value]): Fact => [name, boundedValue(value.evaluate(scope))]);
}

/** null: a mail without an address. @throws CelError when the address fails */
export function addressed(action: ActionDefinition, values: readonly Fact[], scope: Scope): Addressed | null {
  const to = action.to?.evaluate(scope) ?? null;
  if (action.to !== null && !isMailAddress(to)) return null;
  const given: { [name: string]: Json } = Object.fromEntries(values);
  for (const path of action.reads) given[path] = boundedValue(valueAt(scope, path));
  if (action.hasCart) {
    for (const path of ['cart.id', 'cart.value']) given[path] = valueAt(scope, path);
    given['cart.lines'] = ((valueAt(scope, 'cart.lines') ?? []) as readonly Json[]).slice(0, maxLines);
  }
  return { to: to as string | null, with: given };
}
