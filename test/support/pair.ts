import { describe, inject } from 'vitest';
import { whyNoEngines } from './engines.ts';

/** This project's pair of adapters: `embedded` is SQLite in one process, `clustered` Kafka and Redis with several. */
export const adapters = inject('adapters');

const reason = adapters === 'clustered' ? await whyNoEngines() : null;

/** Tests that are written once and run for each pair; a clustered one is skipped, with the reason, where no engines can run. */
export function describePair(name: string, tests: () => void): void {
  if (reason === null) describe(name, tests);
  else describe.skip(`${name} (skipped: ${reason})`, tests);
}
