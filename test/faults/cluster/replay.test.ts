import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/index.ts';
import type { ReplayReport } from '../../../src/cli/replay/report.ts';
import { openRedis } from '../../../src/redis/connection.ts';
import { redisStore } from '../../../src/state/redisStore.ts';
import type { StateStore } from '../../../src/state/stateStore.ts';
import { canonicalState } from '../../support/canonical.ts';
import { recordedIo } from '../../support/cliIo.ts';
import { ownBroker } from '../../support/kafkaBroker.ts';
import { askOracle } from '../../support/oracle.ts';
import { startRedis } from '../../support/redisServer.ts';
import { describeWithSample, rees46Sample } from '../../support/samples.ts';
import { startTestUsher } from '../../support/startUsher.ts';
import { clusterEnv, type FaultEngines, shards } from './cluster.ts';
import { freePort, Node, usherMain } from './node.ts';

const rows = 17_434;
const visitors = 4_504;

describeWithSample('three hours of a real shop, replayed through a cluster', rees46Sample, (file) => {
  let engines: FaultEngines;
  beforeAll(async () => {
    const [broker, redis] = await Promise.all([ownBroker(), startRedis()]);
    engines = { broker, redis };
  }, 120_000);
  afterAll(async () => {
    await engines?.redis.close();
    await engines?.broker.close();
  });

  it('leave the same visitors and slots as through an embedded Usher, though a worker is killed half-way', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'usher-replay-'));
    const namespace = `r-${randomBytes(6).toString('hex')}`;
    const key = `usk_${randomBytes(16).toString('hex')}`;
    const env = clusterEnv({ engines, namespace, folder, key });
    const node = (role: Node['role'], port: number) => new Node({ role, port, main: usherMain, env });
    const gateways = [node('gateway', await freePort()), node('gateway', await freePort())];
    const workers = [node('worker', 0), node('worker', 0)] as const;
    const balancer = await Balancer.before(gateways.map(({ port }) => port));
    const redis = await openRedis({ url: engines.redis.url, namespace, shards, visitorRetentionMs: 90 * 86_400_000 });
    const store = redisStore(redis);
    try {
      await Promise.all([...gateways, ...workers].map((one) => one.start()));
      const replayed = replay(file, balancer.url, key);
      // It is folded so fast that a kill at a half would come at the end.
      while ((await folded(store)) < rows / 3) await sleep(1);
      await workers[0].kill();
      const foldedAtKill = await folded(store);
      const report = await replayed;
      const { mismatches, output } = await askOracle(
        file,
        { url: balancer.url, key },
        '--finished-to',
        report.finishedTo!,
      );
      const { lines, embedded } = await embeddedRun(file);
      const cluster = await canonicalState(store, shards, { placeless: true });
      const took = workers[1].lines.filter(({ msg }) => msg === 'shard owned').length;
      console.log({
        foldedAtKill,
        took,
        connections: balancer.connections,
        seconds: report.seconds,
        fold: report.fold,
      });

      expect(foldedAtKill, 'records folded when the worker was killed').toBeLessThan(rows);
      expect(took, 'shards that the other worker took, and took over').toBeGreaterThanOrEqual(shards);
      expect(Math.min(...balancer.connections), 'connections to each gateway').toBeGreaterThan(0);
      expect(report).toMatchObject({ rows, accepted: rows, refused: {}, visitors });
      expect(report.fold).toMatchObject({ folded: rows, failed: 0, beyondWindow: 0, visitors });
      expect([mismatches, output]).toEqual([0, output]);
      expect(report.fold.rulesFired).toBe(embedded.fold.rulesFired);
      expect(lines.length).toBeGreaterThan(visitors);
      expect(cluster).toEqual(lines);
    } finally {
      await Promise.all([...gateways, ...workers].map((one) => one.kill()));
      await redis.close();
      await balancer.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

async function embeddedRun(file: string): Promise<{ lines: readonly string[]; embedded: ReplayReport }> {
  let store: StateStore | null = null;
  const wrapStore = (one: StateStore) => {
    store = one;
    return one;
  };
  await using usher = await startTestUsher({}, { wrapStore });
  const embedded = await replay(file, usher.url, usher.devKey!);
  return { lines: await canonicalState(store!, usher.config.shards, { placeless: true }), embedded };
}

/** As a user does it. */
async function replay(file: string, url: string, key: string): Promise<ReplayReport> {
  const io = recordedIo();
  const args = ['replay', file, '--speed', 'max', '--finish', '30m', '--json', '--url', url, '--key', key];
  expect(await runCli(args, io), io.errLines.join('\n')).toBe(0);
  return JSON.parse(io.outLines.join('\n')) as ReplayReport;
}

async function folded(store: StateStore): Promise<number> {
  const metas = await Promise.all(Array.from({ length: shards }, (_, shard) => store.readMeta(shard)));
  return metas.reduce((sum, meta) => sum + (meta?.counters.folded ?? 0), 0);
}

/** One address before several gateways, each connection to the next one. */
class Balancer {
  readonly connections: number[];
  readonly #server;
  readonly #sockets = new Set<Socket>();

  static async before(ports: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(ports);
    balancer.#server.listen(0, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  private constructor(ports: readonly number[]) {
    this.connections = ports.map(() => 0);
    let turn = 0;
    this.#server = createServer((near) => {
      const gateway = turn++ % ports.length;
      this.connections[gateway]!++;
      const far = connect(ports[gateway]!, '127.0.0.1');
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('close', () => this.#sockets.delete(socket));
      }
      near.pipe(far).pipe(near);
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
