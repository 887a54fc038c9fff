import type { JsonObject } from './json.ts';
import type { Candidate, Timer, VisitorCounts } from './visitor.ts';

/** What a browser says about the page it is on. The gateway adds what headers say: `device` from User-Agent, `globalPrivacyControl` from Sec-GPC. */
export interface PageContext {
  readonly url?: string;
  readonly path?: string;
  readonly title?: string;
  readonly referrer?: string;
  /** The page's kind in the playbook's words (`home`, `product`), which slots name in `page`. */
  readonly page?: string;
  readonly locale?: string;
  readonly timeZone?: string;
  readonly viewport?: string;
  readonly device?: DeviceKind;
  /** The request had `Sec-GPC: 1`. */
  readonly globalPrivacyControl?: true;
}
export type DeviceKind = 'desktop' | 'mobile' | 'tablet' | 'tv' | 'bot';

/**
 * One line of the log (semantics 1.3); `schema/record.v1.json` is its contract.
 * Times are integer milliseconds since the Unix epoch.
 */
export type UsherRecord =
  | EventRecord
  | RejectedRecord
  | IdentifiedRecord
  | MergedRecord
  | ForwardedRecord
  | ActivateRecord
  | TouchedRecord
  | AdvanceRecord
  | TickRecord;

interface RecordBase {
  readonly v: 1;
  /** Made by the client for an event, by Usher for the rest. */
  readonly id: string;
}

export interface EventRecord extends RecordBase {
  readonly kind: 'event';
  readonly visitor: string;
  readonly type: string;
  readonly properties: JsonObject;
  /** When it happened, by the client's word, corrected for the client's clock (semantics 3.2). Absent: when it is appended. */
  readonly at?: number;
  /** Both or neither (semantics 2.1). */
  readonly source?: string;
  readonly sequence?: number;
  /** Numbers of the same source that will never come. */
  readonly skipped?: readonly number[];
  readonly imported?: true;
  /** How many rules deep this event was emitted; 0 or absent: sent by a client. */
  readonly depth?: number;
  /** Position of the failed event that this record corrects. */
  readonly retryOf?: string;
  readonly context?: PageContext;
  /** The gateway's clock when the request arrived: for latency figures only, the fold never reads it. */
  readonly receivedAt?: number;
}

/** A record of an input topic that is no event of the tracking plan; it becomes a failed event (semantics 1.4). */
export interface RejectedRecord extends RecordBase {
  readonly kind: 'rejected';
  /** If that much could be told; the record is in its shard then. */
  readonly visitor?: string;
  /** The event type of its topic. */
  readonly type: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** What was expected, what came. */
  readonly detail: string;
  /** What could be read of the event. */
  readonly properties?: JsonObject;
  readonly at?: number;
  /** The text itself, cut, where no properties could be read. */
  readonly value?: string;
}

/** An anonymous visitor turns out to be a known user (semantics 8.1); in the anonymous visitor's shard. */
export interface IdentifiedRecord extends RecordBase {
  readonly kind: 'identified';
  readonly visitor: string;
  /** `u:…`. */
  readonly user: string;
}

/** What an anonymous visitor was, for the user that it turned out to be (semantics 8.2); in the user's shard. */
export interface MergedRecord extends RecordBase {
  readonly kind: 'visitor_merged';
  readonly visitor: string;
  readonly from: string;
  readonly origin: Origin;
  readonly profile: MergedProfile;
}

/** An event that came to an anonymous visitor after it had turned out to be this user (semantics 8.2). */
export interface ForwardedRecord extends RecordBase {
  readonly kind: 'forwarded';
  readonly visitor: string;
  readonly from: string;
  readonly origin: Origin;
  /** As appended, `at` being its event time in the shard that it came from. */
  readonly event: EventRecord;
}

/** Which of its visitor's merge and forwards it is, so that it is taken once however often it comes. */
export interface Origin {
  readonly shard: number;
  /** `<offset>-<n>`: of the record whose folding made it; n counts those that folding it made of the same visitor. */
  readonly output: string;
}

/** All of a visitor that a merge carries. Plain, because a log outlives the form in which states are stored. */
export interface MergedProfile {
  readonly historic: boolean;
  readonly now: number;
  readonly lastAppend: number;
  readonly counts: VisitorCounts;
  readonly traits: JsonObject;
  readonly session: {
    readonly number: number;
    readonly startedAt: number;
    readonly campaign: string | null;
    readonly traits: JsonObject;
  } | null;
  readonly rules: JsonObject;
  readonly segments: { readonly [segment: string]: number };
  /** The candidates of each slot. */
  readonly slots: { readonly [slot: string]: readonly Candidate[] };
  /** Holds excepted. */
  readonly timers: readonly Timer[];
}

/** Switches the shard to another playbook, catalog or fold version (semantics 6.1). */
export interface ActivateRecord extends RecordBase {
  readonly kind: 'activate';
  readonly playbook: string;
  readonly catalog: string;
  readonly foldVersion: number;
}

/** A gateway read a slot that was decided under another playbook: decide anew, without an event (semantics 5.2). */
export interface TouchedRecord extends RecordBase {
  readonly kind: 'touched';
  readonly visitor: string;
}

/** Moves historic visitors' time forward to min(to, T) (semantics 3.6). */
export interface AdvanceRecord extends RecordBase {
  readonly kind: 'advance';
  readonly to: number;
}

/** Carries nothing but its append time (semantics 3.6). */
export interface TickRecord extends RecordBase {
  readonly kind: 'tick';
}

/** The kinds semantics 1.3 names. Those that this fold version does not run yet become failed events. */
export const recordKinds = [
  'event',
  'rejected',
  'identified',
  'visitor_merged',
  'forwarded',
  'erase',
  'activate',
  'touched',
  'advance',
  'tick',
] as const;

/** UTF-8 bytes that an event's record may have; what the log holds of other kinds is smaller. */
export const recordBytesMax = 32_000;

/** A record as the log hands it over. */
export interface LogRecord {
  readonly shard: number;
  readonly offset: number;
  /** The log's own stamp, integer ms; may go back when the machine's clock does, which is why the fold takes the largest (semantics 3.1). */
  readonly stamp: number;
  readonly key: string | null;
  /** The record's JSON, as it was appended; possibly anything, when another program writes to the log. */
  readonly value: string;
}

/** `shard:offset`. */
export function formatPosition(shard: number, offset: number): string {
  return `${shard}:${offset}`;
}
