/** What the runner has from the machine it runs on: time and chance, handed in as a worker's are. */
export interface RunnerMachine {
  /** Wall clock, ms with fractions. Decides when to tick and when to try again, and is told in stage times. */
  now(): number;
  /** Resolves after so many ms; rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** Uniform in [0, 1). */
  random(): number;
}

/** A wait after so many failures: anything up to the first, doubled with each, up to the most. */
export function fullJitterMs(
  failures: number,
  { first, most }: { readonly first: number; readonly most: number },
  machine: Pick<RunnerMachine, 'random'>,
): number {
  return Math.min(most, first * 2 ** Math.min(failures, 30)) * machine.random();
}
