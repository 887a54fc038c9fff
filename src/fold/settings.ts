import type { FoldOutput } from './outputs.ts';

/** The limits that semantics names. One fold version has one meaning for all but the three ages, which a deployment chooses. */
export interface FoldSettings {
  /** Events are placed no longer than this before their append time, ms (3.2). */
  readonly maxEventAgeMs: number;
  /** R: a visitor without an event for this long is forgotten, ms (4.5). */
  readonly visitorRetentionMs: number;
  /** How long it is remembered that a visitor turned out to be a known user: as long as a token can live, ms; R at least (4.5). */
  readonly aliasRetentionMs: number;
  /** How long a gap in a source's numbers is waited for, ms of append time (2.3). */
  readonly holdMs: number;
  /** Sources kept a visitor (2.1). */
  readonly sources: number;
  /** Missing numbers kept a source (2.1). */
  readonly missing: number;
  /** Numbers told as skipped before they were passed, kept a source (2.1). */
  readonly skippedAhead: number;
  /** A source not known before starts at 1 if its first number is at most this (2.2). */
  readonly firstNumber: number;
  /** Ids of unnumbered events kept a visitor (2.4). */
  readonly recentIds: number;
  /** Failed events that can be retried, kept a visitor (1.7). */
  readonly failures: number;
  /** Events, and bytes of their records, held a visitor (2.3). */
  readonly heldEvents: number;
  readonly heldBytes: number;
  /** Live candidates a slot (5.1). */
  readonly candidates: number;
  /** Lines of activity kept between two commits, for people who watch. */
  readonly activity: number;
  /** What is written to the outbox: a number of an outbox id counts these alone (9.1). Without topics to write to: nothing. */
  readonly outputs: readonly FoldOutput[];
}

const hourMs = 3_600_000;

export const defaultFoldSettings: FoldSettings = {
  maxEventAgeMs: 24 * hourMs,
  visitorRetentionMs: 90 * 24 * hourMs,
  aliasRetentionMs: 90 * 24 * hourMs,
  holdMs: 50,
  sources: 8,
  missing: 16,
  skippedAhead: 128,
  firstNumber: 9,
  recentIds: 512,
  failures: 128,
  heldEvents: 8,
  heldBytes: 8192,
  candidates: 4,
  activity: 64,
  outputs: [],
};
