import fc from 'fast-check';
import { type Counts, noCounts } from './counts.ts';
import type { Plant } from './plants.ts';
import { schedules } from './schedule.ts';
import { World } from './world.ts';

/** Of a cluster that never comes to rest the beginning tells why. */
const shownLines = 100;

export interface Simulated {
  readonly counts: Counts;
  /** The first schedule that broke a promise, counted from 1, and how, with all that is needed to look into it; null: none did. */
  readonly broken: { readonly schedule: number; readonly message: string; readonly report: string } | null;
}

/**
 * Runs schedules until one breaks a promise. `USHER_TEST_SEED` chooses others, and with `USHER_TEST_PATH` a single one is run again:
 * a report names both.
 */
export async function simulate(options: {
  readonly schedules: number;
  readonly seed: number;
  readonly plant?: Plant;
}): Promise<Simulated> {
  const { plant = null } = options;
  const { USHER_TEST_SEED: chosenSeed, USHER_TEST_PATH: path } = process.env;
  const seed = plant === null && chosenSeed !== undefined ? Number(chosenSeed) : options.seed;
  const counts = noCounts();
  const result = await fc.check(
    fc.asyncProperty(schedules, (schedule) => new World(schedule, plant, counts).run()),
    {
      seed,
      numRuns: options.schedules,
      // What is planted is to be found, not to be looked into.
      endOnFailure: plant !== null,
      ...(plant === null && path !== undefined ? { path, endOnFailure: true } : {}),
    },
  );
  if (result.counterexample === null) return { counts, broken: null };
  const trace: string[] = [];
  await new World(result.counterexample[0], plant, noCounts()).run(trace).catch(() => {});
  const { message, stack } = result.errorInstance as Error;
  const report = [
    `schedule ${result.numRuns} of seed ${seed} breaks a promise: ${message}`,
    `To run just it: USHER_TEST_SEED=${seed} USHER_TEST_PATH=${result.counterexamplePath} npx vitest run test/simulation`,
    'Made as short as it gets, it is:',
    ...(trace.length <= 2 * shownLines
      ? trace
      : [...trace.slice(0, shownLines), `    … ${trace.length - 2 * shownLines} steps …`, ...trace.slice(-shownLines)]),
    stack ?? message,
  ].join('\n');
  return { counts, broken: { schedule: result.numRuns, message, report } };
}
