import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, clusterSettings, cpuSeconds, startRole } from './cluster.ts';
import { openLog, openState, positionsOf } from './clusterState.ts';
import { median } from './measure.ts';
import type { Peer } from './peer.ts';
import { rules, shopEvents, writeShopPlaybook } from './shop.ts';

/** How fast a backlog is worked off, beside the same job in Kafka Streams. */
export interface DrainResult {
  readonly events: number;
  readonly one: Drained;
  /** One worker that does not copy the events to the topics of their types. */
  readonly withoutCopies: Drained;
  readonly two: Drained;
  /** One worker, and one without copies, over as many shards as a cluster has unless told otherwise. */
  readonly oneOfMany: Drained;
  readonly withoutCopiesOfMany: Drained;
  /** Events a second; null: the peer is not on this machine. */
  readonly peerPerSecond: number | null;
}

interface Drained {
  readonly perSecond: number;
  /** CPU that one event took, µs: of all workers together, and of each engine. */
  readonly workersMicros: number;
  readonly redisMicros: number;
  readonly kafkaMicros: number;
}

const visitors = 20_000;
const { shards } = clusterSettings;
/** The default of a cluster. */
const manyShards = 64;
export const drainSettings = `${shards} shards, as the peer's topics have; the peer: one thread, exactly_once_v2, commit.interval.ms=100, in-memory store with changelog`;

export async function drain(cluster: Cluster, peer: Peer | null, events: number, rounds: number): Promise<DrainResult> {
  const playbook = join(cluster.folder, 'shop');
  writeShopPlaybook(playbook);
  if (peer !== null) {
    await peer.load('topics');
    await peer.load('fill', events, 1, visitors);
  }
  const ones: Drained[] = [];
  const withoutCopies: Drained[] = [];
  const twos: Drained[] = [];
  const onesOfMany: Drained[] = [];
  const withoutCopiesOfMany: Drained[] = [];
  const peers: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const drained = (name: string, cores: readonly number[], settings: Settings = {}) =>
      drainUsher(cluster, playbook, `${name}${round}`, events, cores, settings);
    const none = { 'output-events': 'none' };
    const many = { shards: manyShards };
    ones.push(await drained('one', [0]));
    withoutCopies.push(await drained('without', [0], none));
    twos.push(await drained('two', [0, 1]));
    onesOfMany.push(await drained('many', [0], many));
    withoutCopiesOfMany.push(await drained('manywithout', [0], { ...none, ...many }));
    if (peer !== null) peers.push(await drainPeer(peer, round));
  }
  return {
    events,
    one: medians(ones),
    withoutCopies: medians(withoutCopies),
    two: medians(twos),
    oneOfMany: medians(onesOfMany),
    withoutCopiesOfMany: medians(withoutCopiesOfMany),
    peerPerSecond: peers.length === 0 ? null : median(peers),
  };
}

function medians(runs: readonly Drained[]): Drained {
  const of = (name: keyof Drained) => median(runs.map((run) => run[name]));
  return {
    perSecond: of('perSecond'),
    workersMicros: of('workersMicros'),
    redisMicros: of('redisMicros'),
    kafkaMicros: of('kafkaMicros'),
  };
}

interface Settings {
  readonly 'output-events'?: string;
  readonly shards?: number;
}

/** The playbook first, so that each shard's log begins with it. */
async function fill(
  cluster: Cluster,
  playbook: string,
  namespace: string,
  events: number,
  ofShards: number,
): Promise<void> {
  const worker = startRole(cluster, 'worker', 0, playbook, namespace, { shards: String(ofShards) });
  await worker.saying(/runs after/);
  await worker.stop();
  const log = await openLog(cluster, namespace, ofShards);
  const batch: { shard: number; key: string; value: string }[] = [];
  const append = async () => {
    const failed = (await log.append(batch.splice(0))).find(({ ok }) => !ok);
    if (failed !== undefined) throw new Error(`the log did not take an event: ${JSON.stringify(failed)}`);
  };
  for (const event of shopEvents(events, visitors, ofShards)) if (batch.push(event) === 10_000) await append();
  await append();
  await log.close();
}

/** From the first commit to the last: what starting takes is not counted, as it is not for the peer. */
async function drainUsher(
  cluster: Cluster,
  playbook: string,
  namespace: string,
  events: number,
  cores: readonly number[],
  settings: Settings,
): Promise<Drained> {
  const ofShards = settings.shards ?? shards;
  const told = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
  // A log and a state of its own: what was folded before would be made anew from its snapshots.
  await fill(cluster, playbook, namespace, events, ofShards);
  const redis = await openState(cluster, namespace, ofShards);
  const workers = cores.map((core) => startRole(cluster, 'worker', core, playbook, namespace, told));
  const folded = async () => (await positionsOf(redis)).reduce((sum, position) => sum + position, 0);
  const seconds = () => ({
    workers: workers.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0),
    redis: cpuSeconds(cluster.redis.pid),
    kafka: cpuSeconds(cluster.kafka.pid),
  });
  try {
    // Each shard's log begins with the activation.
    let done = await folded();
    while (done <= ofShards) {
      await sleep(20);
      done = await folded();
    }
    const begun = { at: performance.now(), done, ...seconds() };
    while (done < events + ofShards) {
      await sleep(50);
      done = await folded();
    }
    const counted = done - begun.done;
    const ended = seconds();
    const micros = (name: 'workers' | 'redis' | 'kafka') => ((ended[name] - begun[name]) / counted) * 1e6;
    return {
      perSecond: counted / ((performance.now() - begun.at) / 1_000),
      workersMicros: micros('workers'),
      redisMicros: micros('redis'),
      kafkaMicros: micros('kafka'),
    };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await redis.close();
  }
}

async function drainPeer(peer: Peer, round: number): Promise<number> {
  const application = `drain-${round}`;
  const settings = { guarantee: 'exactly_once_v2', commitMs: 100, rules, from: 'earliest' };
  const streams = peer.start(application, 0, settings);
  try {
    const said = await peer.load('drain', application);
    return Number(/= (\d+)\/s/.exec(said)![1]);
  } finally {
    await streams.stop('SIGKILL');
  }
}

export function printDrain(result: DrainResult): void {
  const { events, one, withoutCopies, two, oneOfMany, withoutCopiesOfMany, peerPerSecond } = result;
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  const cpu = ({ workersMicros, redisMicros, kafkaMicros }: Drained) =>
    `µs of CPU an event: workers ${workersMicros.toFixed(1)}, Redis ${redisMicros.toFixed(1)}, Kafka ${kafkaMicros.toFixed(1)}`;
  console.log(`drain of ${whole(events)} events, ${rules} rules, ${drainSettings}`);
  console.log(`  one worker      ${whole(one.perSecond)} events/s; ${cpu(one)}`);
  console.log(`  without copies  ${whole(withoutCopies.perSecond)} events/s; ${cpu(withoutCopies)}`);
  console.log(`  ${manyShards} shards       ${whole(oneOfMany.perSecond)} events/s; ${cpu(oneOfMany)}`);
  console.log(`  without copies  ${whole(withoutCopiesOfMany.perSecond)} events/s; ${cpu(withoutCopiesOfMany)}`);
  if (peerPerSecond !== null) {
    const ratio = ({ perSecond }: Drained) => (perSecond / peerPerSecond).toFixed(2);
    console.log(
      `  Kafka Streams   ${whole(peerPerSecond)} events/s; ratio ${ratio(one)}, without copies ${ratio(withoutCopies)} (aim: 2); of ${manyShards} shards ${ratio(oneOfMany)}, without copies ${ratio(withoutCopiesOfMany)}`,
    );
  }
  const scaling = (2 * one.workersMicros) / two.workersMicros;
  console.log(`  two workers     ${whole(two.perSecond)} events/s, one of them beside the engines; ${cpu(two)}`);
  console.log(`  two / one, by the workers' own CPU: ${scaling.toFixed(2)} (aim: 1.7)`);
}
