import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { EventLog } from '../../src/log/eventLog.ts';
import { logTopic, movesTopic } from '../../src/model/commit.ts';
import { shardOf } from '../../src/model/shard.ts';
import { withLog } from '../../src/worker/loggedOutputs.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { rebuildShard } from '../../src/worker/rebuild.ts';
import { openHarness, shards } from './harness.ts';

type Harness = Awaited<ReturnType<typeof openHarness>>;

async function identify({ log }: Harness, visitor: string, user: string): Promise<void> {
  const value = JSON.stringify({ v: 1, kind: 'identified', id: randomUUID(), visitor, user });
  const [outcome] = await log.append([{ shard: shardOf(visitor, shards), key: visitor, value }]);
  expect(outcome?.ok).toBe(true);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const signal = AbortSignal.timeout(20_000);
  while (!(await condition())) {
    signal.throwIfAborted();
    await sleep(5);
  }
}

/** Two whose user is in another shard, and one whose user is in its own. */
const [ann, ben, eva] = ['ann', 'ben', 'eva'];
const user = [...'abcdefgh'].map((name) => `u:${name}`).find((id) => shardOf(id, shards) === shardOf(eva, shards))!;

describe('visitors that turn out to be known users', () => {
  it('go with all they were to the shard of their user, and so does what comes for them later', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const worker = await usher.startWorker();
    for (const visitor of [ann, ben, eva, ann]) await usher.view(visitor, 'p_1');
    for (const visitor of [ann, ben, eva]) await identify(usher, visitor, user);
    for (const visitor of [ann, ann, ben]) await usher.view(visitor, 'p_2');
    await usher.view(user, 'p_3');
    await until(async () => (await usher.visitor(user))?.counts.folded === 8);
    await worker.caughtUp(AbortSignal.timeout(20_000));
    expect(shardOf(ann, shards)).not.toBe(shardOf(user, shards));
    for (const visitor of [ann, ben, eva])
      expect(await usher.visitor(visitor)).toMatchObject({ alias: user, session: null, counts: { folded: 0 } });
    expect((await usher.visitor(user))?.slots['last_look']?.candidates).toHaveLength(1);
  });

  it('are taken in once, also when all shards are made anew and send everything again', async () => {
    await using usher = await openHarness();
    await usher.activate();
    const worker = await usher.startWorker();
    for (const visitor of [ann, ben, eva]) {
      await usher.view(visitor, 'p_1');
      await identify(usher, visitor, user);
      await usher.view(visitor, 'p_2');
    }
    await until(async () => (await usher.visitor(user))?.counts.folded === 6);
    await worker.stop();
    const before = await usher.visitor(user);
    for (let shard = 0; shard < shards; shard++)
      await rebuildShard(shard, { log: usher.log, store: usher.store, machine: thisMachine });
    await usher.startWorker();
    const repeatedMoves = async () => {
      const metas = await Promise.all([...Array(shards).keys()].map((shard) => usher.store.readMeta(shard)));
      return metas.reduce((sum, meta) => sum + (meta?.rebuilding ? 0 : (meta?.counters.repeatedMoves ?? 0)), 0);
    };
    await until(async () => (await repeatedMoves()) === 6);
    const after = await usher.visitor(user);
    expect(after?.counts).toEqual(before?.counts);
    expect(after?.traits.toJSON()).toEqual(before?.traits.toJSON());
  });
});

describe('what a shard appends to the log', () => {
  it('goes to the shard of its key, and to each shard nothing before what the log has refused', async () => {
    await using usher = await openHarness();
    const appended: string[] = [];
    let refusals = 1;
    const log: EventLog = {
      ...usher.log,
      shards,
      append: async (entries) => {
        // Of several it refuses the first alone, as Kafka may when they leave in two requests.
        const isRefused = entries[0]!.value === '"1"' && refusals-- > 0;
        const taken = isRefused ? entries.slice(1) : entries;
        for (const { shard, value } of taken) appended.push(`${shard} ${value}`);
        const outcomes = await usher.log.append(taken);
        return isRefused ? [{ ok: false, code: 'UNKNOWN', message: 'nobody knows' }, ...outcomes] : outcomes;
      },
    };
    const outputs = withLog(log, undefined);
    const entry = (key: string, value: string) => ({ key, value: JSON.stringify(value) });
    const entries = [entry('ann', '1'), entry('ann', '2'), entry('eva', '3')];
    await expect(outputs.write(movesTopic, entries)).rejects.toThrow('nobody knows');
    await outputs.write(movesTopic, entries);
    const [a, c] = [shardOf('ann', shards), shardOf('eva', shards)];
    expect(appended.filter((each) => each.startsWith(`${a} `))).toEqual([`${a} "1"`, `${a} "2"`]);
    expect(appended.filter((each) => each.startsWith(`${c} `))).toEqual([`${c} "3"`, `${c} "3"`]);
    await outputs.write(logTopic, [entry('ben', '4')]);
    expect(appended.at(-1)).toBe(`${shardOf('ben', shards)} "4"`);
    await expect(outputs.write('decisions', entries)).rejects.toThrow('there is no topic');
  });
});
