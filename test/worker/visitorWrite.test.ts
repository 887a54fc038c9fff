import { describe, expect, it } from 'vitest';
import { writeOf } from '../../src/worker/visitorWrite.ts';
import { FoldShard } from '../support/foldShard.ts';
import { activation, bundles } from '../support/logs.ts';

describe('what is written of a visitor', () => {
  it('is at rest once its session has ended, by time alone too, and awake from its next event on', () => {
    const shard = new FoldShard(bundles);
    const atRest = () => writeOf('u:a', shard.fold().visitor('u:a')).atRest;
    const day = 24 * 3_600_000;
    const viewed = (id: string) => ({
      ...{ v: 1, kind: 'event', id, visitor: 'u:a', type: 'product_viewed' },
      properties: { productId: 'p_001' },
    });
    shard.append(activation('a', 0), 0);
    shard.append(viewed('1'), day);
    expect(atRest()).toBe(false);
    shard.append({ v: 1, kind: 'tick', id: 't' }, 2 * day);
    expect(atRest()).toBe(true);
    shard.append(viewed('2'), 3 * day);
    expect(atRest()).toBe(false);
  });
});
