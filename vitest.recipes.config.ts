import { defineConfig } from 'vitest/config';
import { base } from './vitest.config.ts';

/** Each recipe of docs/recipes is a patch; here it is applied to a copy of the project, whose tests must then pass. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/recipes/**/*.test.ts'],
    testTimeout: 300_000,
    fileParallelism: false,
  },
});
