import { defineConfig } from 'vitest/config';

const report = process.env['USHER_TEST_REPORT'];

// As Node resolves them: with vite's condition `development` our modules would get another copy of graphql than its plug-ins.
const conditions = ['node', 'module-sync', 'import', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/faults/**', 'test/recipes/**'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Two cores: more workers than that only make timings of each other worse.
    maxWorkers: 2,
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
});
