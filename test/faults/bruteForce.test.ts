import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { compareHistory, type Seen } from '../brute/compare.ts';
import { plants } from '../brute/plants.ts';
import { shop } from '../brute/shop.ts';

const root = join(import.meta.dirname, '..', '..');

describe('windows, segments, sequences, absences, limits and cool-downs', () => {
  it('are what a look at the whole history says, over histories with copies, gaps, late events and ticks', () => {
    const all: Seen = { rules: {}, entered: {}, leftByTime: {}, what: {} };
    for (let seed = 1; seed <= 30; seed++) {
      const { disagreements, seen } = compareHistory(seed);
      expect(disagreements, `history ${seed}`).toEqual([]);
      for (const kind of ['rules', 'entered', 'leftByTime', 'what'] as const) {
        for (const [name, times] of Object.entries(seen[kind])) all[kind][name] = (all[kind][name] ?? 0) + times;
      }
    }
    // What never happened was not compared.
    for (const { id } of shop.rules) expect(all.rules[id], id).toBeGreaterThan(10);
    for (const { id } of shop.segments) expect(all.entered[id], id).toBeGreaterThan(5);
    for (const { id, windows, turns, score } of shop.segments) {
      if (windows !== undefined || score !== undefined) expect(all.leftByTime[id], id).toBeGreaterThan(5);
      if (turns !== undefined) expect(all.what['timer segment'], id).toBeGreaterThan(100);
    }
    for (const what of ['duplicate', 'held', 'timer hold', 'timer rule', 'timer session']) {
      expect(all.what[what], what).toBeGreaterThan(20);
    }
  }, 600_000);
});

/** The sources and what compares them, in a folder of their own, so that a mistake can be planted. */
describe('an error in the fold is found out by 5 histories', () => {
  let copy: string | null = null;
  afterEach(() => {
    if (copy !== null) rmSync(copy, { recursive: true, force: true });
    copy = null;
  });

  it.for(Object.entries(plants))('%s', ([name, { file, right, wrong }]) => {
    copy = mkdtempSync(join(tmpdir(), 'usher-planted-'));
    for (const part of ['src', 'test/brute', 'test/support', 'package.json']) {
      cpSync(join(root, part), join(copy, part), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const source = readFileSync(join(root, file), 'utf8');
    expect(source.split(right).length - 1, `"${right}" stands in ${file} once; else mend the plant "${name}"`).toBe(1);
    writeFileSync(
      join(copy, file),
      source.replace(right, () => wrong),
    );
    const found = execFileSync(process.execPath, [join(copy, 'test/brute/find.ts'), '1', '5'], { encoding: 'utf8' });
    expect(JSON.parse(found)).toMatchObject({ visitor: expect.any(String), what: expect.any(String) });
  });
});
