import { type ActionOrder, actionsTopic } from './action.ts';

/**
 * The topic of orders whose records had been folded before: by a state that was lost, or went back in time. What became of them then is
 * not known (semantics 9.3).
 */
export const actionsAgainTopic = `${actionsTopic}.again`;

/** Why a message was given up. Each can be driven again, by hand. */
export const deadReasons = [
  /** The destination said that it never will. */
  'REFUSED',
  /** It was tried for as long as its destination's `retryFor` says. */
  'RETRIES_EXHAUSTED',
  /** It may have been delivered, and must not be twice. */
  'OUTCOME_UNKNOWN',
  /** Too many waited for its destination. */
  'LANE_FULL',
  /** Whoever serves the shard has no destination of this name. */
  'DESTINATION_UNKNOWN',
  /** Its text could not be made. */
  'MESSAGE_INVALID',
] as const;
export type DeadReason = (typeof deadReasons)[number];

/** An order, and how far it has come. A value: absolute, so that writing it twice changes nothing. Times are wall clock, integer ms. */
export interface StoredAction {
  readonly order: ActionOrder;
  /**
   * `waiting`: for its time, or in an attempt that may be repeated. `attempting`: what cannot be repeated is about to leave, or has left.
   * `done`: delivered, or not wanted any more. `dead`: given up.
   */
  readonly state: 'waiting' | 'attempting' | 'done' | 'dead';
  readonly attempts: number;
  /** `retryFor` counts from here. */
  readonly acceptedAt: number;
  /** Not tried before. */
  readonly nextAt: number;
  /** When it came to this state. */
  readonly changedAt: number;
  readonly reason: DeadReason | null;
  /** What the destination last said, or why it is not wanted. */
  readonly detail: string;
  /** The visitor's log knows how it ended; false too while it has not. */
  readonly told: boolean;
}

/** Whether somebody has still to do something about it. */
export function isPending({ state, told }: StoredAction): boolean {
  return state === 'waiting' || state === 'attempting' || !told;
}

/** Of an action that is done and told only the id is kept, so that the same order is known when it comes again. */
export function isOver({ state, told }: StoredAction): boolean {
  return state === 'done' && told;
}

/** Which dead letters of a shard are asked for, the last changed first (of one moment: by id, downwards). */
export interface DeadQuery {
  readonly shard: number;
  /** null: of any. */
  readonly destination: string | null;
  readonly before: { readonly changedAt: number; readonly id: string } | null;
  readonly limit: number;
}
