import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';

/**
 * Tests on real logs, which are not part of the project: `USHER_SAMPLES` names the folder that has them (docs/replay.md says
 * where to get them). Without it they are skipped by name; with CI set they fail instead, so that a skip there cannot go unseen.
 */
export function describeWithSample(name: string, sample: string, tests: (path: string) => void): void {
  const folder = process.env['USHER_SAMPLES'];
  const path = folder === undefined ? null : join(folder, sample);
  if (path !== null && existsSync(path)) {
    describe(name, () => tests(path));
    return;
  }
  const why = folder === undefined ? 'USHER_SAMPLES is not set' : `${path} is not there`;
  if (process.env['CI'] !== undefined && process.env['CI'] !== '' && process.env['CI'] !== 'false') {
    throw new Error(`${name}: ${why}, and in CI nothing may be skipped`);
  }
  describe.skip(`${name} (skipped: ${why})`, () => tests(''));
}

export const rees46Sample = join('data', 'rees46', '2019-10-01-first-3h.csv.gz');
export const ottoSample = join('data', 'otto', 'train-20-sessions.jsonl.gz');
