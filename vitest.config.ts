import { defineConfig } from 'vitest/config';
import PairsReporter from './test/support/pairsReporter.ts';
import RetriedReporter from './test/support/retriedReporter.ts';

const report = process.env['USHER_TEST_REPORT'];

// As Node resolves them: with vite's condition `development` our modules would get another copy of graphql than its plug-ins.
const conditions = ['node', 'module-sync', 'import', 'default'];

/** What every run of vitest here has in common. */
export const base = defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    globalSetup: 'test/support/shareEngines.ts',
    // Above what a test waits for a condition, so that it is the condition that is told.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two cores: more workers than that only make timings of each other worse.
    maxWorkers: 2,
    // A shared machine may stand still for longer than a bound allows. What passes only then is named at the end of the run.
    retry: process.env['CI'] === 'true' ? 1 : 0,
    reporters:
      report === undefined
        ? ['default', new RetriedReporter()]
        : ['default', ['json', { outputFile: report }], new RetriedReporter(`${report}.retried`)],
  },
});

/** Written once, run over each pair of adapters. */
const ofPairs = ['test/contract/*.test.ts', 'test/flow/*.test.ts'];
const pair = (adapters: 'embedded' | 'clustered') => ({
  extends: true as const,
  test: { name: adapters, include: ofPairs, provide: { adapters } },
});

export default defineConfig({
  ...base,
  test: {
    ...base.test,
    reporters: [...(base.test!.reporters as []), new PairsReporter()],
    projects: [
      pair('embedded'),
      pair('clustered'),
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...ofPairs, 'test/faults/**', 'test/recipes/**'],
        },
      },
    ],
  },
});
