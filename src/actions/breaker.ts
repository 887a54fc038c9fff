const failuresMost = 5;
const openMs = { first: 1_000, most: 60_000 };

/**
 * Keeps a lane from asking a destination that is down: after five failures in a row nothing is tried for a second, then one message; if
 * that fails, the pause doubles, up to a minute.
 *
 * Ours and not a library's: it holds no timer, so the lane can ask when to look again and sleep until then together with its other
 * reasons to wait, and a simulation can let an hour pass.
 */
export class Breaker {
  #failures = 0;
  #openUntil = 0;
  #pauseMs = openMs.first;
  #isProbing = false;

  /** Whether less than all is let through. */
  get isOpen(): boolean {
    return this.#failures >= failuresMost;
  }

  /** How long until the next attempt may begin, ms; Infinity: when the one that tries has come back. */
  waitMs(now: number): number {
    if (!this.isOpen) return 0;
    return this.#isProbing ? Number.POSITIVE_INFINITY : Math.max(0, this.#openUntil - now);
  }

  started(): void {
    this.#isProbing = this.isOpen;
  }

  /** The destination answered, whatever it said. */
  good(): void {
    this.#failures = 0;
    this.#pauseMs = openMs.first;
    this.#isProbing = false;
  }

  bad(now: number): void {
    const wasOpen = this.isOpen;
    this.#failures++;
    // What was under way when it opened tells nothing new.
    if (wasOpen && !this.#isProbing) return;
    this.#isProbing = false;
    if (!this.isOpen) return;
    this.#openUntil = now + this.#pauseMs;
    this.#pauseMs = Math.min(openMs.most, this.#pauseMs * 2);
  }

  /** An attempt ended that says nothing of the destination. */
  neither(): void {
    this.#isProbing = false;
  }
}
