import { UsherError } from '../errors.ts';
import { shardOf } from '../model/shard.ts';
import { advanceHistoric } from './advance.ts';
import { arrive, endHold, keepUnfolded } from './arrival.ts';
import type { FoldContext } from './context.ts';
import { readsAsNew } from './expiry.ts';
import { fireTimer } from './firing.ts';
import { identify } from './identify.ts';
import { takeForwarded, takeMerge } from './merge.ts';
import type { ReadRecord } from './record.ts';
import { touch } from './step.ts';
import { nextDue, nextWall } from './timers.ts';
import type { ShardWork } from './work.ts';

/** What the fold means (docs/semantics.md). Another meaning is another version, and a rebuild (6.1). */
export const foldVersion = 1;

/**
 * Folds one record into the shard (semantics 3.5). Pure but for `work`: no clock, no chance, no I/O.
 *
 * `done`: the record is folded, and `work.meta.position` is past it. `more`: the budget of timers, or the wakeups that are
 * known, ended before step (1) or an advance did: commit what there is, load and set the next wakeups, call again with the same record.
 * @throws UsherError BUNDLE_MISSING, FOLD_VERSION: the shard must stop
 * @throws Error when something needed was not loaded, or the record is before the position: a fault of the caller
 */
export function foldRecord(work: ShardWork, read: ReadRecord, budget: { readonly timers: number }): 'done' | 'more' {
  const { offset, stamp } = read.log;
  if (offset < work.position) throw new Error(`record ${offset} is folded already; the shard is at ${work.position}`);
  const appendTime = work.raiseAppendTime(stamp);
  const context: FoldContext = { work, settings: work.settings, bundles: work.active, appendTime, offset };
  const left = fireDue(context, budget.timers);
  if (left === null) return 'more';
  const { record } = read;
  if (record?.kind === 'advance') {
    const to = Math.min(record.to, appendTime);
    if (advanceHistoric(context, to, left) === null || work.moreHistoric(to)) return 'more';
  } else if (record?.kind === 'activate') {
    if (record.foldVersion !== foldVersion) {
      const message = `the log asks for fold version ${record.foldVersion} from record ${offset} on; this Usher has version ${foldVersion}`;
      throw new UsherError('FOLD_VERSION', message);
    }
    work.activate(record.playbook, record.catalog, record.foldVersion);
  } else if (record?.kind !== 'tick') {
    foldOfVisitor(context, read);
  }
  work.moveTo(offset + 1, record?.id ?? null);
  return 'done';
}

function foldOfVisitor(context: FoldContext, read: ReadRecord): void {
  const { work, appendTime, settings } = context;
  const { visitor: id, record, failure } = read;
  if (id === null) {
    keepUnfolded(context, read, failure!);
    return;
  }
  const shard = shardOf(id, work.shards);
  if (shard !== work.shard) {
    const detail = `visitor ${id} belongs to shard ${shard} of ${work.shards}; the record came in shard ${work.shard}`;
    keepUnfolded(context, read, { reason: 'WRONG_SHARD', detail });
  } else if (record?.kind === 'touched') {
    const visitor = work.visitor(id);
    if (visitor === null || readsAsNew(visitor, appendTime, settings.visitorRetentionMs)) return;
    work.put(id, touch(context, visitor, record.id));
  } else if (record?.kind === 'identified') {
    work.put(id, identify(context, work.visitor(id), record));
  } else if (record?.kind === 'visitor_merged') {
    work.put(id, takeMerge(context, work.visitor(id), read, record));
  } else if (record?.kind === 'forwarded') {
    work.put(id, takeForwarded(context, work.visitor(id), record));
  } else if (failure !== null && read.number === null && !(read.isEvent && read.id !== null)) {
    keepUnfolded(context, read, failure);
  } else {
    work.put(id, arrive(context, work.visitor(id), id, read));
  }
}

/** Step (1) of 3.5. @returns how much of the budget is left; null: not all are fired */
function fireDue(context: FoldContext, budget: number): number | null {
  const { work, appendTime } = context;
  for (let left = budget; ; left--) {
    const visitor = work.nextWakeup(appendTime);
    if (visitor === null) return left;
    if (visitor === undefined || left <= 0) return null;
    const timer = nextWall(visitor.timers)!;
    if (timer.what === 'hold') {
      work.put(visitor.id, endHold(context, visitor, timer));
    } else {
      // First its visitor's own timers with smaller (due, id): the smallest of them fires, and the next turn looks again.
      work.put(visitor.id, fireTimer(context, visitor, nextDue(visitor.timers, timer.due!)!, null));
    }
  }
}
