import { randomSource } from './ids.ts';
import type { Json, TrackOutcome } from './types.ts';

/** An event as it travels; `source` and `sequence` are given when it is queued. */
export interface EventRecord {
  readonly id: string;
  readonly type: string;
  readonly properties: Json;
  readonly occurredAt: string;
  readonly context: { readonly [name: string]: Json };
}

/** The events of one visitor: they are numbered under a source of its own, and sent as that visitor, whoever is here by then. */
export class Line {
  readonly source = randomSource();
  /** Whose events these are, when it is no longer the one whom the token source names. */
  token: string | null = null;
  /** Numbers that were refused for good and not told yet. */
  readonly untold: number[] = [];
  #lastSequence = 0;

  next(): number {
    return ++this.#lastSequence;
  }
}

export interface Pending {
  readonly record: EventRecord;
  line: Line;
  sequence: number;
  /** Fixed by the first sending: a copy that was recorded after all must have carried the same. */
  skipped: readonly number[];
  sent: boolean;
  readonly bytes: number;
  readonly settle: (outcome: TrackOutcome) => void;
}

/** The event as one of another visitor's: it begins anew there. */
export function moveTo(pending: Pending, line: Line): void {
  pending.line = line;
  pending.sequence = line.next();
  pending.skipped = [];
  pending.sent = false;
}
