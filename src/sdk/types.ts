/** JSON as it travels. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type Properties = { readonly [name: string]: Json };

export interface UsherOptions {
  /** Where Usher answers, without `/graphql`; default: the page's own origin. */
  readonly url?: string;
  /**
   * Who the visitor is. Left out: an anonymous visit, kept in `storage` and renewed. A text: that token (`dev:alice` in
   * development). A function: asked at first, and again when Usher says that the token has expired.
   */
  readonly token?: string | (() => string | Promise<string>);
  /** Keeps the visit token; default localStorage, and memory where that is not allowed. */
  readonly storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  /** Name of the page (`home`, `product`); default `<meta name="usher-page" content="…">`. */
  readonly page?: string;
  /** Told what belongs to no call: events that were given up, subscriptions that cannot go on. Default: console.warn. */
  readonly onError?: (error: UsherClientError) => void;
}

export interface PageContext {
  readonly url?: string;
  readonly path?: string;
  readonly title?: string;
  readonly referrer?: string;
  readonly page?: string;
  readonly locale?: string;
  readonly timeZone?: string;
  readonly viewport?: string;
}

export interface TrackOptions {
  /** UUID; default: a random one. The same id is never counted twice. */
  readonly id?: string;
  /** When it happened; default now. */
  readonly occurredAt?: Date;
  /** Added to, and winning over, what is collected of the page. */
  readonly context?: PageContext;
}

/** What became of an event. Never an exception: `track` may be called without waiting. */
export type TrackOutcome =
  | { readonly id: string; readonly status: 'ACCEPTED'; readonly cursor: string | null }
  | { readonly id: string; readonly status: 'REFUSED'; readonly error: UsherClientError };

export interface Slot {
  readonly name: string;
  readonly content: { readonly id: string; readonly type: string; readonly data: Properties };
  readonly source: 'RULE' | 'FALLBACK' | (string & {});
  /** The visitor's version when this slot last changed: the same number is the same content. */
  readonly version: number;
  readonly cursor: string;
  readonly decidedAt: string | null;
  readonly expiresAt: string | null;
  /** The answer could not wait for `after`. */
  readonly stale: boolean;
  readonly why: Why;
}
export interface Why {
  /** "Shown because you viewed p_017 with 120.50 in the cart (upsell_over_100)". */
  readonly sentence: string;
  readonly ruleId: string | null;
  readonly playbookVersion: string;
  readonly eventId: string | null;
  readonly facts: readonly { readonly name: string; readonly value: Json }[];
  readonly losers: readonly { readonly ruleId: string; readonly contentId: string; readonly reason: string }[];
}

export interface SlotsOptions {
  /** The cursor of a tracked event: wait until it is folded, at most `waitMs`. */
  readonly after?: string | null;
  /** At most this long, ms; default 0, or 200 when `after` is given. */
  readonly waitMs?: number;
  readonly context?: PageContext;
}

export interface Stage {
  readonly name: string;
  readonly ms: number;
}
export interface ContentUpdate {
  /** SNAPSHOT: all slots asked for, first and after a reconnect that missed something. CHANGE: those that one commit changed. */
  readonly kind: 'SNAPSHOT' | 'CHANGE';
  readonly cursor: string;
  readonly slots: readonly Slot[];
  readonly cause: {
    readonly eventId: string | null;
    readonly eventType: string;
    readonly at: string;
    readonly rules: readonly string[];
    readonly stages: readonly Stage[];
  } | null;
}

/** One step of the fold for this visitor, as it happens. */
export interface Activity {
  readonly visitorId: string;
  /** `shard:offset`. */
  readonly position: string;
  readonly what: 'FOLDED' | 'DUPLICATE' | 'HELD' | 'FAILED' | 'TIMER' | 'TOUCHED' | (string & {});
  readonly eventId: string | null;
  readonly type: string;
  readonly at: string;
  readonly properties: Properties | null;
  readonly rules: readonly string[];
  readonly slots: readonly Slot[];
  readonly detail: string | null;
  readonly stages: readonly Stage[];
}

export interface VisitorFacts {
  readonly id: string;
  readonly visitor: Properties;
  readonly session: Properties | null;
  readonly cart: {
    readonly id: number;
    readonly value: number;
    readonly lines: readonly { readonly productId: string; readonly quantity: number; readonly price: number }[];
  };
  readonly traits: Properties;
  /** By purpose: true, false, or null while nothing was told. */
  readonly consent: { readonly [purpose: string]: boolean | null };
  readonly counts: { readonly [name: string]: number };
}

export interface SubscribeOptions {
  readonly onError?: (error: UsherClientError) => void;
  /** Called when the connection opens, and with false when it is lost (it comes back by itself). */
  readonly onConnected?: (connected: boolean) => void;
}

/** Events that wait to be accepted, and what became of the others, since this client was made. */
export interface TrackCounts {
  readonly waiting: number;
  readonly accepted: number;
  readonly refused: number;
  /** Refused here, because the queue was full. */
  readonly dropped: number;
}

/** A fault with a code: one of docs/errors.md, or NETWORK, QUEUE_FULL, CLOSED, which arise here. */
export class UsherClientError extends Error {
  override readonly name = 'UsherClientError';
  readonly code: string;
  /** Whether the same again may succeed. */
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
  readonly hint: string | null;
  constructor(
    code: string,
    message: string,
    more: { retryable?: boolean; retryAfterMs?: number | null; hint?: string | null } = {},
  ) {
    super(message);
    this.code = code;
    this.retryable = more.retryable ?? retryableCodes.has(code);
    this.retryAfterMs = more.retryAfterMs ?? null;
    this.hint = more.hint ?? null;
  }
}

/** Codes after which the same request may succeed; a test holds them equal to the server's catalogue. */
export const retryableCodes: ReadonlySet<string> = new Set([
  'NETWORK',
  'INTERNAL',
  'IDENTITY_TOKEN_EARLY',
  'IDENTITY_KEYS_UNAVAILABLE',
  'LOG_UNAVAILABLE',
  'LOG_FULL',
  'UNKNOWN',
  'OVERLOADED',
  'STATE_UNAVAILABLE',
  'OUTPUT_UNAVAILABLE',
  'SHUTTING_DOWN',
]);

/** Codes that a new token may cure. */
export const tokenCodes: ReadonlySet<string> = new Set([
  'TOKEN_EXPIRED',
  'TOKEN_INVALID',
  'TOKEN_SUPERSEDED',
  'VISIT_REQUIRED',
]);
