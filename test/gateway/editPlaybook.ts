import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { TestUsher } from '../support/startUsher.ts';

/** Changes the text of the playbook that an Usher runs, and has it read again. Answers its problems. */
export function editPlaybook(usher: TestUsher, folder: string, from: string, to: string) {
  const file = join(folder, 'playbook.yaml');
  const text = readFileSync(file, 'utf8');
  expect(text).toContain(from);
  writeFileSync(file, text.replace(from, to));
  return usher.reload();
}
