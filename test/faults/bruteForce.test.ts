import { describe, expect, it } from 'vitest';
import { compareHistory, type Seen } from '../brute/compare.ts';
import { plants } from '../brute/plants.ts';
import { shop } from '../brute/shop.ts';
import { findPlanted } from '../support/planted.ts';

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

describe('an error in the fold is found out by 5 histories', () => {
  it.for(Object.entries(plants))('%s', ([name, plant]) => {
    const found = findPlanted(name, plant, ['test/brute'], 'test/brute/find.ts');
    expect(found).toMatchObject({ visitor: expect.any(String), what: expect.any(String) });
  });
});
