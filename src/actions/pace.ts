/** What was not used of the last moment may be used now: timers are late by about so much, ms. */
const catchUpMs = 100;

/** Spreads starts evenly: at most so many a second. */
export class Pace {
  #nextAt = 0;

  /** How long until the next may start, ms. */
  waitMs(now: number): number {
    return Math.max(0, this.#nextAt - now);
  }

  started(now: number, perSecond: number): void {
    this.#nextAt = Math.max(this.#nextAt, now - catchUpMs) + 1_000 / perSecond;
  }
}
