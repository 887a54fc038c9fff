import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsherError } from '../../src/errors.ts';
import { limits } from '../../src/gateway/limits.ts';
import { SlotReads } from '../../src/gateway/slotReads.ts';
import { shardOf } from '../../src/model/shard.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteFile } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { commitAfter, write } from '../contract/commits.ts';
import { temporaryFolder } from '../contract/sqliteSubjects.ts';
import { bound } from '../support/bound.ts';

const shards = 2;
/** Visitors of one shard, by number. */
const visitorsOf = (shard: number, count: number) => {
  const found: string[] = [];
  for (let n = 0; found.length < count; n++) if (shardOf(`u:${n}`, shards) === shard) found.push(`u:${n}`);
  return found;
};

let file: SqliteFile;
let remove: () => Promise<void>;
let store: StateStore;
let reads: SlotReads;
/** The visitors of each read that the store was asked for. */
let asked: string[][];
let failing: number | null;
beforeEach(async () => {
  const temporary = await temporaryFolder();
  remove = temporary.remove;
  const retention = { ageMs: 1e12, bytes: 1e12 };
  file = await openSqlite({ folder: temporary.folder, shards, appendDeadlineMs: 5_000, retention });
  store = sqliteStore(file, localBroadcast());
  asked = [];
  failing = null;
  const counting: StateStore = {
    ...bound(store),
    readSlots(keys: Parameters<StateStore['readSlots']>[0]) {
      asked.push(keys.map(({ visitor }) => visitor));
      if (keys.some(({ shard }) => shard === failing))
        return Promise.reject(new UsherError('STATE_UNAVAILABLE', 'away'));
      return store.readSlots(keys);
    },
  };
  reads = new SlotReads(counting, shards);
});
afterEach(async () => {
  await file.close();
  await remove();
});

const commit = async (shard: number, visitors: readonly string[]) => {
  const made = commitAfter(await store.own(shard, 'owner', shards), {
    visitors: visitors.map((one) => write(one, one)),
  });
  expect(await store.commit(made)).toBe('DONE');
};

describe('reading slots', () => {
  it('is one read a shard for all that is wanted in one turn, and gives each asker its own visitor', async () => {
    const [one, two] = visitorsOf(0, 2) as [string, string];
    const [three] = visitorsOf(1, 1) as [string];
    await commit(0, [one, two]);
    await commit(1, [three]);
    const wanted = [one, three, two, one, 'u:nobody'];
    const answers = await Promise.all(wanted.map((visitor) => reads.load(visitor)));
    expect(answers.map(({ slots }) => slots)).toEqual([
      ...wanted.slice(0, 4).map((visitor) => `slots ${visitor}`),
      null,
    ]);
    expect(asked.flat().sort()).toEqual([one, two, three, 'u:nobody'].sort());
    expect(asked).toHaveLength(2);
  });

  it('keeps nothing: who asks later gets what is there then', async () => {
    const [one] = visitorsOf(0, 1) as [string];
    expect((await reads.load(one)).slots).toBeNull();
    await commit(0, [one]);
    expect((await reads.load(one)).slots).toBe(`slots ${one}`);
    expect(asked).toHaveLength(2);
  });

  it('fails by shard', async () => {
    const [one] = visitorsOf(0, 1) as [string];
    const [three] = visitorsOf(1, 1) as [string];
    await commit(1, [three]);
    failing = 0;
    const [failed, read] = await Promise.allSettled([reads.load(one), reads.load(three)]);
    expect(failed).toMatchObject({ status: 'rejected', reason: { code: 'STATE_UNAVAILABLE' } });
    expect(read).toMatchObject({ status: 'fulfilled', value: { slots: `slots ${three}` } });
  });

  it.each([
    [limits.readVisitors, [limits.readVisitors]],
    [limits.readVisitors + 1, [limits.readVisitors, 1]],
  ])('asks for at most so many visitors at once: %i', async (count, sizes) => {
    await Promise.all(visitorsOf(0, count).map((visitor) => reads.load(visitor)));
    expect(asked.map(({ length }) => length)).toEqual(sizes);
  });
});
