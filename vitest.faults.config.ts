import { defineConfig } from 'vitest/config';
import { base } from './vitest.config.ts';

/** Long faults, one file at a time: they kill processes and load the machine. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/faults/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 60_000,
    fileParallelism: false,
    // What is written for a pair of adapters runs here over the one that has more that can break.
    provide: { adapters: 'clustered' },
  },
});
