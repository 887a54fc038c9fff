import { Breaker } from './breaker.ts';
import { Pace } from './pace.ts';
import type { RunnerMachine } from './runnerMachine.ts';

export interface LaneSettings {
  /** Attempts under way at once. */
  readonly concurrency: number;
  /** Starts of attempts a second. */
  readonly perSecond: number;
}

/** A message that waits for its turn. */
export interface LaneItem {
  /** Not before, wall clock, ms. */
  readonly nextAt: number;
  /** Whose it is: a shard's messages leave the lane together. */
  readonly of: unknown;
  /** One attempt. Never rejects. What it means for the destination, and the item to wait for next. */
  run(): Promise<{ readonly says: 'good' | 'bad' | 'neither'; readonly next: LaneItem | null }>;
  /** Asked while nothing may be tried: whether its time is up. Then it leaves the lane, and sees to its end itself. */
  expired(now: number): boolean;
}

/** One for all: an error of its own for every wake-up is half of what a wake-up costs. */
const woken = new Error('the lane has something to do');
/** How often those whose time is up are looked for, ms. */
const expiryEveryMs = 1_000;

/**
 * All that one process sends to one destination, over all its shards: by when each is due, so many at once and a second, and nothing but
 * one message now and then while the destination is down. It shares nothing with another lane, so a dead destination delays no other.
 */
export class ActionLane {
  readonly #settings: () => LaneSettings;
  readonly #clock: Pick<RunnerMachine, 'now' | 'sleep'>;
  readonly #signal: AbortSignal;
  readonly #breaker = new Breaker();
  readonly #pace = new Pace();
  /** By nextAt, the first to come first; of one moment in the order of adding. */
  #queue: LaneItem[] = [];
  #underWay = 0;
  #expiryAt = 0;
  #wake = new AbortController();
  readonly #running: Promise<void>;

  /** @param settings asked before each attempt: a playbook may change them */
  constructor(settings: () => LaneSettings, clock: Pick<RunnerMachine, 'now' | 'sleep'>, signal: AbortSignal) {
    this.#settings = settings;
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake.abort(woken), { once: true });
    this.#running = this.#run();
  }

  /** Messages that wait, and that are under way. */
  get size(): number {
    return this.#queue.length + this.#underWay;
  }

  get isOpen(): boolean {
    return this.#breaker.isOpen;
  }

  add(item: LaneItem): void {
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#queue[middle]!.nextAt <= item.nextAt) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, item);
    this.#wake.abort(woken);
  }

  /** Whose messages they were has lost the shard; what is under way ends by itself. */
  remove(of: unknown): void {
    this.#queue = this.#queue.filter((item) => item.of !== of);
  }

  /** Resolves when the lane has ended, which it does when its signal aborts. */
  ended(): Promise<void> {
    return this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#signal.aborted) {
      const waitMs = this.#startDue();
      this.#wake = new AbortController();
      if (this.#signal.aborted) return;
      await this.#clock.sleep(Math.min(waitMs, 3_600_000), this.#wake.signal).catch(() => {});
    }
  }

  /** Starts what may start; how long until there may be more, ms. */
  #startDue(): number {
    for (;;) {
      const now = this.#clock.now();
      const { concurrency, perSecond } = this.#settings();
      if (this.#breaker.isOpen) this.#dropExpired(now);
      const first = this.#queue[0];
      // Whatever ends next wakes the lane.
      if (first === undefined || this.#underWay >= concurrency) return Number.POSITIVE_INFINITY;
      const waitMs = Math.max(first.nextAt - now, this.#breaker.waitMs(now), this.#pace.waitMs(now));
      if (waitMs > 0) return this.#breaker.isOpen ? Math.min(waitMs, expiryEveryMs) : waitMs;
      this.#queue.shift();
      this.#pace.started(now, perSecond);
      this.#breaker.started();
      void this.#attempt(first);
    }
  }

  async #attempt(item: LaneItem): Promise<void> {
    this.#underWay++;
    const { says, next } = await item.run();
    this.#underWay--;
    if (says === 'bad') this.#breaker.bad(this.#clock.now());
    else if (says === 'good') this.#breaker.good();
    else this.#breaker.neither();
    if (next !== null) this.add(next);
    this.#wake.abort(woken);
  }

  #dropExpired(now: number): void {
    if (now < this.#expiryAt) return;
    this.#expiryAt = now + expiryEveryMs;
    this.#queue = this.#queue.filter((item) => !item.expired(now));
  }
}
