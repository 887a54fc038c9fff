import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import type { RunnerMachine } from '../actions/runnerMachine.ts';

/**
 * What a worker has from the machine it runs on: time and chance. The fold sees neither. They are handed in so that a simulation
 * can let days pass in a moment, and run a failure again from its seed.
 */
export interface Machine extends RunnerMachine {
  /** What operators call this process; part of its owner tokens. */
  readonly name: string;
  /** 128 random bits, hex: nobody else's, ever. */
  randomId(): string;
}

export const thisMachine: Machine = {
  name: hostname(),
  now: () => performance.timeOrigin + performance.now(),
  sleep: (ms, signal) => setTimeout(ms, undefined, { signal }),
  random: Math.random,
  randomId: () => randomBytes(16).toString('hex'),
};

/** The wait after so many failures: doubled from the first up to the most, and by chance, so that two owners do not chase each other. */
export function backoffMs(
  failures: number,
  { first, most }: { readonly first: number; readonly most: number },
  machine: Pick<Machine, 'random'>,
): number {
  return Math.min(most, first * 2 ** failures) * (0.5 + machine.random());
}
