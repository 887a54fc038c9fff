import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { plants } from '../identity/plants.ts';
import { Interleaving } from '../identity/run.ts';

const root = join(import.meta.dirname, '..', '..');

describe('visitors that turn out to be known users while their events are on their way', () => {
  it('are what the pages say, over copies, gaps, crashes and rebuilt shards', () => {
    const all: { [name: string]: number } = {};
    for (let seed = 1; seed <= 30; seed++) {
      const interleaving = new Interleaving(seed);
      expect(interleaving.run(400), `interleaving ${seed}`).toBeNull();
      for (const [name, count] of Object.entries(interleaving.seen.counts)) all[name] = (all[name] ?? 0) + count;
    }
    // What never happened was not compared.
    for (const name of [
      'merged',
      'forwarded',
      'repeatedMoves',
      'refusedIdentities',
      'held',
      'late',
      'duplicate',
      'timersFired',
    ])
      expect(all[name], name).toBeGreaterThan(50);
  }, 600_000);
});

/** The sources and what compares them, in a folder of their own, so that a mistake can be planted. */
describe('an error about who visitors are is found out by 5 interleavings', () => {
  let copy: string | null = null;
  afterEach(() => {
    if (copy !== null) rmSync(copy, { recursive: true, force: true });
    copy = null;
  });

  it.for(Object.entries(plants))('%s', ([name, { file, right, wrong }]) => {
    copy = mkdtempSync(join(tmpdir(), 'usher-planted-'));
    for (const part of ['src', 'test/brute', 'test/identity', 'test/support', 'package.json']) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const source = readFileSync(join(root, file), 'utf8');
    expect(source.split(right).length - 1, `"${right}" stands in ${file} once; else mend the plant "${name}"`).toBe(1);
    writeFileSync(
      join(copy, file),
      source.replace(right, () => wrong),
    );
    const found = execFileSync(process.execPath, [join(copy, 'test/identity/find.ts'), '1', '5'], { encoding: 'utf8' });
    expect(JSON.parse(found)).toMatchObject({ what: expect.any(String) });
  });
});
