import type { AppendOutcome, EventLog, ShardFeed } from '../../../src/log/eventLog.ts';
import type { LogRecord } from '../../../src/model/record.ts';

/** The log with some of its members replaced. */
function changed(log: EventLog, changes: Partial<EventLog>): EventLog {
  return {
    shards: log.shards,
    append: (entries) => log.append(entries),
    join: (member) => log.join(member),
    bounds: (shard) => log.bounds(shard),
    readAt: (shard, offset) => log.readAt(shard, offset),
    close: () => log.close(),
    ...changes,
  };
}

/** Accepts each tenth record of a shard and has nothing of it: an append acknowledged before it was kept. */
export function forgetsAnAppend(log: EventLog): EventLog {
  const forgotten = (offset: number) => offset % 10 === 9;
  const keeps = (feed: ShardFeed): ShardFeed => ({
    shard: feed.shard,
    signal: feed.signal,
    open: (offset) => feed.open(offset),
    take: async (limit, waitMs) =>
      (await feed.take(limit, waitMs)).filter(({ offset }: LogRecord) => !forgotten(offset)),
    wake: () => feed.wake(),
    folded: (offset) => feed.folded(offset),
  });
  return changed(log, {
    join: (member) =>
      log.join({ assigned: (feed) => member.assigned(keeps(feed)), revoked: (shard) => member.revoked(shard) }),
    readAt: async (shard, offset) => (forgotten(offset) ? null : log.readAt(shard, offset)),
  });
}

/** Answers the tenth record of a shard with the offset of the ninth: a counter read twice before it was raised. */
export function givesAnOffsetTwice(log: EventLog): EventLog {
  const twice = (outcome: AppendOutcome): AppendOutcome =>
    outcome.ok && outcome.offset % 10 === 9 ? { ...outcome, offset: outcome.offset - 1 } : outcome;
  return changed(log, { append: async (entries) => (await log.append(entries)).map(twice) });
}
