import { recounted } from '../decide/limits.ts';
import { type EventScope, valueAt } from '../decide/scope.ts';
import { addressed, type Delayed, maxDelayed, type Sent } from '../decide/sending.ts';
import { sendOf, whyUnwanted } from '../decide/wanted.ts';
import type { ActionOrder } from '../model/action.ts';
import type { Json } from '../model/json.ts';
import { endOfTimes } from '../model/quietHours.ts';
import { formatPosition } from '../model/record.ts';
import type { Fact, Timer, Visitor } from '../model/visitor.ts';
import { namedActionId } from '../playbook/eventIds.ts';
import type { ActiveBundles, Rule } from '../playbook/playbook.ts';
import type { ActionDefinition } from '../playbook/sending.ts';
import type { FoldContext } from './context.ts';
import { withTimer } from './timers.ts';

/** What made a rule send. */
export interface SendCause {
  /** Of the event, or of the record that set the timer. */
  readonly offset: number;
  /** Of the timer; null: an event. */
  readonly due: number | null;
  /** The step's `now`. */
  readonly at: number;
  /** Imported records made it, themselves or by a timer (semantics 9.2). */
  readonly imported: boolean;
}

/** Orders the messages that rules ask for, or lets them wait for the end of quiet hours (semantics 9.1, 9.6). */
export function orderSent(
  context: FoldContext,
  before: Visitor,
  sent: readonly Sent[],
  scope: EventScope,
  cause: SendCause,
): Visitor {
  const { work, bundles } = context;
  let visitor = before;
  for (const { rule, entry, send, values, facts, by } of sent) {
    if (cause.imported) {
      work.count('withheld');
      continue;
    }
    const from = [visitor.id, formatPosition(work.shard, cause.offset), cause.due ?? '', rule.id, entry].join('\0');
    const id = namedActionId(from);
    const message = {
      entry,
      action: send.action,
      id,
      at: cause.at,
      values,
      facts,
      by,
      cart: cartOf(send.action, bundles!, scope),
    };
    visitor = orderOrDelay(context, visitor, rule, message, bundles!, scope, cause.offset);
  }
  return visitor;
}

/** The end of quiet hours: what was asked when it was decided is asked again. */
export function orderDelayed(
  context: FoldContext,
  before: Visitor,
  timer: Timer,
  bundles: ActiveBundles,
  scope: EventScope,
): Visitor {
  const { work } = context;
  const [rule = '', entry = ''] = timer.key;
  const { visitor, message } = takeDelayed(before, rule, Number(entry));
  if (message === null) return visitor;
  const asking = bundles.playbook.rules.get(rule);
  const send = sendOf(asking, message.entry, message.action);
  const counted = send === null ? null : recounted(asking!, message.by, visitor.rules, scope, bundles.playbook);
  const about = message.cart === null ? {} : { 'cart.id': message.cart };
  const asked = { rule, ...message, purpose: send?.purpose ?? null, with: about };
  if (counted === null || whyUnwanted(asked, bundles, scope) !== null) {
    work.count('withheld');
    return visitor;
  }
  const { states: rules, by } = counted;
  return orderOrDelay(context, { ...visitor, rules }, asking!, { ...message, by }, bundles, scope, timer.setAt);
}

/** The cart that a message is about; null: about none. */
function cartOf(action: string, { playbook }: ActiveBundles, scope: EventScope): Json {
  return playbook.actions.get(action)!.hasCart ? valueAt(scope, 'cart.id') : null;
}

/** A message as it waits; what its texts read of the visitor is read when it is ordered. */
interface Message {
  readonly entry: number;
  readonly action: string;
  readonly id: string;
  readonly at: number;
  readonly values: readonly Fact[];
  readonly facts: readonly Fact[];
  /** What the run was counted by. */
  readonly by: Json;
  readonly cart: Json;
}

function orderOrDelay(
  context: FoldContext,
  visitor: Visitor,
  rule: Rule,
  message: Message,
  bundles: ActiveBundles,
  scope: EventScope,
  setAt: number,
): Visitor {
  const { work, appendTime, offset } = context;
  const { playbook } = bundles;
  const action = playbook.actions.get(message.action)!;
  const until = quietUntil(action, appendTime, scope, playbook.timezone);
  if (until !== null) {
    const delayed = withDelayed(visitor, rule.id, message, until, setAt);
    work.count(delayed === null ? 'withheld' : 'delayedOrders');
    return delayed ?? visitor;
  }
  const order = orderOf(visitor.id, rule, message, action, playbook.version, appendTime, scope);
  if (order === null) work.count('withheld');
  else work.order(offset, order);
  return visitor;
}

/** Whether it is quiet is asked of the time at which the message would leave, not of the event's. */
function quietUntil({ quiet }: ActionDefinition, appendTime: number, scope: EventScope, zone: string): number | null {
  return quiet === null ? null : endOfTimes(quiet, appendTime, scope.visitor['timeZone'], zone);
}

/** null: there is no address by now. */
function orderOf(
  visitor: string,
  rule: Rule,
  { entry, id, at, values, facts }: Message,
  action: ActionDefinition,
  playbook: string,
  orderedAt: number,
  scope: EventScope,
): ActionOrder | null {
  const message = addressed(action, values, scope);
  if (message === null) return null;
  const send = sendOf(rule, entry, action.id)!;
  return {
    v: 1,
    id,
    visitor,
    action: action.id,
    destination: action.destination,
    rule: rule.id,
    entry,
    playbook,
    purpose: send.purpose,
    ...message,
    facts,
    at,
    orderedAt,
    redriven: 0,
  };
}

/** Another message of the same entry takes its place. null: too many wait. */
function withDelayed(
  visitor: Visitor,
  rule: string,
  { entry, action, id, at, values, facts, by, cart }: Message,
  due: number,
  setAt: number,
): Visitor | null {
  const name = `quiet.${rule}`;
  const others = keptOf(visitor, name).filter(([place]) => place !== entry);
  const timer: Timer = { what: 'send', key: [rule, String(entry)], due, wallDue: due, skew: 0, setAt };
  const timers = withTimer(visitor.timers, timer);
  if (timers.filter(({ what }) => what === 'send').length > maxDelayed) return null;
  const kept: readonly Delayed[] = [...others, [entry, action, id, at, values, facts, by, cart]];
  return { ...visitor, timers, rules: visitor.rules.with([[name, kept as unknown as Json]]) };
}

function takeDelayed(visitor: Visitor, rule: string, entry: number): { visitor: Visitor; message: Message | null } {
  const name = `quiet.${rule}`;
  const kept = keptOf(visitor, name);
  const found = kept.find(([place]) => place === entry);
  if (found === undefined) return { visitor, message: null };
  const others = kept.filter((each) => each !== found);
  const rules = visitor.rules.with([[name, others.length === 0 ? undefined : (others as unknown as Json)]]);
  const [, action, id, at, values, facts, by, cart] = found;
  return { visitor: { ...visitor, rules }, message: { entry, action, id, at, values, facts, by, cart } };
}

function keptOf(visitor: Visitor, name: string): readonly Delayed[] {
  return (visitor.rules.get(name) as readonly Delayed[] | undefined) ?? [];
}
