import { describe, expect, it } from 'vitest';
import { movesTopic } from '../../src/model/commit.ts';
import type { Visitor } from '../../src/model/visitor.ts';
import { shop } from '../identity/shop.ts';
import { FoldShard, wholeLog } from '../support/foldShard.ts';

const { playbook, catalog, get } = shop();
const activate = { v: 1, kind: 'activate', id: 'a', playbook, catalog, foldVersion: 1 };
let ids = 0;

function openShard(options: ConstructorParameters<typeof FoldShard>[1] = {}): FoldShard {
  const shard = new FoldShard({ get }, options);
  shard.append(activate, 0);
  return shard;
}
const view = (visitor: string, more: object = {}) => ({
  v: 1,
  kind: 'event',
  id: `e${ids++}`,
  visitor,
  type: 'product_viewed',
  properties: { productId: 'p1' },
  ...more,
});
const identified = (visitor: string, user = 'u:ada') => ({ v: 1, kind: 'identified', id: `i${ids++}`, visitor, user });
const sentBy = ({ outbox }: FoldShard) =>
  outbox.filter(({ topic }) => topic === movesTopic).map(({ value }) => JSON.parse(value));
const visitorOf = (shard: FoldShard, id: string): Visitor => shard.visitor(id)!;

describe('what is sent to a user', () => {
  it('has the same origin when its shard is made anew and does nothing more for another visitor (8.2)', () => {
    const records: [object, number][] = [
      [identified('ann'), 1_000],
      [identified('ben'), 1_000],
      // Both hold an event; one record, at which both holds end, sends both.
      [view('ann', { source: 's', sequence: 2 }), 1_001],
      [view('ben', { source: 's', sequence: 2 }), 1_001],
      [view('ben', { source: 's', sequence: 3 }), 2_000],
    ];
    const whole = openShard();
    for (const [record, stamp] of records) whole.append(record, stamp);
    whole.fold();
    const sent = sentBy(whole).filter(({ kind }) => kind === 'forwarded');
    expect(sent.map(({ from, origin }) => `${from} ${origin.output}`)).toEqual(['ann 5-0', 'ben 5-0', 'ben 5-1']);

    // A snapshot has all of ann, and nothing of ben.
    const rebuilt = openShard();
    rebuilt.fold();
    rebuilt.stored.set('ann', { ...whole.stored.get('ann')!, wakeAt: null });
    for (const [record, stamp] of records) {
      const isOld = (record as { visitor: string }).visitor === 'ann';
      rebuilt.append(isOld ? { v: 1, kind: 'tick', id: 't' } : record, stamp);
    }
    rebuilt.fold();
    const again = sentBy(rebuilt).filter(({ kind }) => kind === 'forwarded');
    expect(again).toEqual(sent.filter(({ from }) => from === 'ben'));
  });

  it('goes without what is shown when it would be more than a log takes', () => {
    const shard = openShard();
    for (let n = 0; n < 3; n++) shard.append(view('ann'), 1_000 + n);
    shard.fold();
    const { profile, slots, ...rest } = shard.stored.get('ann')!;
    shard.stored.set('ann', {
      ...rest,
      profile,
      slots: slots.replace('"viewed p1"', JSON.stringify('x'.repeat(250_000))),
    });
    const other = openShard();
    other.fold();
    other.stored.set('ann', shard.stored.get('ann')!);
    other.append(identified('ann'), 2_000);
    other.fold();
    const [merge] = sentBy(other);
    expect(merge.profile).toMatchObject({ slots: {}, traits: { views: 3 }, rules: { 'limit.visitor.hello': [0, 3] } });
    expect(merge.profile.timers.map(({ what }: { what: string }) => what)).toEqual(['session']);
  });
});

describe('an alias', () => {
  const lasting = { visitorRetentionMs: 10_000, aliasRetentionMs: 50_000 };

  it('lasts as long as a token, after what came last (8.1)', () => {
    const shard = openShard({ settings: lasting });
    shard.append(identified('ann'), 1_000);
    shard.append(view('ann'), 40_000);
    shard.append(view('ann'), 90_000);
    expect(sentBy(shard.fold())).toHaveLength(3);
    shard.append(view('ann'), 140_001);
    shard.fold();
    expect(sentBy(shard)).toHaveLength(3);
    expect(visitorOf(shard, 'ann')).toMatchObject({ alias: null, counts: { folded: 1 } });
    expect(shard.meta.counters.expiredVisitors).toBe(1);
  });
});

describe('a user', () => {
  /** What one shard sends, appended to its own log: shard 0 is everybody's. */
  function deliver(shard: FoldShard, stamp: number): void {
    for (const record of sentBy(shard)) shard.append(record, stamp);
    shard.fold();
  }

  it('that was imported goes live with what it takes in, its timers too (3.2)', () => {
    const shard = openShard();
    shard.append(view('u:ada', { at: 500, imported: true, source: 's', sequence: 1 }), 1_000_000);
    shard.fold();
    expect(visitorOf(shard, 'u:ada').timers.every(({ wallDue }) => wallDue === null)).toBe(true);
    shard.append(view('ann'), 1_000_100);
    shard.append(identified('ann'), 1_000_200);
    deliver(shard.fold(), 1_000_300);
    const ada = visitorOf(shard, 'u:ada');
    expect(ada).toMatchObject({ historic: false, now: 1_000_100, counts: { folded: 2 } });
    expect(ada.timers.every(({ wallDue }) => wallDue !== null)).toBe(true);
  });

  it('takes nothing twice, also when it was forgotten in between and what it took is remembered by nobody', () => {
    const shard = openShard({ settings: { visitorRetentionMs: 10_000 } });
    shard.append(view('ann'), 1_000);
    shard.append(identified('ann'), 1_001);
    shard.append(view('ann'), 1_002);
    deliver(shard.fold(), 1_003);
    expect(visitorOf(shard, 'u:ada').counts.folded).toBe(2);
    // Its session's end comes up too late: it goes with its visitor.
    shard.append({ v: 1, kind: 'tick', id: 't' }, 2_000_000);
    shard.fold();
    expect(shard.visitor('u:ada')).toBeNull();
    deliver(shard, 2_000_001);
    expect(shard.visitor('u:ada')).toBeNull();
    expect(shard.meta.counters.repeatedMoves).toBe(2);
  });

  it('keeps of a merge that cannot be folded that it came, and a failed event', () => {
    const shard = openShard();
    shard.append(view('ann'), 1_000);
    shard.append(identified('ann'), 1_001);
    const [merge] = sentBy(shard.fold());
    const broken = { ...merge, profile: { ...merge.profile, rules: { 'limit.key.left_cart': 7 } } };
    shard.append(view('u:ada'), 1_002);
    for (let i = 0; i < 2; i++) shard.append(broken, 1_003);
    shard.fold();
    expect(shard.failed.map(({ reason, visitor }) => [reason, visitor])).toEqual([['FOLD_ERROR', 'u:ada']]);
    expect(visitorOf(shard, 'u:ada').counts).toMatchObject({ folded: 1, failed: 1 });
    expect(shard.meta.counters).toMatchObject({ merged: 0, repeatedMoves: 1 });
  });

  it('is told of by decisions, and so is the visitor that is empty now', () => {
    const shard = openShard({ settings: { outputs: ['decisions'] }, cut: wholeLog });
    for (let n = 0; n < 4; n++) shard.append(view('ann'), 1_000 + n);
    shard.append(identified('ann'), 1_100);
    deliver(shard.fold(), 1_200);
    const decisions = shard.outbox.filter(({ topic }) => topic === 'decisions').map(({ value }) => JSON.parse(value));
    expect(decisions.slice(-2)).toMatchObject([
      {
        visitor: 'ann',
        cause: { kind: 'identified' },
        slots: [{ slot: 'banner', content: null }],
        segments: { entered: [], left: ['busy', 'keen'] },
      },
      {
        visitor: 'u:ada',
        cause: { kind: 'merged', from: 'ann' },
        slots: [{ slot: 'banner', content: 'hello' }],
        segments: { entered: ['busy', 'keen'], left: [] },
      },
    ]);
  });
});
