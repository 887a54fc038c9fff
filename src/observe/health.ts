/** Whether this process should get requests, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** A shard that is further behind is not ready: what it answers would be too old to be of use. */
export const readyLagRecords = 10_000;

/** From what the parts say of themselves: stopping, shards without a playbook or stopped, records not folded. */
export function readinessOf(state: {
  readonly stopping: boolean;
  readonly workerReasons: readonly string[];
  readonly lag: ReadonlyMap<number, number>;
}): Readiness {
  const reasons = [
    ...(state.stopping ? ['the process is stopping'] : []),
    ...state.workerReasons,
    ...[...state.lag]
      .filter(([, records]) => records > readyLagRecords)
      .map(([shard, records]) => `shard ${shard} is ${records} records behind; at most ${readyLagRecords} are ready`),
  ];
  return { ready: reasons.length === 0, reasons };
}
