import { cutText } from '../decide/bounds.ts';
import { FoldFailure } from '../decide/failure.ts';
import type { FailedEvent, FailureReason } from '../model/commit.ts';
import { type EventRecord, formatPosition } from '../model/record.ts';
import type { Visitor, VisitorCounts } from '../model/visitor.ts';
import type { ActiveBundles } from '../playbook/playbook.ts';
import { emitFailed } from './outputs.ts';
import type { FoldSettings } from './settings.ts';
import type { ShardWork } from './work.ts';

/** What is the same for all that is done while one record is folded. */
export interface FoldContext {
  readonly work: ShardWork;
  readonly settings: FoldSettings;
  readonly bundles: ActiveBundles | null;
  /** T(r). */
  readonly appendTime: number;
  readonly offset: number;
}

/** An event to be folded: the record being folded, or one that was held. */
export interface ArrivedEvent {
  readonly record: EventRecord;
  readonly offset: number;
  /** T of its own record. */
  readonly appendTime: number;
  readonly late: boolean;
}

const maxFailedValue = 32_768;
const maxDetail = 500;

type Count = Exclude<keyof VisitorCounts, 'sessions'>;

/** Counts for the visitor and for its shard (2.5). */
export function counted(context: FoldContext, visitor: Visitor, name: Count, by = 1): Visitor {
  context.work.count(name, by);
  return { ...visitor, counts: { ...visitor.counts, [name]: visitor.counts[name] + by } };
}

/** Keeps what could not be folded (1.5). The shard counts it; the visitor, if there is one, is counted by the caller. */
export function keepFailed(
  context: FoldContext,
  failed: {
    readonly position: string;
    readonly reason: FailureReason;
    readonly detail: string;
    readonly visitor: string | null;
    readonly type: string | null;
    readonly value: string;
    readonly offset: number;
    readonly eventId: string | null;
  },
): void {
  const { position, reason, visitor, type, offset, eventId } = failed;
  const detail = cutText(failed.detail, maxDetail);
  const { appendTime, work } = context;
  const value = cutText(failed.value, maxFailedValue);
  const kept: FailedEvent = { position, reason, detail, visitor, type, failedAt: appendTime, value };
  work.fail(kept);
  emitFailed(context, kept, eventId);
  work.note({
    visitor: visitor ?? '',
    offset,
    what: 'failed',
    eventId,
    type: type ?? '',
    at: appendTime,
    appendTime,
    receivedAt: null,
    rules: [],
    slots: [],
    segments: [],
    detail: `${reason}: ${detail}`,
    properties: null,
  });
}

/** The visitor after an event of it failed: undone, counted, kept. */
export function failEvent(context: FoldContext, visitor: Visitor, event: ArrivedEvent, error: unknown): Visitor {
  const { record, offset } = event;
  const [reason, detail] =
    error instanceof FoldFailure ? [error.reason, error.message] : (['FOLD_ERROR', messageOf(error)] as const);
  keepFailed(context, {
    position: formatPosition(context.work.shard, offset),
    reason,
    detail,
    visitor: visitor.id,
    type: record.type,
    value: JSON.stringify(record),
    offset,
    eventId: record.id,
  });
  return withFailure(context, visitor, offset);
}

/** Counts a failed event for its visitor, and keeps its offset: a retry takes it, so that only one can (1.7). */
export function withFailure(context: FoldContext, visitor: Visitor, offset: number): Visitor {
  const failures = [...visitor.failures, offset].slice(-context.settings.failures);
  return { ...visitor, failures, counts: { ...visitor.counts, failed: visitor.counts.failed + 1 } };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
