import { UsherError } from '../errors.ts';
import type { GraphqlClient } from './client.ts';

const shardsQuery = '{ status { shards { shard } } }';
const pageQuery = `query Failed($shard: Int!, $before: String, $first: Int!) {
  failedEvents(shard: $shard, before: $before, first: $first) { position reason detail visitorId type failedAt record }
}`;
/** Failed events of one call. */
const pageSize = 100;

export interface FailedEvent {
  readonly position: string;
  readonly reason: string;
  readonly detail: string;
  readonly visitorId: string | null;
  readonly type: string | null;
  readonly failedAt: string;
  readonly record: string;
}

export async function shardsOf(client: GraphqlClient, signal: AbortSignal): Promise<readonly number[]> {
  const { status } = await client.need<{ status: { shards: { shard: number }[] } }>(shardsQuery, {}, signal);
  return status.shards.map(({ shard }) => shard);
}

/** Failed events of a shard, newest first. */
export async function* eventsOf(
  client: GraphqlClient,
  shard: number,
  signal: AbortSignal,
): AsyncGenerator<FailedEvent, void> {
  let before: string | null = null;
  for (;;) {
    const { failedEvents }: { failedEvents: FailedEvent[] } = await client.need(
      pageQuery,
      { shard, before, first: pageSize },
      signal,
    );
    yield* failedEvents;
    if (failedEvents.length < pageSize) return;
    before = failedEvents.at(-1)!.position;
  }
}

/** null: there is none. @throws UsherError COMMAND_FAILED when it is no position */
export async function eventAt(
  client: GraphqlClient,
  position: string,
  signal: AbortSignal,
): Promise<FailedEvent | null> {
  const shard = /^(\d+):\d+(#\d+)?$/.exec(position)?.[1];
  if (shard === undefined) throw new UsherError('COMMAND_FAILED', `a position is like 3:17, got ${position}`);
  for await (const event of eventsOf(client, Number(shard), signal)) if (event.position === position) return event;
  return null;
}
