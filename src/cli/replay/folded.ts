import { setTimeout as sleep } from 'node:timers/promises';
import { UsherError } from '../../errors.ts';
import type { ShardCounters } from '../../model/shardMeta.ts';
import type { GraphqlClient } from '../client.ts';

/** What `status` says of all shards together. */
export interface FoldStatus {
  readonly lag: number;
  /** Sum of the shards' positions: it grows while anything is folded. */
  readonly position: number;
  readonly counters: ShardCounters;
}

const query = 'query ReplayStatus { status { lag shards { position counters } } }';
const pollMs = 100;

/** @throws UsherError COMMAND_FAILED when nothing answers for `patienceMs`, or the server's code when it refuses */
export async function readStatus(client: GraphqlClient, patienceMs: number, signal: AbortSignal): Promise<FoldStatus> {
  const startedAt = performance.now();
  for (;;) {
    const answer = await client.ask<{
      status: { lag: number; shards: { position: number; counters: ShardCounters }[] };
    }>(query, {}, signal);
    if (answer.kind === 'data') {
      const { lag, shards } = answer.data.status;
      return {
        lag,
        position: shards.reduce((sum, shard) => sum + shard.position, 0),
        counters: shards.map((shard) => shard.counters).reduce((sum, counters) => combine(sum, counters, 1)),
      };
    }
    const retryable = answer.kind === 'unreached' || answer.retryable;
    if (!retryable || performance.now() - startedAt > patienceMs) throw client.errorOf(answer);
    await sleep(pollMs, undefined, { signal });
  }
}

/**
 * Waits until all that is in the log is folded. Twice in a row, because events held for a missing number (at most 50 ms)
 * are let go by a tick, which is a record of its own.
 * @throws UsherError COMMAND_FAILED when nothing was folded for `patienceMs`
 */
export async function waitUntilFolded(
  client: GraphqlClient,
  patienceMs: number,
  signal: AbortSignal,
): Promise<FoldStatus> {
  let position = -1;
  let movedAt = performance.now();
  for (let idle = 0; ; ) {
    const status = await readStatus(client, patienceMs, signal);
    if (status.position !== position) {
      position = status.position;
      movedAt = performance.now();
      idle = 0;
    } else if (status.lag === 0) idle++;
    if (idle >= 2) return status;
    if (performance.now() - movedAt > patienceMs) {
      throw new UsherError(
        'COMMAND_FAILED',
        `${status.lag} records wait to be folded and none was for ${Math.round(patienceMs / 1000)} s; the server's log says why`,
      );
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** What the fold did between two moments. */
export function difference(after: FoldStatus, before: FoldStatus): ShardCounters {
  return combine(after.counters, before.counters, -1);
}

function combine(a: ShardCounters, b: ShardCounters, sign: 1 | -1): ShardCounters {
  const names = Object.keys(a) as (keyof ShardCounters)[];
  return Object.fromEntries(names.map((name) => [name, a[name] + sign * (b[name] ?? 0)])) as unknown as ShardCounters;
}
