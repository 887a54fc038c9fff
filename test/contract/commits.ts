import { randomBytes } from 'node:crypto';
import type { Commit, FailedEvent, OutboxEntry, VisitorWrite } from '../../src/model/commit.ts';
import type { ShardMeta } from '../../src/model/shardMeta.ts';

/** A visitor write with a profile and slots that name what they belong to. */
export function write(visitor: string, text: string, timers: Partial<VisitorWrite> = {}): VisitorWrite {
  return { visitor, profile: `profile ${text}`, slots: `slots ${text}`, wakeAt: null, historicDue: null, ...timers };
}

export function outboxEntry(id: string): OutboxEntry {
  return { id, topic: 'usher.actions', key: 'u:1', value: `{"entry":"${id}"}` };
}

export function failedEvent(position: string): FailedEvent {
  const rest = {
    reason: 'FOLD_ERROR',
    detail: `expected better at ${position}`,
    visitor: 'u:1',
    type: 'product_viewed',
  } as const;
  return { position, ...rest, failedAt: 1_700_000_000_000, value: `{"position":"${position}"}` };
}

/** The commit that follows `before`, as a worker makes it. */
export function commitAfter(
  before: ShardMeta,
  changes: {
    readonly visitors?: readonly VisitorWrite[];
    readonly outbox?: readonly OutboxEntry[];
    readonly failed?: readonly FailedEvent[];
    readonly retried?: readonly string[];
    readonly meta?: Partial<ShardMeta>;
  } = {},
): Commit {
  const visitors = changes.visitors ?? [];
  const meta: ShardMeta = {
    ...before,
    position: before.position + 1,
    appendTime: before.appendTime + 10,
    ...changes.meta,
    commit: randomBytes(16).toString('hex'),
  };
  return {
    meta,
    previous: before.commit,
    visitors,
    outbox: changes.outbox ?? [],
    failed: changes.failed ?? [],
    retried: changes.retried ?? [],
    message: {
      shard: meta.shard,
      commit: meta.commit,
      lineage: meta.lineage,
      position: meta.position,
      appendTime: meta.appendTime,
      visitors: visitors.map(({ visitor, slots }) => ({ visitor, version: meta.position, slots })),
      activity: [],
      takenAt: 1,
      foldedAt: 2,
    },
  };
}
