import type { Json } from '../model/json.ts';

/** A message made ready: what an adapter delivers. */
export interface OutgoingMessage {
  /** The action's id: webhook-id, Message-ID, key of the topic's record header. */
  readonly id: string;
  readonly visitor: string;
  readonly action: string;
  readonly to: string | null;
  /** JSON body of webhook and topic. */
  readonly payload: { readonly [name: string]: Json };
  /** Of a mail. */
  readonly mail: {
    readonly subject: string;
    readonly text: string;
    readonly html: string | null;
    readonly unsubscribeUrl: string | null;
  } | null;
  /** Wall clock of this attempt, ms. */
  readonly attemptAt: number;
}
export type DeliveryOutcome =
  | { readonly kind: 'delivered'; readonly detail: string }
  /** Not taken now; may be tried again, not before `afterMs` if told (Retry-After, 4xx of SMTP). */
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
export interface Destination {
  readonly kind: 'webhook' | 'smtp' | 'topic';
  /** Whether the same message may safely be delivered twice (by its id). false: at most once. */
  readonly repeatable: boolean;
  /** One attempt. Never rejects. */
  deliver(message: OutgoingMessage, attempt: Attempt): Promise<DeliveryOutcome>;
  close(): Promise<void>;
}
