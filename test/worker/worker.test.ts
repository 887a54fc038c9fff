import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { UsherError } from '../../src/errors.ts';
import { shardOf } from '../../src/model/shard.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { bound } from '../support/bound.ts';
import { openHarness, shards } from './harness.ts';

const soon = () => AbortSignal.timeout(20_000);

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const signal = soon();
  while (!(await condition())) {
    signal.throwIfAborted();
    await sleep(5);
  }
}

describe('worker', () => {
  it('folds what the log has and moves the position in the same commit', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const worker = await usher.startWorker();
    for (let i = 0; i < 50; i++) await usher.view(`v${i % 10}`, `p_${i}`);
    await worker.caughtUp(soon());
    for (let i = 0; i < 10; i++) expect((await usher.visitor(`v${i}`))?.counts.folded).toBe(5);
    for (let shard = 0; shard < shards; shard++) {
      expect((await usher.store.readMeta(shard))?.position).toBe((await usher.log.bounds(shard)).end);
    }
  });

  it('goes on where another one stopped, folding nothing twice', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const first = await usher.startWorker();
    await usher.view('ann', 'p_1');
    await first.caughtUp(soon());
    await first.stop();
    await usher.view('ann', 'p_2');
    const second = await usher.startWorker();
    await second.caughtUp(soon());
    expect((await usher.visitor('ann'))?.counts).toMatchObject({ folded: 2, duplicate: 0 });
  });

  it('ends what has run out without any event, by a tick of its own', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const worker = await usher.startWorker();
    await usher.view('ann', 'p_1');
    await worker.caughtUp(soon());
    const shown = await usher.visitor('ann');
    expect(shown?.slots['last_look']?.candidates).toHaveLength(1);
    expect(shown?.session).not.toBeNull();
    usher.clock.now += 31 * 60_000;
    await until(async () => (await usher.visitor('ann'))?.timers.length === 0);
    const after = await usher.visitor('ann');
    expect(after?.slots['last_look']?.candidates).toHaveLength(0);
    expect(after?.session).toBeNull();
  });

  it('sends the same commit again when the reply was lost, and it counts once', async () => {
    await using usher = await openHarness();
    await usher.activate();
    let lost = 0;
    const results: string[] = [];
    const worker = await usher.startWorker((store) =>
      wrap(store, async (commit) => {
        const result = await store.commit(commit);
        results.push(result);
        if (lost++ % 2 === 0) throw new UsherError('STATE_UNAVAILABLE', 'the reply was lost');
        return result;
      }),
    );
    for (let i = 0; i < 5; i++) await usher.view('ann', `p_${i}`);
    await worker.caughtUp(soon());
    expect((await usher.visitor('ann'))?.counts.folded).toBe(5);
    expect(results).toContain('ALREADY');
    expect(usher.count('fenced')).toBe(0);
  });

  it('loses and doubles nothing when two processes serve the same shards and fence each other', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const first = await usher.startWorker();
    await first.caughtUp(soon());
    for (let i = 0; i < 20; i++) await usher.view('ann', `p_${i}`);
    const second = await usher.startWorker((same) => same, true);
    for (let i = 20; i < 60; i++) {
      await usher.view('ann', `p_${i}`);
      await sleep(1);
    }
    const shard = shardOf('ann', shards);
    await until(async () => (await usher.store.readMeta(shard))?.position === (await usher.log.bounds(shard)).end);
    expect(usher.count('fenced')).toBeGreaterThan(0);
    expect((await usher.visitor('ann'))?.counts).toMatchObject({ folded: 60, duplicate: 0 });
    expect((await usher.visitor('ann'))?.traits.get('product_views') ?? 60).toBe(60);
    await second.stop();
  });

  it('notices within a second that its commits are gone from the state, also when no event comes', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const worker = await usher.startWorker();
    await worker.caughtUp(soon());
    // What stands after a failover, or after another process took the shard for a moment, is not the commit that this one made last.
    await usher.store.own(0, 'somebody else', shards);
    await until(async () => (await usher.store.readMeta(0))?.owner !== 'somebody else');
    expect(usher.count('fenced')).toBe(1);
  });

  it('cuts commits at 256 visitors and 512 kB, also when thousands of timers come up at once', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const commits: { visitors: number; bytes: number }[] = [];
    const worker = await usher.startWorker((store) =>
      wrap(store, (commit) => {
        const bytes = commit.visitors.reduce(
          (sum, { profile, slots }) => sum + Buffer.byteLength(profile ?? '') + Buffer.byteLength(slots ?? ''),
          0,
        );
        commits.push({ visitors: commit.visitors.length, bytes });
        return store.commit(commit);
      }),
    );
    // Each visitor holds seven events of a kilobyte, waiting for a number that never comes.
    const visitors = Array.from({ length: 600 }, (_, i) => `v${i}`);
    for (const sequence of [1, 3, 4, 5, 6, 7, 8, 9]) {
      await usher.log.append(
        visitors.map((visitor) => {
          const properties = { productId: `p_${sequence}`, note: 'x'.repeat(sequence === 1 ? 1 : 900) };
          const event = { id: randomUUID(), visitor, type: 'product_viewed', properties, source: 's', sequence };
          const value = JSON.stringify({ v: 1, kind: 'event', ...event });
          return { shard: shardOf(visitor, shards), key: visitor, value };
        }),
      );
    }
    await worker.caughtUp(soon());
    usher.clock.now += 60 * 60_000;
    await until(async () => {
      const states = await Promise.all(visitors.map((visitor) => usher.visitor(visitor)));
      return states.every((state) => state?.counts.folded === 8 && state.timers.length === 0);
    });
    expect(Math.max(...commits.map((commit) => commit.bytes))).toBeGreaterThan(200_000);
    expect(Math.max(...commits.map((commit) => commit.bytes))).toBeLessThanOrEqual(512_000);
    expect(Math.max(...commits.map((commit) => commit.visitors))).toBeLessThanOrEqual(256);
  });

  it('stops a shard whose playbook it cannot load, says so, and serves the others', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const lost = {
      v: 1,
      kind: 'activate',
      id: 'gone',
      playbook: '0'.repeat(16),
      catalog: '1'.repeat(16),
      foldVersion: 1,
    };
    await usher.log.append([{ shard: 0, key: null, value: JSON.stringify(lost) }]);
    const worker = await usher.startWorker();
    await until(() => usher.count('stopped') > 0);
    expect(worker.states().get(0)?.stopped?.code).toBe('BUNDLE_MISSING');
    const other = [...Array(100).keys()].map((i) => `v${i}`).find((id) => shardOf(id, shards) === 1)!;
    await usher.view(other, 'p_1');
    await until(async () => (await usher.visitor(other))?.counts.folded === 1);
    // What came before the record is folded, what comes after is kept in the log.
    expect((await usher.store.readMeta(0))?.position).toBe(1);
  });

  it('refuses a log that is not the one its state was folded from, and goes on when that is mended', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const first = await usher.startWorker();
    await usher.view('ann', 'p_1');
    await first.caughtUp(soon());
    await first.stop();
    const shard = shardOf('ann', shards);
    let isMended = false;
    const second = await usher.startWorker((store) => ({
      ...bound(store),
      own: async (...args) => ({ ...(await store.own(...args)), ...(isMended ? {} : { lastId: 'another' }) }),
    }));
    await until(() => usher.count('stopped') > 0);
    expect(second.states().get(shard)?.stopped?.code).toBe('LOG_MISMATCH');
    isMended = true;
    await usher.view('ann', 'p_2');
    await until(async () => (await usher.visitor('ann'))?.counts.folded === 2);
    expect(second.states().get(shard)?.stopped).toBeNull();
  });
});

function wrap(store: StateStore, commit: StateStore['commit']): StateStore {
  return { ...bound(store), commit };
}
