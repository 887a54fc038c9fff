import { describe, expect, it } from 'vitest';
import { faultsThatMustBite, noCounts } from './counts.ts';
import { plants } from './plants.ts';
import type { Command, Happening } from './schedule.ts';
import { simulate } from './simulate.ts';
import { World } from './world.ts';

/** What happens, and then so many steps, always the oldest. */
const then = (steps: number, happening: Happening): Command => ({ happening, steps, order: 0 });

describe('a cluster under crashes, sleep, rebalances, failovers, lost and late calls', () => {
  it('folds what its log says, once, and shows no reader anything else', async () => {
    const { counts, broken } = await simulate({ schedules: 300, seed: 27 });
    if (broken !== null) throw new Error(broken.report);
    // One schedule that is run again need not meet them all.
    if (counts.schedules === 300)
      for (const fault of faultsThatMustBite) expect(counts[fault], fault).toBeGreaterThan(0);
  });

  it.for(Object.entries(plants))('is found out: %s', async ([, plant]) => {
    const { broken } = await simulate({ schedules: 2_000, seed: 1, plant });
    expect(broken?.message).toMatch(/^(shard|the event|the cluster|\w+ cannot)/);
  });

  it('tells other systems everything, also when a failover gives a shard back to an owner that had lost it', async () => {
    const happening = { type: 'product_viewed', properties: { productId: 'p1' } };
    const view = {
      what: 'event',
      of: 0,
      source: null,
      step: 1,
      skipped: [],
      ago: null,
      happening,
      url: undefined,
      sameId: false,
    } as const;
    const commands = [
      then(2, { what: 'pass', ms: 0 }),
      // The first owner asks for the shard, is delayed, and comes between a commit of the second and the end of its outputs.
      then(0, { what: 'delay', call: 1, ms: 500 }),
      then(60, { what: 'rebalance', shard: 1, to: 0 }),
      then(10, { what: 'append', shard: 1, line: view }),
      then(6, { what: 'pass', ms: 500 }),
      then(0, { what: 'fail over', shard: 1, steps: 1 }),
    ];
    const trace: string[] = [];
    await new World({ processes: 2, shards: 2, limits: 'production', commands }, null, noCounts()).run(trace);
    expect(trace.filter((line) => /own of shard 1 by b1 arrives|drained .* arrives$|fails over/.test(line))).toEqual([
      'own of shard 1 by b1 arrives: 500 ms later',
      '    own of shard 1 by b1 arrives',
      '    drained 1-0 of shard 1 by a1 arrives',
      'the state of shard 1 fails over and loses its last 1 steps',
      '    drained 1-0 of shard 1 by a1 arrives',
    ]);
  });
});
