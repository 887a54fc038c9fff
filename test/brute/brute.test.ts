import { describe, expect, it } from 'vitest';
import { compareHistory, compareLog } from './compare.ts';

describe('windows, segments, sequences, absences, limits and cool-downs', () => {
  // Thirty of them, and errors planted in the fold, are with the faults.
  it.for([1, 2, 3, 4])('are what a look at the whole history says: history %d', (seed) => {
    expect(compareHistory(seed).disagreements).toEqual([]);
  });

  it('pass a rule over whose limit cannot be counted, and keep the event', () => {
    const happened = [
      ['cart_item_added', { productId: 'p1', quantity: 1, price: 349 }],
      // Cheap, but not for this cart: the rule has not run when its key fails for the first time.
      ['product_viewed', { productId: 'p5' }],
      ['cart_item_removed', { productId: 'p1' }],
      ['product_viewed', { productId: 'gone' }],
    ] as const;
    const log = happened.map(([type, properties], i) => {
      const at = Date.parse('2026-03-27T08:00:00Z') + i * 1_000;
      return { stamp: at, value: { v: 1, kind: 'event', id: `e${i}`, visitor: 'anna', type, properties, at } } as const;
    });
    expect(compareLog(['anna'], log).disagreements).toEqual([]);
  });
});
