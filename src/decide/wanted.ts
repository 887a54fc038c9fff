import type { ActionOrder } from '../model/action.ts';
import type { Visitor } from '../model/visitor.ts';
import type { ActiveBundles, Condition, Rule, Scope, Send } from '../playbook/playbook.ts';
import { consentMissing, consents } from './consent.ts';
import { EventScope } from './scope.ts';

export type Wanted = { readonly wanted: true } | { readonly wanted: false; readonly reason: string };

/** The send that an order came of; null: the rule, as it is now, sends it no more. */
export function sendOf(rule: Rule | undefined, entry: number, action: string): Send | null {
  const what = rule?.status === 'live' ? rule.entries[entry] : undefined;
  return what?.do === 'send' && what.action === action ? what : null;
}

/**
 * Whether a message is still to be sent, asked with the visitor as it is just before it leaves (semantics 9.7). Pure.
 * @param now wall clock, ms
 */
export function stillWanted(visitor: Visitor, order: ActionOrder, bundles: ActiveBundles, now: number): Wanted {
  const at = Math.max(visitor.now, now);
  const scope = new EventScope(bundles, visitor, at, null, at);
  const reason = whyUnwanted(order, bundles, scope);
  return reason === null ? { wanted: true } : { wanted: false, reason };
}

/** null: it is wanted. */
export function whyUnwanted(
  order: Pick<ActionOrder, 'rule' | 'entry' | 'action' | 'purpose' | 'with'>,
  { playbook }: ActiveBundles,
  scope: Scope,
): string | null {
  const rule = playbook.rules.get(order.rule);
  const send = sendOf(rule, order.entry, order.action);
  if (rule === undefined || send === null || !playbook.actions.has(order.action))
    return `the rule ${order.rule} does not send ${order.action} any more`;
  for (const purpose of [order.purpose, send.purpose])
    if (purpose !== null && !consents(purpose, scope)) return consentMissing(purpose);
  const cart = order.with['cart.id'];
  if (cart !== undefined && cart !== (scope.cart as { id?: unknown } | null)?.id)
    return 'the cart that it is about is no more';
  for (const condition of [rule.if, send.if]) {
    const failing = condition === null ? undefined : lastingParts(condition, rule).find((part) => !holds(part, scope));
    if (failing !== undefined) return `${failing.source} does not hold any more`;
  }
  if (rule.unless !== null && isLasting(rule.unless, rule) && !holdsNot(rule.unless, scope))
    return `unless ${rule.unless.source} holds by now`;
  return null;
}

/** What only an event has, and elements of sequences, are taken as they were when it was decided. */
function lastingParts(condition: Condition, rule: Rule): readonly Condition[] {
  return condition.parts.filter((part) => isLasting(part, rule));
}
const ofEvent = ['event', 'product', 'page', 'device'];
function isLasting({ reads }: Condition, { trigger }: Rule): boolean {
  const names = trigger.kind === 'sequence' ? trigger.elements.flatMap(({ as }) => as ?? []) : [];
  return reads.every((read) => {
    const root = read.split('.', 1)[0]!;
    return !ofEvent.includes(root) && !names.includes(root);
  });
}

function holds(condition: Condition, scope: Scope): boolean {
  try {
    return condition.evaluate(scope);
  } catch {
    return false;
  }
}
/** As when a rule is tried, one that fails keeps it from running. */
function holdsNot(condition: Condition, scope: Scope): boolean {
  try {
    return !condition.evaluate(scope);
  } catch {
    return false;
  }
}
