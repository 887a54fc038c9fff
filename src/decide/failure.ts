import type { FailureReason } from '../model/commit.ts';

/** An event that cannot be folded: all it did is undone, its number or id counts as seen, and it is kept as a failed event (semantics 1.5). */
export class FoldFailure extends Error {
  override readonly name = 'FoldFailure';
  readonly reason: FailureReason;
  constructor(reason: FailureReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}
