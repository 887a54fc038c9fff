import { defineConfig } from 'vitest/config';

/** Long faults, one at a time: they kill processes and load the machine. */
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
