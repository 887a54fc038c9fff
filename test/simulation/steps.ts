/** Whoever a step belongs to: it waits while its process sleeps, and never comes once it is dead. */
export interface Liveness {
  readonly asleep: boolean;
  readonly dead: boolean;
}

/**
 * Something that is about to happen in the simulated world: a call of the state that changes it or only reads, a call of the log or
 * of a topic for others, each with its answer, news of the group, or the end of a wait.
 */
export interface Step {
  readonly kind: 'write' | 'read' | 'log' | 'output' | 'news' | 'wait';
  readonly label: string;
  /** null: the network's or an engine's own. */
  readonly process: Liveness | null;
  /** Simulated ms. */
  notBefore: number;
  /** What ends the wait for `notBefore` early. */
  readonly early: (() => boolean) | null;
  readonly run: () => void;
}

/** The immediate queue comes after all promise jobs: by then every part of the program waits for another step. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * All that is asynchronous in the simulated world, and its only clock. One step happens at a time, and the program runs until it
 * waits again before the next does: so the order of steps is the whole schedule, and no real time passes.
 */
export class Steps {
  now: number;
  taken = 0;
  /** One line a step, while a failing schedule is told. */
  trace: string[] | null = null;
  #pending: Step[] = [];

  constructor(now: number) {
    this.now = now;
  }

  add(step: Omit<Step, 'notBefore' | 'early'> & Partial<Step>): Step {
    const added = { notBefore: this.now, early: null, ...step };
    if (added.process?.dead !== true) this.#pending.push(added);
    return added;
  }

  remove(step: Step): void {
    const index = this.#pending.indexOf(step);
    if (index >= 0) this.#pending.splice(index, 1);
  }

  /** A process died: what it waited for never comes. What it had sent is still on its way. */
  forget(process: Liveness): void {
    this.#pending = this.#pending.filter((step) => step.process !== process);
  }

  /** Calls, answers and news that have not arrived, the oldest first. */
  get underWay(): readonly Step[] {
    return this.#pending.filter(({ kind }) => kind !== 'wait');
  }

  /** Lets one of the steps that may happen now happen; false: there is none. */
  async take(choose: (count: number) => number): Promise<boolean> {
    const ready = this.#pending.filter((step) => this.#isReady(step));
    if (ready.length === 0) return false;
    const step = ready[choose(ready.length)]!;
    this.remove(step);
    this.taken++;
    this.trace?.push(`    ${step.label}`);
    step.run();
    await settle();
    return true;
  }

  /** Lets time pass to where the next step may happen; false: nothing waits for time. */
  passToNext(): boolean {
    const next = Math.min(
      ...this.#pending.filter((step) => step.process?.asleep !== true).map((step) => step.notBefore),
    );
    if (!Number.isFinite(next)) return false;
    this.now = Math.max(this.now, next);
    return true;
  }

  #isReady({ process, notBefore, early }: Step): boolean {
    return process?.asleep !== true && (notBefore <= this.now || early?.() === true);
  }
}
