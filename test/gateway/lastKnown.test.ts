import { describe, expect, it } from 'vitest';
import { LastKnownSlots } from '../../src/gateway/lastKnown.ts';
import { limits } from '../../src/gateway/limits.ts';

const at = (position: number, lineage = 'l') => ({ lineage, position, appendTime: 0 });
const textOf = (known: LastKnownSlots, visitor = 'v') => known.of(visitor)?.slots;

describe('what was last known of a visitor', () => {
  it('is the newest of what was read and pushed, in whatever order they come', () => {
    const known = new LastKnownSlots();
    known.read('v', 'at 2', at(2));
    known.read('v', 'at 1, overtaken', at(1));
    expect(textOf(known)).toBe('at 2');
    known.pushed('v', 'at 4', at(4));
    known.read('v', 'at 3, overtaken', at(3));
    known.pushed('v', 'at 3, overtaken', at(3));
    expect(known.of('v')).toMatchObject({ slots: 'at 4', shard: at(4) });
    known.pushed('v', null, at(5));
    known.read('v', 'at 4, overtaken', at(4));
    expect(textOf(known)).toBeNull();
  });

  it('does not compare positions of different lineages', () => {
    const known = new LastKnownSlots();
    known.read('v', 'before', at(9, 'first'));
    known.read('v', 'made anew', at(1, 'second'));
    expect(textOf(known)).toBe('made anew');
  });

  it('is kept of visitors who asked here and have something, not of all who are pushed or made up', () => {
    const known = new LastKnownSlots();
    known.pushed('v', 'pushed', at(1));
    known.read('w', null, at(1));
    expect(known.visitors).toBe(0);
    expect(known.of('v')).toBeNull();
  });

  it('is decoded once while the text is the same, and anew when it is another', () => {
    const known = new LastKnownSlots();
    const text = (version: number) => `[1,"v",0,0,0,0,${version},[],[],[],[],{}]`;
    const first = known.read('v', text(1), at(1)).view();
    const again = known.read('v', text(1), at(2));
    expect([again.view(), known.of('v')!.shard]).toEqual([first, at(2)]);
    expect(again.view()).toBe(first);
    const overtaken = known.read('v', text(0), at(1));
    expect([overtaken.view()!.version, known.of('v')!.view()!.version]).toEqual([0, 1]);
    expect(known.read('v', text(2), at(3)).view()!.version).toBe(2);
  });

  it('is bounded by the number of visitors: who was seen least recently is forgotten', () => {
    const known = new LastKnownSlots();
    for (let n = 0; n < limits.lastKnownVisitors; n++) known.read(`v${n}`, 'x', at(1));
    expect([known.visitors, textOf(known, 'v0')]).toEqual([limits.lastKnownVisitors, 'x']);
    known.read('one more', 'x', at(1));
    expect([known.visitors, textOf(known, 'v0'), textOf(known, 'v1')]).toEqual([
      limits.lastKnownVisitors,
      'x',
      undefined,
    ]);
  });

  it('is bounded by the memory that it takes', () => {
    const known = new LastKnownSlots();
    const megabyte = 'x'.repeat(100_000 - 200);
    for (let n = 0; n < 64; n++) known.read(`v${n}`, megabyte, at(1));
    expect([known.visitors, known.bytes <= limits.lastKnownBytes]).toEqual([64, true]);
    known.read('one more', megabyte, at(1));
    expect([known.visitors, known.bytes <= limits.lastKnownBytes]).toEqual([64, true]);
    expect(textOf(known, 'v0')).toBeUndefined();
    known.read('v1', 'x'.repeat(limits.lastKnownBytes), at(2));
    // Too large to keep, but what it replaces is not the newest any more.
    expect(textOf(known, 'v1')).toBeUndefined();
  });
});
