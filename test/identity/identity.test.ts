import { describe, expect, it } from 'vitest';
import { Interleaving } from './run.ts';

describe('visitors that turn out to be known users while their events are on their way', () => {
  // Thirty of them, and errors planted in the source, are with the faults.
  it.for([1, 2, 3, 4])('are what the pages say, field by field: interleaving %d', (seed) => {
    expect(new Interleaving(seed).run(400)).toBeNull();
  });
});
