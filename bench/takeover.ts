import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, clusterSettings, startRole } from './cluster.ts';
import { openLog, openState, positionsOf } from './clusterState.ts';
import { median, ms } from './measure.ts';

/** How long a shard stands still when the worker that has it is killed. */
export interface TakeoverResult {
  readonly sessionTimeoutMs: number;
  /** From kill -9 until the last shard of the dead worker has folded a record that came after it; the median, and the worst. */
  readonly typicalMs: number;
  readonly worstMs: number;
}

const { shards, sessionTimeoutMs } = clusterSettings;
const everyMs = 100;

/** Two workers, a record for every shard each 100 ms; one of the workers is killed. */
export async function takeover(cluster: Cluster, rounds: number): Promise<TakeoverResult> {
  const all: number[] = [];
  for (let round = 0; round < rounds; round++) all.push(await takeOver(cluster, `takeover${round}`));
  return { sessionTimeoutMs, typicalMs: median(all), worstMs: Math.max(...all) };
}

async function takeOver(cluster: Cluster, namespace: string): Promise<number> {
  const workers = ['0', '1'].map(() => startRole(cluster, 'worker', '0,1', 'bench/playbook', namespace));
  await Promise.all(workers.map((worker) => worker.saying(/runs after/)));
  const [log, state] = await Promise.all([openLog(cluster, namespace), openState(cluster, namespace)]);
  const sending = new AbortController();
  const ticks = (async () => {
    while (!sending.signal.aborted) {
      const tick = (shard: number) => JSON.stringify({ v: 1, kind: 'tick', id: `${shard}-${randomUUID()}` });
      await log.append([...Array(shards).keys()].map((shard) => ({ shard, key: null, value: tick(shard) })));
      await sleep(everyMs);
    }
  })();
  try {
    // Until the shards are shared and both are at work.
    await sleep(2 * sessionTimeoutMs);
    const killedAt = performance.now();
    await workers[0]!.stop('SIGKILL');
    const ends = await Promise.all([...Array(shards).keys()].map(async (shard) => (await log.bounds(shard)).end));
    while ((await positionsOf(state)).some((position, shard) => position <= ends[shard]!)) await sleep(10);
    return performance.now() - killedAt;
  } finally {
    sending.abort();
    await ticks;
    await workers[1]!.stop();
    await Promise.all([log.close(), state.close()]);
  }
}

export function printTakeover({ typicalMs, worstMs }: TakeoverResult): void {
  console.log(
    `a killed worker’s shards are served again after ${ms(typicalMs)}, at worst ${ms(worstMs)} (session timeout ${sessionTimeoutMs} ms; aim: ${sessionTimeoutMs + 1_000} ms)`,
  );
}
