import { describe, expect, it } from 'vitest';
import { faultsThatMustBite } from '../simulation/counts.ts';
import { plants } from '../simulation/plants.ts';
import { simulate } from '../simulation/simulate.ts';

const schedules = 10_000;
const seeds = [1, 2, 3, 4, 5];

describe('a cluster under crashes, sleep, rebalances, failovers, lost and late calls', () => {
  it(`folds what its log says, once, through ${schedules} schedules`, async () => {
    const { counts, broken } = await simulate({ schedules, seed: 20_191_001 });
    console.log(counts);
    if (broken !== null) throw new Error(broken.report);
    for (const fault of faultsThatMustBite) expect(counts[fault], fault).toBeGreaterThan(0);
  });

  it.for(Object.entries(plants))('is found out by 5 seeds of 5: %s', async ([name, plant]) => {
    const found: (number | null)[] = [];
    for (const seed of seeds) found.push((await simulate({ schedules: 2_000, seed, plant })).broken?.schedule ?? null);
    console.log(`${name}: found by schedule ${found.join(', ')} of seeds ${seeds.join(', ')}`);
    expect(found).not.toContain(null);
  });
});
