import type { Json } from './json.ts';
import type { EventRecord } from './record.ts';
import type { TraitStates } from './traitStates.ts';

/**
 * All that the fold knows of one visitor. A value: the fold makes the next one and never changes this one.
 * Times are integer milliseconds since the Unix epoch; numbers in comments are those of docs/semantics.md.
 */
export interface Visitor {
  readonly id: string;
  /** Offset of the record that found this visitor new; with the shard's lineage it names the lineage of its cursors (4.5, 7.1). */
  readonly born: number;
  /** Until the first event that is not imported (3.2). */
  readonly historic: boolean;
  /** Visitor now: the largest event time folded (3.3). */
  readonly now: number;
  /** The largest append time of the visitor's folded events (4.5). */
  readonly lastAppend: number;
  /** Raised by each folded step that changes a slot (5.3). */
  readonly version: number;
  /** At most 8, least recently folded first (2.1). */
  readonly sources: readonly Source[];
  /** 64-bit hashes of the last 512 unnumbered ids, oldest first (2.4). */
  readonly recentIds: readonly string[];
  /** Offsets of its events that failed and were not retried, oldest first; at most 128 (1.7). */
  readonly failures: readonly number[];
  readonly counts: VisitorCounts;
  /** State of each trait, by its name in the playbook; only traits that have one. */
  readonly traits: TraitStates;
  readonly session: Session | null;
  /** Where rules stand with this visitor: what their limits, cool-downs, waits and sequences count on. By `limit.…`, `cool.…`, `spent.…`, `wait.…`, `seq.…`. */
  readonly rules: TraitStates;
  /** The segments it is in, each with the time at which it entered. */
  readonly segments: { readonly [segment: string]: number };
  /** Only slots that have, or had, a candidate. */
  readonly slots: { readonly [slot: string]: Slot };
  readonly timers: readonly Timer[];
  /** The known user that this anonymous visitor turned out to be; then all else but sources and ids is empty (8.1). null: none. */
  readonly alias: string | null;
  /** What it sent to its user last; null without an alias. */
  readonly sent: Sent | null;
  /** What it took from anonymous visitors that turned out to be this user, by the shard they are in, in the order of shards (8.2). */
  readonly taken: readonly Taken[];
}

/** How many outputs the record at this offset made an aliased visitor send to its user. */
export interface Sent {
  readonly offset: number;
  readonly count: number;
}

/** The last record of a shard of whose merges and forwards a user took any. Those of earlier ones came before. */
export interface Taken {
  readonly shard: number;
  readonly offset: number;
  /** How many it took of each visitor that this record made send some. */
  readonly counts: readonly (readonly [from: string, count: number])[];
}

/** What happened to this visitor's records (2.5). `sessions` counts sessions started. */
export interface VisitorCounts {
  readonly folded: number;
  readonly duplicate: number;
  readonly late: number;
  readonly held: number;
  readonly skipped: number;
  readonly beyondWindow: number;
  readonly failed: number;
  readonly refusedTimers: number;
  readonly sessions: number;
}

export interface Source {
  readonly id: string;
  readonly next: number;
  /** Ascending, at most 16. */
  readonly missing: readonly number[];
  /** The largest number ever dropped from `missing`; 0 at first. */
  readonly floor: number;
  /** Numbers told as skipped that `next` has not passed yet, ascending. */
  readonly skipped: readonly number[];
  /** By number, ascending. */
  readonly held: readonly HeldEvent[];
}

export interface HeldEvent {
  readonly sequence: number;
  readonly offset: number;
  /** T of its record. */
  readonly appendTime: number;
  /** UTF-8 bytes of the record as appended. */
  readonly bytes: number;
  /** null: the record cannot be folded; its number is seen and does nothing (1.5). */
  readonly record: EventRecord | null;
}

export interface Session {
  /** 1 for the visitor's first. */
  readonly number: number;
  readonly startedAt: number;
  readonly campaign: string | null;
  /** State of the traits declared `over: session`. */
  readonly traits: TraitStates;
}

/** The order of kinds is part of a timer's id (3.4). */
export const timerKinds = ['hold', 'rule', 'segment', 'slot', 'session'] as const;
export type TimerKind = (typeof timerKinds)[number];

export interface Timer {
  readonly what: TimerKind;
  /** hold [source], rule [rule, key], segment [segment], slot [slot, rule, for|until], session []. */
  readonly key: readonly string[];
  /** Event time; null for a hold. */
  readonly due: number | null;
  /** Append time at which it fires; null for a historic visitor's, holds excepted. */
  readonly wallDue: number | null;
  readonly skew: number;
  /** Offset of the record that caused it. */
  readonly setAt: number;
}

export interface Slot {
  /** The visitor's version when this slot last changed. */
  readonly version: number;
  /** At most 4, one per rule, winner first (5.1). Empty: the fallback shows. */
  readonly candidates: readonly Candidate[];
}

export interface Candidate {
  readonly rule: string;
  /** Which entry of the rule's `then` or `choose`. */
  readonly entry: number;
  readonly content: string;
  readonly priority: number;
  /** Hash of the playbook whose texts it shows. */
  readonly playbook: string;
  readonly cause: Cause;
  /** At most 8. What its texts and its `while` need comes first, then what the rule's condition read. */
  readonly facts: readonly Fact[];
  /** Wall time (event time for a historic visitor) at which `for` or `until` ends it; null: neither. */
  readonly expiresAt: number | null;
}

/** The event, or the timer's event, that made a candidate. */
export interface Cause {
  readonly offset: number;
  /** "" where the passing of time made it: a segment was left. */
  readonly eventId: string;
  readonly eventType: string;
  /** Event time. */
  readonly at: number;
  /** "you viewed p_017": the playbook's phrase for the event, with its values. */
  readonly says: string;
}

/** A name in CEL and the value it had: `['cart.value', 120.5]`. Money in major units, as conditions read it. */
export type Fact = readonly [path: string, value: Json];

/** What a gateway reads of a visitor to answer slots and cursors: small, apart from the profile. */
export interface SlotsView {
  readonly id: string;
  readonly born: number;
  readonly historic: boolean;
  readonly now: number;
  readonly lastAppend: number;
  readonly version: number;
  /** Offsets of this visitor's records still held (7.3). */
  readonly held: readonly number[];
  /** The known user that this visitor turned out to be: its token reads nothing any more (8.3). */
  readonly alias: string | null;
  readonly slots: { readonly [slot: string]: Slot };
}
