import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** What happened to the rows and the calls of one replay so far. Counts of rows, unless a name says otherwise. */
export class Tally {
  /** Rows that got their last word: accepted or refused. */
  settled = 0;
  accepted = 0;
  /** By error code; `ROW_UNREADABLE` for rows that no event could be made of. */
  readonly refused = new Map<string, number>();
  /** Rows sent again, because the first answer was UNKNOWN, asked to wait, or never came. */
  resent = 0;
  /** Rows whose answer was UNKNOWN. */
  unknown = 0;
  /** Rows whose answer said to wait (OVERLOADED and the like). */
  deferred = 0;
  calls = 0;
  /** Calls whose connection broke while they were under way: the server may or may not have done them. */
  brokenCalls = 0;
  /** Calls that reached nobody. */
  unreachedCalls = 0;
  /** Time of each answered call, µs. */
  readonly latency: RecordableHistogram = createHistogram();
  /** The first few refusals, to be shown. */
  readonly examples: { readonly row: number; readonly code: string; readonly message: string }[] = [];

  refuse(row: number, code: string, message: string): void {
    this.settled++;
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
    if (this.examples.length < 5) this.examples.push({ row, code, message });
  }

  get refusedRows(): number {
    return [...this.refused.values()].reduce((sum, count) => sum + count, 0);
  }
}
