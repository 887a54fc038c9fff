import { expect, it } from 'vitest';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import { sqliteOptions, temporaryFolder } from '../contract/sqliteSubjects.ts';
import { action } from '../contract/stateStore.actions.ts';

it('the file keeps the newest dead letters, and the ids of done actions, about as many as the limits', async () => {
  const { folder, remove } = await temporaryFolder();
  const file = await openSqlite(sqliteOptions(folder, { limits: { deadLetters: 20, doneActions: 10 } }));
  try {
    const { own, actions } = sqliteStoreOf(file);
    await own();
    const ended = (state: 'dead' | 'done') => (n: number) => action(n, { state, told: true, changedAt: 1_000 + n });
    // What waits is nobody's to throw away.
    await actions.accept(1, 'owner', [action(900), action(901)]);
    for (let n = 0; n < 100; n++) {
      await actions.accept(1, 'owner', [action(n)]);
      await actions.write(1, 'owner', [ended(n % 2 === 0 ? 'dead' : 'done')(n)]);
    }
    const query = { shard: 1, destination: null, before: null, limit: 1_000 };
    const dead = (await actions.readDead(query)).map(({ order }) => order.id);
    const evenFromNewest = Array.from({ length: 50 }, (_, i) => action(98 - 2 * i).order.id);
    expect(dead.length).toBeGreaterThanOrEqual(20);
    expect(dead.length).toBeLessThanOrEqual(23);
    expect(dead).toEqual(evenFromNewest.slice(0, dead.length));
    const rows = file.prepare(`select text from actions where shard = 1 and state = 'done'`).all();
    expect(rows.length).toBeGreaterThanOrEqual(10);
    expect(rows.length).toBeLessThanOrEqual(12);
    // Nothing but the id.
    expect(new Set(rows.map(({ text }) => text))).toEqual(new Set(['']));
    expect(await actions.readPending(1, null, 10)).toEqual([action(900), action(901)]);
  } finally {
    await file.close();
    await remove();
  }
});

function sqliteStoreOf(file: Awaited<ReturnType<typeof openSqlite>>) {
  const store = sqliteStore(file, localBroadcast());
  return { own: () => store.own(1, 'owner', 4), actions: store.actions };
}
