import { kafkaNeeds } from '../scripts/engines/kafka.ts';
import { redisNeeds } from '../scripts/engines/redis.ts';
import { clusterSettings, startCluster } from './cluster.ts';
import { type ClusterLoopResult, clusterLoop, loopSettings, printClusterLoop } from './clusterLoop.ts';
import { type ClusterStateResult, clusterState, printClusterState } from './clusterState.ts';
import { type DrainResult, drain, printDrain } from './drain.ts';
import { Peer } from './peer.ts';
import { printTakeover, type TakeoverResult, takeover } from './takeover.ts';

export interface ClusterResult {
  readonly drain: DrainResult;
  readonly loops: readonly ClusterLoopResult[];
  readonly takeover: TakeoverResult;
  readonly state: ClusterStateResult;
}

/** The figures of a cluster, on a Kafka and a Redis of their own; null: this machine cannot run them. */
export async function clusterBench(quick: boolean): Promise<ClusterResult | null> {
  const needs = kafkaNeeds() ?? redisNeeds();
  if (needs !== null) {
    console.log(`the cluster is left out: ${needs}`);
    return null;
  }
  const { shards, sessionTimeoutMs } = clusterSettings;
  console.log(
    `cluster: Kafka 4.3.1 (one broker, acks=-1) and Redis (appendfsync everysec) on loopback, ${shards} shards, session timeout ${sessionTimeoutMs} ms`,
  );
  const cluster = await startCluster();
  try {
    const peer = Peer.build(cluster);
    console.log(peer === null ? 'Kafka Streams is left out: USHER_SAMPLES has no peers/kafka-streams' : loopSettings);
    // First, so that the peer's topics hold nothing but its backlog.
    const drained = await drain(cluster, peer, quick ? 100_000 : 400_000, quick ? 1 : 3);
    printDrain(drained);
    const loops: ClusterLoopResult[] = [];
    for (const perSecond of [500, 4_000]) {
      loops.push(await clusterLoop(cluster, peer, perSecond, quick ? 4 : 15, quick ? 1 : 3));
      printClusterLoop(loops.at(-1)!);
    }
    const takenOver = await takeover(cluster, quick ? 1 : 3);
    printTakeover(takenOver);
    const state = await clusterState(cluster);
    printClusterState(state);
    return { drain: drained, loops, takeover: takenOver, state };
  } finally {
    await cluster.close();
  }
}
