import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Bundles } from '../../src/playbook/bundles.ts';
import { bundleHash } from '../../src/playbook/compile.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite, type SqliteFile } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { hashesOfPublished, type Published, readPublished, restoreLayers } from '../../src/worker/published.ts';
import { makeSnapshot } from '../../src/worker/snapshots.ts';
import { sqliteOptions, temporaryFolder } from '../contract/sqliteSubjects.ts';

const everyMs = 10_000;
const baseText = '{"products":[{"id":"base","price":1},{"id":"p0","price":1}]}';
const base = bundleHash(baseText);

let clock: number;
let store: StateStore;
let closers: (() => Promise<void>)[];
beforeEach(async () => {
  clock = 1e12;
  closers = [];
  store = await openStore();
});
afterEach(async () => {
  for (const close of closers) await close();
});

/** A state in which a folder's catalog was published. */
async function openStore(): Promise<StateStore> {
  const { folder, remove } = await temporaryFolder();
  const file: SqliteFile = await openSqlite(sqliteOptions(folder));
  closers.push(async () => {
    await file.close();
    await remove();
  });
  const opened = sqliteStore(file, localBroadcast());
  await opened.putBundle(base, baseText);
  const first: Published = { playbook: 'p', base, layers: [], revision: 0, madeAt: 0, making: null };
  await opened.products.publish(null, JSON.stringify(first));
  return opened;
}

const put = (prices: Readonly<Record<string, number>>) =>
  store.products.put(Object.entries(prices).map(([id, price]) => ({ id, text: JSON.stringify({ id, price }) })));
async function make(by = 'one') {
  const status = await store.products.status();
  return makeSnapshot({ store, by, everyMs, now: () => clock }, readPublished(status.published), status);
}
const published = async () => readPublished((await store.products.status()).published).value!;
/** What the fold would see. */
async function prices(): Promise<Record<string, number>> {
  const bundles = new Bundles((hash) => store.readBundle(hash));
  const { products } = await bundles.loadCatalog(hashesOfPublished(await published()).catalog);
  return Object.fromEntries([...products.values()].map(({ id, price }) => [id, price]));
}

describe('a snapshot of the imported products', () => {
  it('lies over the catalog of the playbook, and is made when something changed and the last one is old enough', async () => {
    expect(await make()).toBeNull();
    await put({ p0: 2, p1: 2 });
    expect(await make()).not.toBeNull();
    expect(await prices()).toEqual({ base: 1, p0: 2, p1: 2 });
    await put({ p1: 3 });
    clock += everyMs - 1;
    expect(await make()).toBeNull();
    clock += 1;
    expect(await make()).not.toBeNull();
    expect(await prices()).toEqual({ base: 1, p0: 2, p1: 3 });
    clock += everyMs;
    expect(await make()).toBeNull();
  });

  it('is made all the same when the clock was set back', async () => {
    await put({ p1: 1 });
    await make();
    await put({ p1: 2 });
    clock -= 1e9;
    expect(await make()).not.toBeNull();
  });

  it('is made by one of several workers that find the same', async () => {
    await put({ p1: 1 });
    const made = await Promise.all(['one', 'two', 'three'].map((by) => make(by)));
    expect(made.filter((each) => each !== null)).toHaveLength(1);
    expect((await published()).making).toBeNull();
  });

  it('is made by another when the one who began it has died, and not before', async () => {
    await put({ p1: 1 });
    const before = await published();
    const claim = { ...before, making: { by: 'one', until: clock + 30_000 } };
    await store.products.publish(JSON.stringify(before), JSON.stringify(claim));
    expect(await make('two')).toBeNull();
    clock += 30_000;
    expect(await make('two')).not.toBeNull();
    expect(await prices()).toMatchObject({ p1: 1 });
  });

  it('is given up when a playbook is published meanwhile, whose catalog it would have lost, and made after it', async () => {
    await put({ p1: 1 });
    const status = await store.products.status();
    const read = readPublished(status.published);
    const other = { ...read.value!, playbook: 'q' };
    // Between the look and the claim.
    await store.products.publish(read.text, JSON.stringify(other));
    expect(await makeSnapshot({ store, by: 'one', everyMs, now: () => clock }, read, status)).toBeNull();
    expect(await make()).not.toBeNull();
    expect(await published()).toMatchObject({ playbook: 'q', making: null });
  });

  it('writes what changed: many small changes are few layers, and what is out of date goes', async () => {
    await put(Object.fromEntries(Array.from({ length: 1_200 }, (_, n) => [`p${n}`, n])));
    await make();
    expect((await published()).layers.map(({ products }) => products)).toEqual([500, 500, 200]);
    const all: Record<string, number> = await prices();
    for (let change = 0; change < 60; change++) {
      const changes = { [`p${change}`]: 10_000 + change, [`p${change + 100}`]: 20_000 + change };
      await put(changes);
      Object.assign(all, changes);
      clock += everyMs;
      await make();
      const { layers } = await published();
      expect(layers.length).toBeLessThanOrEqual(12);
    }
    expect(await prices()).toEqual(all);
    // Two thousand more changes of few products wear the layers out: all is written anew.
    for (let change = 0; change < 8; change++) {
      await put(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`p${n}`, 30_000 + change])));
      clock += everyMs;
      await make();
    }
    const sum = (await published()).layers.reduce((total, { products }) => total + products, 0);
    expect(sum).toBeLessThanOrEqual(2 * 1_200 + 500 + 300);
    expect((await prices())['p299']).toBe(30_007);
    expect((await prices())['p1199']).toBe(1_199);
  });

  it('restores the products into a state that was emptied, but for those that were imported since', async () => {
    await put({ p1: 1, p2: 2 });
    await make();
    await put({ p1: 3 });
    clock += everyMs;
    await make();
    const { catalog } = hashesOfPublished(await published());
    const lost = store;
    store = await openStore();
    // The bundles stand in the archive.
    const archived: StateStore = Object.create(store, {
      readBundle: { value: (hash: string) => lost.readBundle(hash) },
    });
    await put({ p2: 5 });
    const restored = await restoreLayers(archived, catalog);
    expect(await store.products.read(['p1', 'p2'])).toEqual(['{"id":"p1","price":3}', '{"id":"p2","price":5}']);
    // What was imported since is not in the layers yet.
    expect(restored.revision).toBe(0);
    expect(restored.layers.reduce((sum, { products }) => sum + products, 0)).toBeGreaterThanOrEqual(2);
    expect(await restoreLayers(store, base)).toEqual({ layers: [], revision: 0 });
  });
});
