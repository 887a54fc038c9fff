import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Plant } from '../brute/plants.ts';

const root = join(import.meta.dirname, '..', '..');

/**
 * What a script says of sources with a mistake: they and what compares them are copied to a folder of their own, so that it can be planted.
 * @param parts of the project, besides src and test/support
 * @param find the script that compares the seeds 1 to 5, and prints what disagrees as JSON
 */
export function findPlanted(
  name: string,
  { file, right, wrong }: Plant,
  parts: readonly string[],
  find: string,
): unknown {
  const copy = mkdtempSync(join(tmpdir(), 'usher-planted-'));
  try {
    for (const part of ['src', 'test/support', 'package.json', ...parts]) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const source = readFileSync(join(root, file), 'utf8');
    expect(source.split(right).length - 1, `"${right}" stands in ${file} once; else mend the plant "${name}"`).toBe(1);
    const planted = source.replace(right, () => wrong);
    writeFileSync(join(copy, file), planted);
    return JSON.parse(execFileSync(process.execPath, [join(copy, find), '1', '5'], { encoding: 'utf8' }));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
