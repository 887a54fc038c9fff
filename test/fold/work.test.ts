import { beforeEach, describe, expect, it } from 'vitest';
import { foldRecord } from '../../src/fold/fold.ts';
import { readRecord } from '../../src/fold/record.ts';
import { defaultFoldSettings, ShardWork } from '../../src/fold/work.ts';
import { noCounts, type ShardMeta } from '../../src/model/shardMeta.ts';
import { TestBundles } from '../support/bundles.ts';

const bundles = new TestBundles();
const playbook = bundles.addPlaybook('format: 1\ncurrency: USD\n');
const catalog = bundles.addCatalog([]);
const meta: ShardMeta = {
  shard: 0,
  shards: 1,
  owner: 'o',
  epoch: 1,
  lineage: 'l',
  commit: 'c',
  position: 0,
  outputs: 0,
  copied: 0,
  commits: 0,
  rebuilding: false,
  appendTime: 0,
  active: null,
  lastId: null,
  counters: noCounts,
  segments: {},
};
const budget = { timers: 100 };

function newWork(from: Partial<ShardMeta> = {}): ShardWork {
  return new ShardWork({
    meta: { ...meta, ...from },
    active: null,
    bundles: (playbook, catalog) => bundles.get(playbook, catalog),
    settings: defaultFoldSettings,
  });
}
function read(offset: number, stamp: number, record: object) {
  return readRecord({
    shard: 0,
    offset,
    stamp,
    key: null,
    value: JSON.stringify({ v: 1, id: `e${offset}`, ...record }),
  });
}
const view = (visitor: string) => ({ kind: 'event', visitor, type: 'page_viewed', properties: {} });
const noneLater = Number.MAX_SAFE_INTEGER;

describe('the working set of a shard', () => {
  let work: ShardWork;
  beforeEach(() => {
    work = newWork();
    work.setWakeups([], null, noneLater);
  });

  it('refuses to fold for a visitor that was not loaded, rather than take it for a new one', () => {
    expect(() => foldRecord(work, read(0, 1, view('anna')), budget)).toThrow(/anna must be loaded/);
  });

  it('refuses to fold before it knows which timers are stored', () => {
    const fresh = newWork();
    fresh.setVisitor('anna', null);
    expect(() => foldRecord(fresh, read(0, 1, view('anna')), budget)).toThrow(/setWakeups must be called/);
  });

  it('refuses a record that is folded already', () => {
    foldRecord(work, read(0, 1, { kind: 'tick' }), budget);
    expect(() => foldRecord(work, read(0, 1, { kind: 'tick' }), budget)).toThrow(/0 is folded already/);
  });

  it('goes on over offsets that were never given', () => {
    foldRecord(work, read(0, 1, { kind: 'tick' }), budget);
    foldRecord(work, read(5, 2, { kind: 'tick' }), budget);
    expect(work.meta).toMatchObject({ position: 6, appendTime: 2, lastId: 'e5' });
  });

  it('hands out each change once, and keeps what it knows', () => {
    work.setVisitor('anna', null);
    foldRecord(work, read(0, 1, view('anna')), budget);
    expect(work.changed).toBe(1);
    const changes = work.takeChanges();
    expect([...changes.visitors.keys()]).toEqual(['anna']);
    expect(changes.meta).toMatchObject({
      position: 1,
      appendTime: 1,
      lastId: 'e0',
      counters: { folded: 1, visitors: 1 },
    });
    expect(changes.activity).toMatchObject([{ visitor: 'anna', what: 'folded', eventId: 'e0' }]);
    expect(work.changed).toBe(0);
    expect(work.takeChanges()).toMatchObject({ activity: [], failed: [] });
    expect(work.has('anna')).toBe(true);
  });

  it('keeps its own state of a visitor when the store hands over an older one', () => {
    work.setVisitor('anna', null);
    foldRecord(work, read(0, 1, view('anna')), budget);
    work.setVisitor('anna', null);
    expect(work.visitor('anna')?.counts.folded).toBe(1);
  });

  it('evicts visitors without changes, those not used since the last time first', () => {
    ['anna', 'berta', 'cora'].forEach((visitor, i) => {
      work.setVisitor(visitor, null);
      foldRecord(work, read(i, 1, view(visitor)), budget);
    });
    work.evict(0);
    expect(work.size).toBe(3);
    work.takeChanges();
    work.evict(2);
    expect(work.size).toBe(2);
    const [first, second] = ['anna', 'berta', 'cora'].filter((visitor) => work.has(visitor));
    work.visitor(first!);
    work.evict(1);
    expect([work.has(first!), work.has(second!)]).toEqual([true, false]);
  });

  it('asks for the stored timers again after an eviction', () => {
    work.setVisitor('anna', null);
    foldRecord(work, read(0, 1, view('anna')), budget);
    work.takeChanges();
    work.evict(0);
    expect(() => foldRecord(work, read(1, 2, { kind: 'tick' }), budget)).toThrow(/setWakeups must be called/);
  });

  it('asks for more when the append time passes what it was told of, and when a page of timers was full', () => {
    work.setWakeups([], null, 100);
    expect(foldRecord(work, read(0, 100, { kind: 'tick' }), budget)).toBe('done');
    expect(foldRecord(work, read(1, 101, { kind: 'tick' }), budget)).toBe('more');
    expect(work.meta).toMatchObject({ position: 1, appendTime: 101 });
    work.setVisitor('anna', null);
    work.setWakeups([{ at: 90, visitor: 'anna' }], { at: 90, visitor: 'anna' }, 101);
    expect(foldRecord(work, read(1, 101, { kind: 'tick' }), budget)).toBe('more');
    work.setWakeups([{ at: 102, visitor: 'anna' }], { at: 102, visitor: 'anna' }, 200);
    expect(foldRecord(work, read(1, 101, { kind: 'tick' }), budget)).toBe('done');
  });

  it('asks for more rather than fire the timer of a loaded visitor before one that may still be stored', () => {
    for (const visitor of ['anna', 'berta']) work.setVisitor(visitor, null);
    foldRecord(work, read(0, 1, view('anna')), budget);
    foldRecord(work, read(1, 2, view('berta')), budget);
    const horizon = { at: 1_800_001, visitor: 'anna' };
    work.setWakeups([horizon], horizon, noneLater);
    const tick = read(2, 1_900_000, { kind: 'tick' });
    expect(foldRecord(work, tick, budget)).toBe('more');
    expect(work.counters.timersFired).toBe(1);
    work.setWakeups([], null, noneLater);
    expect(foldRecord(work, tick, budget)).toBe('done');
    expect(work.counters.timersFired).toBe(2);
  });

  it('fires as many timers as it is allowed, and the rest at the next call', () => {
    ['anna', 'berta', 'cora'].forEach((visitor, i) => {
      work.setVisitor(visitor, null);
      foldRecord(work, read(i, 1, view(visitor)), budget);
    });
    const tick = read(3, 1_800_001, { kind: 'tick' });
    expect(foldRecord(work, tick, { timers: 2 })).toBe('more');
    expect(work.counters.timersFired).toBe(2);
    expect(foldRecord(work, tick, { timers: 1 })).toBe('done');
    expect(work.counters.timersFired).toBe(3);
  });

  it('keeps at most 64 lines of activity between two commits', () => {
    work.setVisitor('anna', null);
    for (let i = 0; i < 300; i++) foldRecord(work, read(i, 1, view('anna')), budget);
    expect(work.takeChanges().activity.length).toBe(64);
    foldRecord(work, read(300, 1, view('anna')), budget);
    expect(work.takeChanges().activity.length).toBe(1);
  });

  it('queues nothing for an event that only moves the end of its session', () => {
    work.setVisitor('anna', null);
    for (let i = 0; i < 100; i++) foldRecord(work, read(i, i, view('anna')), budget);
    expect(work.queued).toBe(1);
  });

  it('keeps its queue of timers in proportion to its visitors, however often they are held', () => {
    for (const visitor of ['anna', 'berta']) work.setVisitor(visitor, null);
    let offset = 0;
    let stamp = 1000;
    for (let i = 1; i < 4000; i += 2) {
      // A gap that closes: a hold comes, comes up, and leaves the session's end to be queued again.
      stamp += 60;
      foldRecord(work, read(offset++, stamp, { ...view('anna'), source: 's', sequence: i + 1 }), budget);
      foldRecord(work, read(offset++, stamp, { ...view('anna'), source: 's', sequence: i }), budget);
    }
    expect(work.counters).toMatchObject({ folded: 4000, held: 2000, late: 0 });
    expect(work.queued).toBeLessThanOrEqual(4 * 2 + 1024 + 1);
  });
});

describe('an activation', () => {
  const activate = (from: object) => read(0, 1, { kind: 'activate', playbook, catalog, foldVersion: 1, ...from });
  let work: ShardWork;
  beforeEach(() => {
    work = newWork();
    work.setWakeups([], null, noneLater);
  });

  it('takes the bundles that it names', () => {
    expect(foldRecord(work, activate({}), budget)).toBe('done');
    expect(work.active?.playbook.version).toBe(playbook);
    expect(work.takeChanges().meta.active).toEqual({ playbook, catalog, foldVersion: 1 });
  });

  it('stops the shard when a bundle is not there', () => {
    expect(() => foldRecord(work, activate({ playbook: 'gone' }), budget)).toThrow(
      expect.objectContaining({ code: 'BUNDLE_MISSING', message: expect.stringContaining('gone') }),
    );
    expect(work.meta).toMatchObject({ position: 0, active: null });
  });

  it('stops the shard when it asks for another fold version', () => {
    expect(() => foldRecord(work, activate({ foldVersion: 2 }), budget)).toThrow(
      expect.objectContaining({ code: 'FOLD_VERSION' }),
    );
    expect(work.meta).toMatchObject({ position: 0, active: null });
  });

  it('must be resolvable when a shard is taken over', () => {
    expect(() => newWork({ active: { playbook: 'gone', catalog, foldVersion: 1 } })).toThrow(
      expect.objectContaining({ code: 'BUNDLE_MISSING' }),
    );
  });
});
