import { describe, expect, it } from 'vitest';
import type { ActiveBundles, Playbook } from '../../src/playbook/playbook.ts';
import { TestBundles } from '../support/bundles.ts';
import { FoldShard } from '../support/foldShard.ts';

const shop = `
format: 1
currency: USD
content:
  plain: { type: banner, title: Welcome }
  seen: { type: banner, title: Seen }
slots:
  banner: { fallback: plain }
  corner: { fallback: plain }
  kept: { fallback: plain }
traits:
  first_category: { first: product_viewed, of: product.category }
rules:
  a_priced: { when: product_viewed, if: product.price > 5, then: [{ show: { slot: banner, content: seen } }] }
  b_always: { when: product_viewed, then: [{ show: { slot: banner, content: seen, for: 1m } }] }
  c_some:
    when: product_viewed
    then:
      - if: product.price > 5
        show: { slot: corner, content: seen }
      - show: { slot: corner, content: plain, for: 2m }
  d_kept: { when: product_viewed, then: [{ show: { slot: kept, content: seen, while: product.price > 5 } }] }
`;
/** A playbook that fails where no condition stands: as a fault of Usher would. */
class FaultyBundles extends TestBundles {
  override get(playbook: string, catalog: string): ActiveBundles | null {
    if (playbook !== 'faulty') return super.get(playbook, catalog);
    const sound = super.get(this.sound, catalog)!;
    const rules = new Map(sound.playbook.rules);
    rules.get = () => {
      throw new TypeError('a planted fault');
    };
    return { ...sound, playbook: { ...sound.playbook, version: 'faulty', rules } satisfies Playbook };
  }
  readonly sound = this.addPlaybook(shop);
  readonly catalog = this.addCatalog([{ id: 'p', price: 1000, category: 'tents' }]);
}

function newShard(): { shard: FoldShard; activate: (playbook: string, stamp: number) => void } {
  const bundles = new FaultyBundles();
  const shard = new FoldShard(bundles);
  const activate = (playbook: string, stamp: number) =>
    shard.append(
      { v: 1, kind: 'activate', id: `a${stamp}`, playbook, catalog: bundles.catalog, foldVersion: 1 },
      stamp,
    );
  activate(bundles.sound, 0);
  return { shard, activate };
}
const viewed = (id: string, productId: string, more: object = {}) => ({
  v: 1,
  kind: 'event',
  id,
  visitor: 'v',
  type: 'product_viewed',
  properties: { productId },
  ...more,
});

describe('a condition that throws', () => {
  it('passes over its rule, or entry, or trait, is counted, and stops nothing else (1.5)', () => {
    const { shard } = newShard();
    shard.append(viewed('one', 'nobody knows this'), 1);
    shard.fold();
    const { slots, counts, traits } = shard.visitor('v')!;
    expect(slots['banner']?.candidates.map(({ rule }) => rule)).toEqual(['b_always']);
    expect(slots['corner']?.candidates).toMatchObject([{ rule: 'c_some', entry: 1, content: 'plain' }]);
    expect(traits.get('visitor_product_views')).toBe(1);
    expect(traits.get('first_category')).toBeUndefined();
    expect(counts).toMatchObject({ folded: 1, failed: 0 });
    expect(slots['kept']).toBeUndefined();
    // The rule a_priced, the first entry of c_some, the while of d_kept, and the trait.
    expect(shard.meta.counters).toMatchObject({ ruleErrors: 4, rulesFired: 3, failed: 0 });
    expect(shard.activity.at(-1)?.rules).toEqual(['b_always', 'c_some', 'd_kept']);
  });

  it('evaluates the same rules when their product is known', () => {
    const { shard } = newShard();
    shard.append(viewed('one', 'p'), 1);
    const { slots, traits } = shard.fold().visitor('v')!;
    expect(slots['banner']?.candidates.map(({ rule }) => rule)).toEqual(['a_priced', 'b_always']);
    expect(slots['kept']?.candidates.map(({ rule }) => rule)).toEqual(['d_kept']);
    expect(traits.get('first_category')).toBe('tents');
    expect(shard.meta.counters.ruleErrors).toBe(0);
  });
});

describe('a fault while folding', () => {
  it('undoes the event, counts its number as seen, keeps it, and goes on (1.5)', () => {
    const { shard, activate } = newShard();
    shard.append(viewed('one', 'p', { source: 's', sequence: 1 }), 1);
    activate('faulty', 2);
    shard.append(viewed('two', 'q', { source: 's', sequence: 2 }), 3);
    shard.append(viewed('two', 'q', { source: 's', sequence: 2 }), 4);
    activate(new FaultyBundles().sound, 5);
    shard.append(viewed('three', 'q', { source: 's', sequence: 3 }), 6);
    shard.fold();
    expect(shard.failed).toMatchObject([
      {
        position: '0:3',
        reason: 'FOLD_ERROR',
        detail: 'TypeError: a planted fault',
        visitor: 'v',
        type: 'product_viewed',
        failedAt: 3,
      },
    ]);
    expect(JSON.parse(shard.failed[0]!.value)).toMatchObject({ id: 'two', properties: { productId: 'q' } });
    const { counts, traits, now } = shard.visitor('v')!;
    expect(counts).toMatchObject({ folded: 2, failed: 1, duplicate: 1 });
    expect(traits.get('visitor_product_views')).toBe(2);
    expect(now).toBe(6);
  });

  it('loses no more of a firing than its timer; failures of one record have positions of their own (1.5)', () => {
    const { shard, activate } = newShard();
    shard.append(viewed('one', 'p'), 1);
    activate('faulty', 2);
    shard.append({ v: 1, kind: 'tick', id: 't' }, 120_001);
    shard.fold();
    expect(shard.failed.map(({ reason, type }) => [reason, type])).toEqual([
      ['FIRING_ERROR', 'slot banner b_always for'],
      ['FIRING_ERROR', 'slot corner c_some for'],
    ]);
    expect(new Set(shard.failed.map(({ position }) => position)).size).toBe(2);
    for (const { position } of shard.failed) expect(position).toMatch(/^0:1#\d+$/);
    const { slots, timers, counts, version } = shard.visitor('v')!;
    expect(slots['banner']?.candidates.map(({ rule }) => rule)).toEqual(['a_priced', 'b_always']);
    expect(timers.map(({ what }) => what)).toEqual(['session']);
    expect(counts.failed).toBe(2);
    expect(version).toBe(1);
  });

  it('keeps at most 32 kB of a record that failed', () => {
    const { shard } = newShard();
    shard.append('x'.repeat(100_000), 1);
    shard.fold();
    expect(shard.failed[0]).toMatchObject({ reason: 'UNREADABLE', visitor: null, value: 'x'.repeat(32_768) });
  });
});
