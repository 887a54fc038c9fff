import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { abandonedPlaybook, askAbandoned, firingsOf, sessionEnds } from '../support/abandoned.ts';
import { TestBundles } from '../support/bundles.ts';
import { type CartHistory, cartHistory, type Firing } from '../support/cartHistory.ts';
import { type Cut, FoldShard, wholeLog } from '../support/foldShard.ts';
import type { GeneratedRecord } from '../support/logs.ts';
import { describeWithSample, ottoSample, rees46Sample } from '../support/samples.ts';

/** The figures were counted by others than the authors of script and fold, from the files alone. */
describeWithSample('abandoned carts of three hours of a real shop, told by the script', rees46Sample, (file) => {
  it.each([
    ['5m', [], 51],
    ['5m', ['5m'], 63],
    ['10m', [], 37],
    ['10m', ['10m'], 54],
  ])('after %s, with --finish %j, are %i', async (wait, beyond, count) => {
    expect(await askAbandoned(file, '--format', 'rees46', '--wait', wait, '--finish', ...beyond)).toHaveLength(count);
  });

  it('ended 634 sessions by half an hour of silence before the file does', async () => {
    expect(await askAbandoned(file, '--format', 'rees46', '--ended', 'sessions', '--finish')).toHaveLength(634);
  });
});

describeWithSample('abandoned carts of twenty visitors of another shop, told by the script', ottoSample, (file) => {
  it('after half an hour are 19', async () => {
    expect(await askAbandoned(file, '--format', 'otto', '--wait', '30m', '--finish')).toHaveLength(19);
  });
});

const rule = 'left_alone';
const bundles = new TestBundles();
const playbook = bundles.addPlaybook(abandonedPlaybook({ [rule]: '30m' }));
const catalog = bundles.addCatalog([]);
const startMs = Date.UTC(2030, 0, 7, 8);

/**
 * Batches of whatever there is, and of a few with nobody kept in memory: a wait must live through another owner, and a cut
 * between two timers of one record.
 */
const cuts: readonly { readonly cut: Cut; readonly visitors: number }[] = [
  { cut: wholeLog, visitors: 300 },
  { cut: { batch: 300, timers: 1_000, page: 1_000, keep: 0 }, visitors: 300 },
  { cut: { batch: 30, timers: 3, page: 5, keep: 0 }, visitors: 20 },
];

function folded(records: readonly GeneratedRecord[], cut: Cut = wholeLog): FoldShard {
  const shard = new FoldShard(bundles, { cut, settings: { activity: Number.MAX_SAFE_INTEGER } });
  shard.append({ v: 1, kind: 'activate', id: 'a', playbook, catalog, foldVersion: 1 }, startMs - 1);
  for (const { stamp, value } of records) shard.append(value, stamp);
  return shard.fold();
}

describe.each(['live', 'historic'] as const)(
  'a log of %s shoppers who fill carts, change them, order and leave',
  (kind) => {
    const options = { seed: 11, visitors: 300, scenes: 16, waitMs: 1_800_000, kind, startMs };
    let history: CartHistory;
    let folder: string;
    let file: string;
    beforeAll(async () => {
      history = cartHistory(options);
      folder = await mkdtemp(join(tmpdir(), 'usher-abandoned-'));
      file = await written('log.jsonl', history.records);
    });
    afterAll(() => rm(folder, { recursive: true }));

    async function written(name: string, records: readonly GeneratedRecord[]): Promise<string> {
      const path = join(folder, name);
      await writeFile(path, records.map((record) => JSON.stringify(record)).join('\n'));
      return path;
    }

    it('has more than a thousand abandoned carts, and near misses on either side, and all that disturbs them', () => {
      expect(history.abandoned.length).toBeGreaterThan(1_000);
      expect(history.nearMisses.before).toBeGreaterThan(1_000);
      expect(history.nearMisses.after).toBeGreaterThan(1_000);
      expect(history.reordered).toBeGreaterThan(500);
      expect(history.repeated).toBeGreaterThan(200);
      for (const [scene, times] of history.scenes) expect(times, scene).toBeGreaterThan(20);
    });

    it('has, for the script, the abandoned carts that were written into it', async () => {
      expectSame(await askAbandoned(file, '--format', 'log', '--wait', '30m'), history.abandoned);
    });

    it.each(cuts)(
      'has the same for Usher, to the millisecond, with $cut.batch records a batch',
      ({ cut, visitors }) => {
        const cutUp = visitors === options.visitors ? history : cartHistory({ ...options, visitors });
        const { activity, meta } = folded(cutUp.records, cut);
        expectSame(firingsOf(activity, rule), cutUp.abandoned);
        const { counters } = meta;
        expect(counters).toMatchObject({ failed: 0, beyondWindow: 0, ruleErrors: 0, duplicate: cutUp.repeated });
        expect(counters.held).toBeGreaterThanOrEqual(cutUp.reordered);
        expect(counters.late).toBeGreaterThan(0);
      },
    );

    it('has the sessions for Usher that the script tells', async () => {
      const ends = await askAbandoned(file, '--format', 'log', '--ended', 'sessions');
      expect(ends.length).toBeGreaterThan(history.abandoned.length);
      expectSame(sessionEnds(folded(history.records).activity), ends);
    });

    it.each<[string, (event: Planted) => readonly GeneratedRecord[]]>([
      ['is not there', () => []],
      ['was a second earlier', (event) => [{ ...event, value: { ...event.value, at: event.value.at - 1_000 } }]],
    ])(
      'is told apart, by Usher and by the script, from a log in which the last change of a cart %s',
      async (_what, plant) => {
        const [visitor, due] = history.abandoned[1_000]!;
        const place = history.records.findIndex(({ value }) => {
          const event = value as { visitor?: string; at?: number };
          return event.visitor === visitor && event.at === due - options.waitMs;
        });
        const planted = history.records.toSpliced(place, 1, ...plant(history.records[place] as never));
        const fired = firingsOf(folded(planted).activity, rule);
        expect(fired).not.toContainEqual([visitor, due]);
        expectSame(
          await askAbandoned(await written('planted.jsonl', planted), '--format', 'log', '--wait', '30m'),
          fired,
        );
      },
    );
  },
);

/** A record with an event. */
interface Planted {
  readonly stamp: number;
  readonly value: { readonly at: number };
}

function expectSame(actual: readonly Firing[], expected: readonly Firing[]): void {
  const name = ([visitor, due]: Firing) => `${visitor} ${new Date(due).toISOString()}`;
  expect(actual.map(name)).toEqual(expected.map(name));
}
