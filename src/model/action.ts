import type { Json } from './json.ts';
import type { Fact } from './visitor.ts';

/** A message that a rule asks for (semantics 9.1): leaves the outbox for the topic `actions`. */
export interface ActionOrder {
  readonly v: 1;
  /** hash(visitor, position of the event or `setAt` of the timer, due, rule, index of the entry), hex, 32 digits. */
  readonly id: string;
  readonly visitor: string;
  /** The playbook's action (`cart_mail`) and its destination (`shop_mail`). */
  readonly action: string;
  readonly destination: string;
  readonly rule: string;
  readonly entry: number;
  /** Hash of the playbook that asked; its templates are rendered. */
  readonly playbook: string;
  readonly purpose: string | null;
  /** Where it goes, of a mail: the address as it was when decided. null: the destination's own (webhook, topic). */
  readonly to: string | null;
  /** `with:` of the rule, and what the action's templates read, by dotted name; money in major units. */
  readonly with: { readonly [name: string]: Json };
  readonly facts: readonly Fact[];
  /** Event time of the step, and T of its record, ms. */
  readonly at: number;
  readonly orderedAt: number;
  /** Times it was driven again. */
  readonly redriven: number;
}

/** The topic of what rules send: its entries go to the actions of whoever owns the shard. */
export const actionsTopic = 'actions';
