import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareCandidates } from '../../src/fold/slots.ts';
import { defaultFoldSettings } from '../../src/fold/work.ts';
import { canonicalVisitor, decodeVisitor, encodeProfile, encodeSlots } from '../../src/model/codec.ts';
import type { Visitor } from '../../src/model/visitor.ts';
import { type Cut, type FoldShard, wholeLog } from '../support/foldShard.ts';
import { foldLog, type GeneratedRecord, logs, smallSettings } from '../support/logs.ts';

const settings = fc.constantFrom(smallSettings, defaultFoldSettings);
const cuts: fc.Arbitrary<Cut> = fc.record({
  batch: fc.integer({ min: 1, max: 9 }),
  timers: fc.integer({ min: 1, max: 3 }),
  page: fc.integer({ min: 1, max: 3 }),
  keep: fc.constantFrom(0, 1, 2, null),
});

function visitorsOf(shard: FoldShard): Visitor[] {
  return [...shard.stored.keys()].map((id) => shard.visitor(id)!);
}

describe('any log', () => {
  it('folds to the same state, byte for byte, however it is cut into commits', () => {
    fc.assert(
      fc.property(logs(60), settings, cuts, (log, limits, cut) => {
        expect(foldLog(log, limits, cut).canonical()).toEqual(foldLog(log, limits, wholeLog).canonical());
      }),
      { numRuns: 300 },
    );
  });

  it('folds to visitors within every limit', () => {
    fc.assert(
      fc.property(logs(60), settings, (log, limits) => {
        for (const visitor of visitorsOf(foldLog(log, limits, wholeLog))) expectWithinLimits(visitor, limits);
      }),
      { numRuns: 150 },
    );
  });

  it('is not changed by copies of its records but in counts', () => {
    fc.assert(
      fc.property(logs(40), settings, fc.nat(1000), (log, limits, seed) => {
        // A copy takes an offset; in the other log a tick takes it.
        const isCopied = (i: number) => i > 0 && (i * 7919 + seed) % 3 === 0;
        const withEach = (extra: (record: GeneratedRecord, i: number) => GeneratedRecord) =>
          log.flatMap((record, i) => (isCopied(i) ? [record, extra(record, i)] : [record]));
        const doubled = withEach((record) => record);
        const ticked = withEach(({ stamp }, i) => ({ stamp, value: { v: 1, kind: 'tick', id: `t${i}` } }));
        expect(withoutCounts(foldLog(doubled, limits, wholeLog))).toEqual(
          withoutCounts(foldLog(ticked, limits, wholeLog)),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('lets a stored visitor be read back as it was written', () => {
    fc.assert(
      fc.property(logs(60), settings, (log, limits) => {
        for (const visitor of visitorsOf(foldLog(log, limits, wholeLog))) {
          const profile = encodeProfile(visitor);
          const slots = encodeSlots(visitor);
          const again = decodeVisitor(profile, slots);
          expect(canonicalVisitor(again)).toBe(canonicalVisitor(visitor));
          expect([encodeProfile(again), encodeSlots(again)]).toEqual([profile, slots]);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("a source's numbered events", () => {
  it('fold in the order of their numbers, in whatever order they arrive within a hold', () => {
    const types = ['product_viewed', 'search_performed', 'product_clicked', 'cart_item_added', 'order_completed'];
    const shuffled = fc.array(fc.constantFrom(...types), { minLength: 2, maxLength: 8 }).chain((chosen) =>
      fc
        .shuffledSubarray(
          chosen.map((_, i) => i),
          { minLength: chosen.length, maxLength: chosen.length },
        )
        .map((order) => ({ chosen, order })),
    );
    fc.assert(
      fc.property(shuffled, ({ chosen, order }) => {
        const [activation] = fc.sample(logs(5), 1)[0]!;
        const events = chosen.map((type, i) => ({
          stamp: 5000,
          value: {
            v: 1,
            kind: 'event',
            id: `n${i}`,
            visitor: 'v',
            type,
            properties: { productId: `p${(i % 3) + 1}`, query: 'q', orderId: 'o', lines: [{ productId: 'p1' }] },
            at: 4000 + i,
            source: 's',
            sequence: i + 1,
          },
        }));
        const inOrder = foldLog([activation!, ...events], defaultFoldSettings, wholeLog);
        const mixed = foldLog([activation!, ...order.map((i) => events[i]!)], defaultFoldSettings, wholeLog);
        expect(factsOnly(mixed)).toEqual(factsOnly(inOrder));
      }),
      { numRuns: 100 },
    );
  });
});

/** What a visitor is, without where in the log it comes from. */
function factsOnly(shard: FoldShard): object {
  const { traits, session, now, version, slots, sources, counts } = shard.visitor('v')!;
  const shown = Object.entries(slots).map(([name, { candidates }]) => [
    name,
    candidates.map(({ rule, content, facts, expiresAt, cause }) => [rule, content, facts, expiresAt, cause.eventId]),
  ]);
  return { traits, session, now, version, shown, sources, folded: counts.folded };
}

/** Two folds are compared without what a copy may count or move, and the failed copies of what was too old to tell. */
function withoutCounts(shard: FoldShard): readonly string[] {
  const visitors = visitorsOf(shard).map((visitor) => {
    const { duplicate: _d, beyondWindow: _b, failed: _f, ...counts } = visitor.counts;
    const { failures: _o, ...rest } = visitor;
    return canonicalVisitor({ ...rest, counts } as Visitor);
  });
  const failed = shard.failed.filter(({ reason, visitor }) => reason !== 'BEYOND_WINDOW' && visitor !== null);
  const { folded, late, held, skipped, slotChanges, rulesFired, timersFired, expiredVisitors } = shard.meta.counters;
  return [
    ...visitors.sort(),
    ...new Set(failed.map(({ reason, value }) => `${reason} ${value}`)),
    JSON.stringify({ folded, late, held, skipped, slotChanges, rulesFired, timersFired, expiredVisitors }),
  ];
}

function expectWithinLimits(visitor: Visitor, limits: typeof defaultFoldSettings): void {
  const { sources, recentIds, failures, slots, timers, now, lastAppend, version } = visitor;
  expect(sources.length).toBeLessThanOrEqual(limits.sources);
  expect(recentIds.length).toBeLessThanOrEqual(limits.recentIds);
  expect(failures.length).toBeLessThanOrEqual(limits.failures);
  const held = sources.flatMap((source) => source.held);
  expect(held.length).toBeLessThanOrEqual(limits.heldEvents);
  expect(held.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(limits.heldBytes);
  for (const { id, next, missing, floor, skipped, held } of sources) {
    expect(missing.length).toBeLessThanOrEqual(limits.missing);
    expect(missing).toEqual([...new Set(missing)].sort((a, b) => a - b));
    expect(missing.every((number) => number > floor && number < next)).toBe(true);
    expect(skipped.length).toBeLessThanOrEqual(limits.skippedAhead);
    expect(skipped.every((number) => number > next)).toBe(true);
    expect(held.every(({ sequence }) => sequence > next)).toBe(true);
    const hold = timers.filter(({ what, key }) => what === 'hold' && key[0] === id);
    expect(hold.map(({ setAt }) => setAt)).toEqual(
      held.length === 0 ? [] : [Math.min(...held.map(({ offset }) => offset))],
    );
  }
  for (const [slot, { candidates, version: changed }] of Object.entries(slots)) {
    expect(changed).toBeLessThanOrEqual(version);
    expect(candidates.length).toBeLessThanOrEqual(limits.candidates);
    expect(candidates).toEqual([...candidates].sort(compareCandidates));
    expect(new Set(candidates.map(({ rule }) => rule)).size).toBe(candidates.length);
    for (const { rule, facts, expiresAt } of candidates) {
      expect(facts.length).toBeLessThanOrEqual(8);
      const ends = timers.filter(({ what, key }) => what === 'slot' && key[0] === slot && key[1] === rule);
      expect(ends.length > 0).toBe(expiresAt !== null);
    }
  }
  // Every timer of a slot ends a candidate that is there.
  for (const { what, key } of timers) {
    if (what === 'slot') expect(slots[key[0]!]!.candidates.some(({ rule }) => rule === key[1])).toBe(true);
  }
  expect(new Set(timers.map(({ what, key }) => JSON.stringify([what, key]))).size).toBe(timers.length);
  expect(timers.every(({ what, wallDue }) => what === 'hold' || (wallDue === null) === visitor.historic)).toBe(true);
  if (visitor.counts.folded > 0) expect(now).toBeLessThanOrEqual(lastAppend);
}
