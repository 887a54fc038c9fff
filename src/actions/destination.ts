import type { Json } from '../model/json.ts';

/**
 * Where messages go: one adapter a kind, one object a destination of the playbook.
 *
 * To whoever writes an adapter, promise this:
 * - **One attempt.** `deliver` tries once and says what became of it. Repeats, back-off, rate and order are the caller's.
 * - **It always answers.** It never rejects, and answers within a limit of its own, whatever the other side does: hangs, drips, closes.
 * - **The outcome is true.** `delivered`: the other side said that it has taken the message. `retry` and `refused`: it said that it has
 *   not, or cannot have; an adapter that is not `repeatable` answers `retry` only if it is sure of that. Otherwise `unknown`.
 * - **Ids.** What is delivered carries the message's id where its kind promises it, the same in every attempt, so that a receiver
 *   knows a repeat.
 * - **The signal ends it.** When it aborts, `deliver` answers soon, with what is true then.
 * - **`beforeFinal` is a gate.** Who awaits it sends nothing that completes the message before it has resolved, or after it has rejected, and does
 *   not answer while it is pending: what it commits would otherwise come after the answer.
 * - **Close.** `close` waits for the attempts under way, then leaves no socket, timer or thread. After it `deliver` answers `retry`.
 * Not your job: whether the message is still wanted, who may receive it, what stands in it.
 */
export interface Destination {
  readonly kind: 'webhook' | 'smtp' | 'topic';
  /** Whether the same message may safely be delivered twice (by its id). false: at most once. */
  readonly repeatable: boolean;
  /** One attempt. Never rejects. */
  deliver(message: OutgoingMessage, attempt: Attempt): Promise<DeliveryOutcome>;
  close(): Promise<void>;
}

/** A message made ready: what an adapter delivers. */
export interface OutgoingMessage {
  /** The action's id: webhook-id, left part of the Message-ID, header `id` of the topic's record. */
  readonly id: string;
  readonly visitor: string;
  readonly action: string;
  /** The address of a mail; null: the destination's own (webhook, topic). */
  readonly to: string | null;
  /** JSON body of webhook and topic. */
  readonly payload: { readonly [name: string]: Json };
  /** Of a mail. */
  readonly mail: OutgoingMail | null;
  /** Wall clock of this attempt, ms. */
  readonly attemptAt: number;
}

export interface OutgoingMail {
  readonly subject: string;
  readonly text: string;
  /** null: the mail is its text alone. */
  readonly html: string | null;
  /** Where one POST unsubscribes (RFC 8058). */
  readonly unsubscribeUrl: string | null;
}

/** `detail` is for whoever reads dead letters: what was expected, what came; at most 500 characters. */
export type DeliveryOutcome =
  | { readonly kind: 'delivered'; readonly detail: string }
  /** Not taken now; may be tried again, not before `afterMs` if told (Retry-After). */
  | { readonly kind: 'retry'; readonly detail: string; readonly afterMs?: number }
  /** Never will be. */
  | { readonly kind: 'refused'; readonly detail: string }
  /** It may have been delivered: never tried again by itself (SMTP after the final dot). */
  | { readonly kind: 'unknown'; readonly detail: string };

export interface Attempt {
  readonly signal: AbortSignal;
  /** SMTP alone: awaited just before the final dot; rejects when the process is not the shard's owner any more. */
  readonly beforeFinal: () => Promise<void>;
}
