import { setTimeout as sleep } from 'node:timers/promises';
import type { RunnerMachine } from '../../src/actions/runnerMachine.ts';

/** A clock that stands until it is moved; sleepers wake when it passes them. */
export class HandClock implements RunnerMachine {
  #now = 1_000_000;
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  /** What chance gives. */
  chance = 0.5;
  /** Whether something is under way that takes real time: the clock stands meanwhile, for it takes none of this clock's. */
  isBusy: () => boolean = () => false;

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { at: this.#now + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      const aborted = () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason as Error);
      };
      if (signal.aborted) aborted();
      else signal.addEventListener('abort', aborted, { once: true });
    });
  }

  /** Lets time pass, in steps, and all that it wakes do what it does at each. */
  async pass(ms: number, stepMs = 50): Promise<void> {
    const end = this.#now + ms;
    await this.#idle();
    while (this.#now < end) {
      this.#now = Math.min(end, this.#now + stepMs);
      for (const sleeper of this.#sleepers) {
        if (sleeper.at > this.#now) continue;
        this.#sleepers.delete(sleeper);
        sleeper.wake();
      }
      await this.#idle();
    }
  }

  async #idle(): Promise<void> {
    await settled();
    const giveUpAt = performance.now() + 2_000;
    while (this.isBusy() && performance.now() < giveUpAt) await sleep(1);
  }
}

/** What is promised and needs no time has come. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
