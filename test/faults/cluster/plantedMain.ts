import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startUsher } from '../../../src/compose.ts';
import { loadConfig } from '../../../src/config.ts';
import { createLogger } from '../../../src/observe/logger.ts';
import type { StateStore } from '../../../src/state/stateStore.ts';
import { bound } from '../../support/bound.ts';

/**
 * The real Usher with something planted between worker and store, which USHER_TEST_PLANT names: an end of the process at a point that a
 * kill hits by chance only, or a fence that is not there.
 */
const plants: Readonly<Record<string, (store: StateStore) => StateStore>> = { dies, unfenced };

/** A while after its first commit the process dies: which point of the way follows from how many lives it had. */
function dies(store: StateStore): StateStore {
  const points = ['before a commit', 'after a commit', 'before its outbox is drained'] as const;
  const point = points[Number(process.env['USHER_TEST_LIFE']) % points.length]!;
  let dueAt = Number.POSITIVE_INFINITY;
  const at = (here: (typeof points)[number]) => {
    if (here !== point || performance.now() < dueAt) return;
    writeSync(1, `${JSON.stringify({ msg: `dies ${point}` })}\n`);
    process.kill(process.pid, 'SIGKILL');
  };
  const all = bound(store);
  return {
    ...all,
    async commit(commit) {
      at('before a commit');
      const result = await all.commit(commit);
      if (result === 'DONE') {
        dueAt = Math.min(dueAt, performance.now() + 1_000);
        at('after a commit');
      }
      return result;
    },
    async drained(...args) {
      at('before its outbox is drained');
      return all.drained(...args);
    },
  };
}

/** Whoever once owned a shard goes on as its owner: nothing that it reads tells of another, and the store takes what it commits. */
function unfenced(store: StateStore): StateStore {
  const mine = new Map<number, string>();
  const all = bound(store);
  return {
    ...all,
    async own(...args) {
      const meta = await all.own(...args);
      mine.set(meta.shard, meta.commit);
      return meta;
    },
    async load(shard, visitors) {
      const loaded = await all.load(shard, visitors);
      return { ...loaded, commit: mine.get(shard) ?? loaded.commit };
    },
    async readMeta(shard) {
      const meta = await all.readMeta(shard);
      return meta === null ? null : { ...meta, commit: mine.get(shard) ?? meta.commit };
    },
    async commit(commit) {
      const { shard } = commit.meta;
      // A process that falls asleep nearly always has a commit on its way.
      await sleep(30);
      let result = await all.commit(commit);
      while (result === 'FENCED') {
        const { owner, commit: previous } = (await all.readMeta(shard))!;
        result = await all.commit({ ...commit, previous, meta: { ...commit.meta, owner } });
      }
      mine.set(shard, commit.meta.commit);
      return result;
    },
  };
}

const { config } = loadConfig({ env: process.env });
const plant = plants[process.env['USHER_TEST_PLANT'] ?? ''];
if (plant === undefined) throw new Error(`USHER_TEST_PLANT names none of ${Object.keys(plants).join(', ')}`);
const usher = await startUsher(config, { logger: createLogger(config), wrapStore: plant });
console.log(`${usher.url}/metrics`);
process.once('SIGTERM', () => void usher.stop().then(() => process.exit(0)));
