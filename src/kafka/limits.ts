/** Waits of the Kafka adapter, ms. */
export const timings = {
  connectMs: 3_000,
  /** A broker that has not answered a request by then is given up, with its connection. */
  requestMs: 10_000,
  metadataMs: 300_000,
  /** What is asked of the cluster beside its records, making a topic included. */
  adminMs: 15_000,
  keepAliveMs: 30_000,
  /** Between two attempts to reach the cluster, or to join the group: doubles from the first to the most, with jitter. */
  backoffFirstMs: 100,
  backoffMostMs: 2_000,
  /** An idle fetch waits this long at the broker; so long a shard that was just opened may wait for its first records. */
  fetchWaitMs: 200,
  /** A member learns by its heartbeats that another one is gone, so this is part of how long a dead worker is missed. */
  heartbeatMs: 500,
  /** What is told to other systems waits this long for more, so that requests stay few. */
  outputGatherMs: 100,
  /** How often Kafka's committed offsets follow the state's. */
  commitMs: 5_000,
  /** How often positions are compared with where the log begins and ends, should no record come that shows it. */
  boundsCheckMs: 10_000,
  /** How long a topic that was made may be unknown to a broker. */
  hostedMs: 5_000,
  /** What leaving the group may take before its connections are cut. */
  leaveMs: 5_000,
} as const;

/** Bounds of the Kafka adapter. */
export const limits = {
  /** Records and bytes of one partition in one produce request; a broker refuses batches of more than 1 MB. */
  batchRecords: 1_000,
  batchBytes: 800_000,
  requestBytes: 8_000_000,
  /** Requests at once: more would make each smaller, and a request costs more than a record. */
  requestsInFlight: 4,
  /** Records and bytes that wait for the log or for its answer. */
  waitingRecords: 50_000,
  waitingBytes: 64_000_000,
  /** A shard's records read ahead: fetching pauses above, and goes on below half. One fetch of a partition may come on top. */
  bufferedRecords: 4_096,
  bufferedBytes: 1_000_000,
  fetchPartitionBytes: 512_000,
  fetchBytes: 8_000_000,
} as const;
