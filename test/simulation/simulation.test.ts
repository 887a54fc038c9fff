import { describe, expect, it } from 'vitest';
import { faultsThatMustBite } from './counts.ts';
import { plants } from './plants.ts';
import { simulate } from './simulate.ts';

describe('a cluster under crashes, sleep, rebalances, failovers, lost and late calls', () => {
  it('folds what its log says, once, and shows no reader anything else', async () => {
    const { counts, broken } = await simulate({ schedules: 300, seed: 27 });
    expect(broken?.report).toBeUndefined();
    // One schedule that is run again need not meet them all.
    if (counts.schedules === 300)
      for (const fault of faultsThatMustBite) expect(counts[fault], fault).toBeGreaterThan(0);
  });

  it.for(Object.entries(plants))('is found out: %s', async ([, plant]) => {
    const { broken } = await simulate({ schedules: 2_000, seed: 1, plant });
    expect(broken?.message).toMatch(/^(shard|the event|the cluster|\w+ cannot)/);
  });
});
