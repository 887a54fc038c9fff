import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, clusterSettings, type Process, startProcess, startRole } from './cluster.ts';
import { type Connection, floorEvent, floorSockets, type LoopEvent, runLoop, usherSockets } from './loop.ts';
import { median, ms, percentile, poster } from './measure.ts';
import type { Peer } from './peer.ts';

/**
 * The loop across processes: a gateway and a worker, Kafka and Redis between them. Events that are due in the same millisecond leave in
 * one call, as a shop's backend would send them. All processes share the machine's two cores, the load and the engines too.
 */
export interface ClusterLoopResult {
  readonly perSecond: number;
  readonly floor: Latency;
  readonly usher: Latency;
  /** null: the peer is not on this machine. */
  readonly exactlyOnce: Latency | null;
  readonly atLeastOnce: Latency | null;
  /** Changes that a newer one of the same visitor overtook, of the events measured. */
  readonly overtaken: number;
}

interface Latency {
  readonly p50: number;
  readonly p99: number;
}

const { shards } = clusterSettings;
const bothCores = '0,1';
const peerSettings = {
  exactlyOnce: { guarantee: 'exactly_once_v2', commitMs: 10, rules: 1, from: 'latest' },
  atLeastOnce: { guarantee: 'at_least_once', commitMs: 100, rules: 1, from: 'latest' },
} as const;
export const loopSettings =
  'Kafka Streams: one thread, exactly_once_v2 with commit.interval.ms=10, or at_least_once with 100; read by a read_committed consumer';

export async function clusterLoop(
  cluster: Cluster,
  peer: Peer | null,
  perSecond: number,
  seconds: number,
  rounds: number,
): Promise<ClusterLoopResult> {
  const runs: { [name in 'floor' | 'usher' | 'exactlyOnce' | 'atLeastOnce']: Latency[] } = {
    floor: [],
    usher: [],
    exactlyOnce: [],
    atLeastOnce: [],
  };
  let overtaken = 0;
  for (let round = 0; round < rounds; round++) {
    runs.floor.push(latencyOf(await onFloor(cluster, perSecond, seconds)));
    const latencies = await onUsher(cluster, perSecond, seconds);
    overtaken += latencies.filter(Number.isNaN).length;
    runs.usher.push(latencyOf(latencies));
    if (peer === null) continue;
    runs.exactlyOnce.push(await onPeer(peer, 'exactlyOnce', perSecond, seconds));
    runs.atLeastOnce.push(await onPeer(peer, 'atLeastOnce', perSecond, seconds));
  }
  const medians = (all: readonly Latency[]) => ({
    p50: median(all.map(({ p50 }) => p50)),
    p99: median(all.map(({ p99 }) => p99)),
  });
  return {
    perSecond,
    floor: medians(runs.floor),
    usher: medians(runs.usher),
    exactlyOnce: peer === null ? null : medians(runs.exactlyOnce),
    atLeastOnce: peer === null ? null : medians(runs.atLeastOnce),
    overtaken,
  };
}

function latencyOf(latencies: readonly number[]): Latency {
  const arrived = latencies.filter((value) => !Number.isNaN(value));
  return { p50: percentile(arrived, 0.5), p99: percentile(arrived, 0.99) };
}

/** Runs with processes that are stopped at the end, whatever happens. */
async function withProcesses<T>(run: (started: (process: Process) => Process) => Promise<T>): Promise<T> {
  const processes: Process[] = [];
  try {
    return await run((process) => {
      processes.push(process);
      return process;
    });
  } finally {
    await Promise.all(processes.map((process) => process.stop()));
  }
}

async function onFloor(cluster: Cluster, perSecond: number, seconds: number): Promise<number[]> {
  const topic = `floor-${randomUUID()}`;
  return withProcesses(async (started) => {
    const start = (role: string) => {
      const { kafka, redis } = cluster;
      const args = ['bench/clusterFloor.ts', role, kafka.address, redis.url, topic, String(shards)];
      return started(startProcess(bothCores, process.execPath, args));
    };
    // The gateway makes the topic.
    const port = Number((await start('gateway').saying(/listens on (\d+)/))[1]);
    await start('worker').saying(/has joined/);
    const post = poster(port, '/', 64);
    const send = (events: readonly LoopEvent[]) => post(JSON.stringify(events.map(floorEvent)));
    return runLoop({ ...(await floorSockets(port)), send }, perSecond, seconds);
  });
}

async function onUsher(cluster: Cluster, perSecond: number, seconds: number): Promise<number[]> {
  return withProcesses(async (started) => {
    const start = (role: 'gateway' | 'worker') =>
      started(startRole(cluster, role, bothCores, 'bench/playbook', `loop${perSecond}`));
    await start('worker').saying(/runs after/);
    const port = Number((await start('gateway').saying(/127\.0\.0\.1:(\d+)\/graphql/))[1]);
    return runLoop(await connect(cluster, port), perSecond, seconds);
  });
}

const query =
  'mutation($input: TrackEventsInput!) { trackEvents(input: $input) { accepted outcomes { error { message } } } }';

async function connect(cluster: Cluster, port: number): Promise<Connection> {
  const post = poster(port, '/graphql', 64, readFileSync(join(cluster.folder, 'data', 'dev-key'), 'utf8').trim());
  // Numbered, as the peer's events are, and as the SDK's.
  const sequences = new Map<number, number>();
  const run = randomUUID();
  const track = async (due: readonly LoopEvent[]) => {
    const events = due.map(({ visitor, id, n }) => ({
      type: 'product_viewed',
      id,
      source: `${run}-${visitor}`,
      sequence: nextOf(sequences, visitor),
      properties: { productId: `p_${n}` },
      visitor: { visitorId: `dev:v${visitor}` },
    }));
    const answer = await post(JSON.stringify({ query, variables: { input: { events } } }));
    if (!answer.includes(`"accepted":${events.length}`)) throw new Error(answer);
  };
  const send = async (due: readonly LoopEvent[]) => {
    // After a stall more are due than a call may bring.
    for (let from = 0; from < due.length; from += 100) await track(due.slice(from, from + 100));
  };
  return { ...(await usherSockets(port)), send };
}

function nextOf(sequences: Map<number, number>, visitor: number): number {
  const next = (sequences.get(visitor) ?? 0) + 1;
  sequences.set(visitor, next);
  return next;
}

async function onPeer(
  peer: Peer,
  name: keyof typeof peerSettings,
  perSecond: number,
  seconds: number,
): Promise<Latency> {
  return withProcesses(async (started) => {
    await peer.load('topics');
    await started(peer.start(`loop-${randomUUID()}`, bothCores, peerSettings[name])).saying(/state RUNNING/);
    // The first run warms the peer up, as Usher is.
    await peer.load('latency', perSecond, 3, 50);
    const said = await peer.load('latency', perSecond, seconds, 50);
    const [, p50, p99] = /p50=([\d.]+)ms.*p99=([\d.]+)ms/.exec(said)!;
    return { p50: Number(p50), p99: Number(p99) };
  });
}

export function printClusterLoop({
  perSecond,
  floor,
  usher,
  exactlyOnce,
  atLeastOnce,
  overtaken,
}: ClusterLoopResult): void {
  const line = (name: string, { p50, p99 }: Latency, more = '') =>
    console.log(`  ${name.padEnd(30)} ${ms(p50).padEnd(12)} ${ms(p99).padEnd(12)} ${more}`);
  const against = (of: Latency) =>
    `usher / this: ${(usher.p50 / of.p50).toFixed(2)}, ${(usher.p99 / of.p99).toFixed(2)}`;
  console.log(`loop across processes at ${perSecond}/s     p50          p99`);
  line('usher', usher, `changes overtaken by newer ones: ${overtaken}`);
  line('floor', floor, `${against(floor)} (aims: 2, 2)`);
  if (exactlyOnce !== null) line('Kafka Streams, exactly once', exactlyOnce, `${against(exactlyOnce)} (aim: 0.1)`);
  if (atLeastOnce !== null) line('Kafka Streams, at least once', atLeastOnce, `${against(atLeastOnce)} (aim: 0.5)`);
}
