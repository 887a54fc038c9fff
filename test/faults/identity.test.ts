import { describe, expect, it } from 'vitest';
import { plants } from '../identity/plants.ts';
import { Interleaving } from '../identity/run.ts';
import { findPlanted } from '../support/planted.ts';

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

describe('an error about who visitors are is found out by 5 interleavings', () => {
  it.for(Object.entries(plants))('%s', ([name, plant]) => {
    const found = findPlanted(name, plant, ['test/brute', 'test/identity'], 'test/identity/find.ts');
    expect(found).toMatchObject({ what: expect.any(String) });
  });
});
