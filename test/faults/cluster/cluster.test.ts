import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ownBroker, whyNoKafka } from '../../support/kafkaBroker.ts';
import { hasRedisServer, startRedis } from '../../support/redisServer.ts';
import { Cluster, type ClusterOptions, type FaultEngines } from './cluster.ts';
import { judge, type Verdict } from './judge.ts';

const reason = (await whyNoKafka()) ?? (hasRedisServer ? null : 'redis-server is not installed');
const harmMs = process.env['USHER_TEST_LONG'] === '1' ? 180_000 : 30_000;

describe.skipIf(reason !== null)(reason === null ? 'a cluster' : `a cluster (skipped: ${reason})`, () => {
  let engines: FaultEngines;
  beforeAll(async () => {
    const [broker, redis] = await Promise.all([ownBroker(), startRedis()]);
    engines = { broker, redis };
  }, 120_000);
  afterAll(async () => {
    await engines?.redis.close();
    await engines?.broker.close();
  });

  /** Runs a cluster under load while `harm` is called again and again, then judges it. `bit`: what shows that the harm was done; none may be 0. */
  async function runThrough(
    harm: (cluster: Cluster, turn: number) => Promise<void>,
    bit: (cluster: Cluster, verdict: Verdict) => Readonly<Record<string, number>>,
    options: ClusterOptions = {},
  ): Promise<Verdict> {
    await using cluster = await Cluster.start(engines, options);
    const end = performance.now() + harmMs;
    for (let turn = 0; performance.now() < end; turn++) await harm(cluster, turn);
    const verdict = await judge(cluster);
    const bites = bit(cluster, verdict);
    console.log(expect.getState().currentTestName, { ...verdict, bites });
    for (const [what, count] of Object.entries(bites)) expect(count, what).toBeGreaterThan(0);
    return verdict;
  }

  it('loses nothing and counts nothing twice while workers are killed again and again', async () => {
    let kills = 0;
    const { problems } = await runThrough(
      async ({ workers }, turn) => {
        const worker = workers[turn % workers.length]!;
        await worker.start();
        await sleep(500);
        await worker.kill();
        kills++;
        // It comes back while the other is killed.
        worker.begin();
      },
      ({ handovers }) => ({ kills, handovers }),
    );
    expect(problems).toEqual([]);
  });
});
