import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLossyProxy } from '../../redis/lossyProxy.ts';
import { untilAnswered } from '../../redis/support.ts';
import { ownBroker, whyNoKafka } from '../../support/kafkaBroker.ts';
import { hasRedisServer, startRedis } from '../../support/redisServer.ts';
import { Cluster, type ClusterOptions, type FaultEngines, sessionTimeoutMs, topicOf } from './cluster.ts';
import { judge, type Verdict } from './judge.ts';
import type { Node } from './node.ts';
import { kinds, Poisoner, type Written } from './poison.ts';

const reason = (await whyNoKafka()) ?? (hasRedisServer ? null : 'redis-server is not installed');
const plantedMain = join(import.meta.dirname, 'plantedMain.ts');
/** `npm run test:faults:long` */
const harmMs = process.env['USHER_TEST_LONG'] === '1' ? 180_000 : 30_000;

describe.skipIf(reason !== null)(reason === null ? 'a cluster' : `a cluster (skipped: ${reason})`, () => {
  let engines: FaultEngines;
  beforeAll(async () => {
    const [broker, redis] = await Promise.all([ownBroker(), startRedis('--auto-aof-rewrite-percentage', '0')]);
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
    options: ClusterOptions & { readonly isRebuilt?: boolean } = {},
    check: (cluster: Cluster) => Promise<void> = async () => {},
  ): Promise<Verdict> {
    await using cluster = await Cluster.start(engines, options);
    const end = performance.now() + harmMs;
    for (let turn = 0; performance.now() < end; turn++) await harm(cluster, turn);
    const verdict = await judge(cluster, options);
    const bites = bit(cluster, verdict);
    console.log(expect.getState().currentTestName, { ...verdict, bites });
    await check(cluster);
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

  it('takes each device for the user who logs in on it, with all it was, once, while workers are killed', async () => {
    let kills = 0;
    let logins = 0;
    const { problems } = await runThrough(
      async (cluster, turn) => {
        const { workers } = cluster;
        const worker = workers[turn % workers.length]!;
        await worker.start();
        const told = Array.from({ length: 8 }, (_, i) => cluster.identify(8 * turn + i));
        await sleep(300);
        await worker.kill();
        kills++;
        worker.begin();
        logins += (await Promise.all(told)).filter(Boolean).length;
      },
      ({ handovers }) => ({ kills, handovers, logins }),
      {},
      async (cluster) => {
        // What came for them later went on to their users.
        const counts = { merged: await cluster.counted('merged'), forwarded: await cluster.counted('forwarded') };
        console.log(counts);
        expect(counts.merged).toBeGreaterThan(0);
        expect(counts.forwarded).toBeGreaterThan(0);
        expect(counts.merged).toBe(await cluster.counted('identified'));
      },
    );
    expect(problems).toEqual([]);
  });

  it('survives that everything is killed at once, again and again', async () => {
    let kills = 0;
    const { problems } = await runThrough(
      async ({ nodes }) => {
        await Promise.all(nodes.map((node) => node.start()));
        await sleep(500);
        await Promise.all(nodes.map((node) => node.kill()));
        kills++;
        for (const node of nodes) node.begin();
      },
      ({ handovers }, { figures }) => ({ kills, handovers, unknowns: figures['unknowns']! }),
    );
    expect(problems).toEqual([]);
  });

  it('loses nothing and counts nothing twice when workers die right before or after a commit, or before they note what topics took', async () => {
    const { problems } = await runThrough(
      () => sleep(1_000),
      (cluster, { figures }) => ({
        beforeCommit: cluster.count('dies before a commit'),
        afterCommit: cluster.count('dies after a commit'),
        beforeDrained: cluster.count('dies before its outbox is drained'),
        decisionsRepeated: figures['decisionsRepeated']!,
      }),
      { main: plantedMain, plant: 'dies' },
    );
    expect(problems).toEqual([]);
  });

  /** A worker sleeps for twice its session: the other has its shards when it wakes, and it does not know. */
  async function putToSleep({ workers }: Cluster, turn: number): Promise<void> {
    const worker = workers[turn % workers.length]!;
    await sleep(1_000);
    worker.signal('SIGSTOP');
    await sleep(2 * sessionTimeoutMs);
    worker.signal('SIGCONT');
    await sleep(1_000);
  }

  it('refuses what a worker that slept through its session would still write', async () => {
    const { problems } = await runThrough(putToSleep, ({ handovers }, { figures }) => ({
      handovers,
      fenced: figures['fenced']!,
    }));
    expect(problems).toEqual([]);
  });

  it('would find out that nothing refuses it', async () => {
    const { mismatches, problems } = await runThrough(putToSleep, ({ handovers }) => ({ handovers }), {
      main: plantedMain,
      plant: 'unfenced',
    });
    expect(mismatches, problems.join('\n')).toBeGreaterThan(0);
  });

  it('keeps folding while members come and go', async () => {
    let joins = 0;
    const extras: Node[] = [];
    const { problems } = await runThrough(
      async (cluster, turn) => {
        if (extras.length === 0) extras.push(cluster.extraWorker(), cluster.extraWorker());
        const [comes, goes] = turn % 2 === 0 ? extras : extras.toReversed();
        const coming = comes!.start();
        await (turn % 4 < 2 ? goes!.stop() : goes!.kill());
        await coming;
        joins++;
      },
      ({ handovers }) => ({ joins, handovers }),
    );
    expect(problems).toEqual([]);
  });

  it('keeps what it accepted, and answers pages, while the broker is stopped and killed and comes back', async () => {
    let bounces = 0;
    const { problems } = await runThrough(
      async ({ engines: { broker } }, turn) => {
        await sleep(3_000);
        await broker.stop(turn % 2 === 0 ? 'SIGKILL' : 'SIGTERM');
        await sleep(2_000);
        await broker.start();
        bounces++;
      },
      (_, { figures }) => ({ bounces, notAccepted: figures['refusals']! + figures['unknowns']! }),
    );
    expect(problems).toEqual([]);
  });

  it('folds again what Redis lost when it was killed and came back without its last writes', async () => {
    let lost = 0;
    const { problems } = await runThrough(
      async (cluster) => {
        const { redis } = cluster.engines;
        await sleep(2_000);
        const written = redis.written();
        // What appendfsync everysec may lose.
        await sleep(1_000);
        const folded = await cluster.folded();
        await redis.kill();
        redis.loseAfter(written);
        await sleep(500);
        await redis.start();
        lost += Math.max(0, folded - (await untilAnswered(() => cluster.folded())));
      },
      // A shard that was idle meanwhile is not fenced: it finds the older state when it owns again.
      (cluster, { figures }) => ({
        lost,
        wentBack: cluster.count('the state went back in time; it is folded on from there'),
        staleReads: figures['staleReads']!,
      }),
    );
    expect(problems).toEqual([]);
  });

  it('makes the state anew when Redis is emptied', async () => {
    let flushes = 0;
    const { problems } = await runThrough(
      async ({ engines: { redis } }) => {
        await sleep(8_000);
        await redis.flush();
        flushes++;
      },
      (cluster, { figures }) => ({
        flushes,
        fenced: figures['fenced']!,
        rebuilt: cluster.count('the state is made anew; nobody reads it before it is whole'),
      }),
      { isRebuilt: true },
    );
    expect(problems).toEqual([]);
  });

  it('commits once when the answer to a commit is lost', async () => {
    const proxy = await startLossyProxy(engines.redis.port);
    try {
      const { problems } = await runThrough(
        async () => {
          await sleep(200);
          proxy.loseNextAnswer('\r\nDONE\r\n');
        },
        () => ({ lost: proxy.lost, repeated: proxy.repeated }),
        { redisUrl: proxy.url },
      );
      expect(problems).toEqual([]);
    } finally {
      await proxy.close();
    }
  });

  it(`folds on past ${kinds.length} kinds of poison, and each becomes what it must`, async () => {
    const written: Written[] = [];
    let poisoner: Poisoner | null = null;
    try {
      const { problems } = await runThrough(
        async (cluster) => {
          poisoner ??= await Poisoner.connect(cluster.engines.broker.address, topicOf(cluster, 'g1.events'));
          written.push(...(await poisoner.write(cluster.subscribers.map(({ visitor }) => visitor))));
          await sleep(3_000);
        },
        () => ({ kinds: new Set(written.map(({ kind }) => kind)).size }),
        {},
        async ({ store }) => {
          for (const { kind, fate, shard, offset } of written) {
            const failed = await store.readFailedAt(shard, `${shard}:${offset}`);
            expect(failed?.reason ?? (fate === 'nothing' ? 'nothing' : 'folded'), `${kind} at ${shard}:${offset}`).toBe(
              fate,
            );
          }
        },
      );
      expect(problems).toEqual([]);
    } finally {
      await (poisoner as Poisoner | null)?.close();
    }
  });
});
