import { kafkaNeeds } from '../scripts/engines/kafka.ts';
import { redisNeeds } from '../scripts/engines/redis.ts';
import { clusterSettings, startCluster } from './cluster.ts';
import { type ClusterLoopResult, clusterLoop, loopSettings, printClusterLoop } from './clusterLoop.ts';
import { type ClusterStateResult, clusterState, printClusterState } from './clusterState.ts';
import { type DrainResult, drain, printDrain } from './drain.ts';
import { Peer } from './peer.ts';
import { printTakeover, type TakeoverResult, takeover } from './takeover.ts';

export interface ClusterResult {
  readonly drain?: DrainResult;
  readonly clusterLoops?: readonly ClusterLoopResult[];
  readonly takeover?: TakeoverResult;
  readonly clusterState?: ClusterStateResult;
}

export const clusterParts = ['drain', 'clusterLoops', 'takeover', 'clusterState'] as const;

/** The figures of a cluster, on a Kafka and a Redis of their own, as far as they are asked for and this machine can run them. */
export async function clusterBench(quick: boolean, isAsked: (part: string) => boolean): Promise<ClusterResult> {
  if (!clusterParts.some(isAsked)) return {};
  const needs = kafkaNeeds() ?? redisNeeds();
  if (needs !== null) {
    console.log(`the cluster is left out: ${needs}`);
    return {};
  }
  const { shards, sessionTimeoutMs } = clusterSettings;
  console.log(
    `cluster: Kafka 4.3.1 (one broker, acks=-1) and Redis (appendfsync everysec) on loopback, ${shards} shards, session timeout ${sessionTimeoutMs} ms`,
  );
  const cluster = await startCluster();
  try {
    const peer = Peer.build(cluster);
    console.log(peer === null ? 'Kafka Streams is left out: USHER_SAMPLES has no peers/kafka-streams' : loopSettings);
    const result: { -readonly [part in keyof ClusterResult]: ClusterResult[part] } = {};
    // First, so that the peer's topics hold nothing but its backlog.
    if (isAsked('drain')) {
      result.drain = await drain(cluster, peer, quick ? 100_000 : 400_000, quick ? 1 : 3);
      printDrain(result.drain);
    }
    if (isAsked('clusterLoops')) {
      const loops: ClusterLoopResult[] = [];
      for (const perSecond of [500, 4_000]) {
        loops.push(await clusterLoop(cluster, peer, perSecond, quick ? 4 : 15, quick ? 1 : 3));
        printClusterLoop(loops.at(-1)!);
      }
      result.clusterLoops = loops;
    }
    if (isAsked('takeover')) {
      result.takeover = await takeover(cluster, quick ? 1 : 3);
      printTakeover(result.takeover);
    }
    if (isAsked('clusterState')) {
      result.clusterState = await clusterState(cluster);
      printClusterState(result.clusterState);
    }
    return result;
  } finally {
    await cluster.close();
  }
}
