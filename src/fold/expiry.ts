import { TraitStates } from '../model/traitStates.ts';
import type { SlotsView, Timer, Visitor } from '../model/visitor.ts';
import type { FoldSettings } from './settings.ts';

/** A visitor of whom nothing is known yet, made by the record at this offset. */
export function newVisitor(id: string, offset: number, appendTime: number): Visitor {
  return {
    id,
    born: offset,
    historic: true,
    now: 0,
    // Nothing is folded yet; until something is, the visitor is as old as the record that made it (4.5).
    lastAppend: appendTime,
    version: 0,
    sources: [],
    recentIds: [],
    failures: [],
    counts: noVisitorCounts,
    traits: TraitStates.none,
    session: null,
    rules: TraitStates.none,
    segments: {},
    slots: {},
    timers: [],
    alias: null,
    sent: null,
    taken: [],
  };
}

export const noVisitorCounts: Visitor['counts'] = {
  folded: 0,
  duplicate: 0,
  late: 0,
  held: 0,
  skipped: 0,
  beyondWindow: 0,
  failed: 0,
  refusedTimers: 0,
  sessions: 0,
};

/** A new visitor that still knows which events it had, which failed, and what it took: for one that expires in the midst of them. */
export function renewed(old: Visitor, offset: number, appendTime: number): Visitor {
  const { sources, recentIds, failures, timers, taken } = old;
  const fresh = newVisitor(old.id, offset, appendTime);
  return { ...fresh, sources, recentIds, failures, taken, timers: timers.filter((timer) => timer.what === 'hold') };
}

/** Whether a record that arrives finds this visitor expired (semantics 4.5). `at` is null when it has, or tells, no event time. */
export function findsExpired(
  visitor: Visitor,
  at: number | null,
  appendTime: number,
  { visitorRetentionMs, aliasRetentionMs }: Pick<FoldSettings, 'visitorRetentionMs' | 'aliasRetentionMs'>,
): boolean {
  const retentionMs = visitor.alias === null ? visitorRetentionMs : Math.max(visitorRetentionMs, aliasRetentionMs);
  if (appendTime > visitor.lastAppend + retentionMs) return true;
  return at !== null && visitor.counts.folded > 0 && at > visitor.now + retentionMs;
}

/** Whether a timer that comes up outlives its visitor, and so is dropped together with it (semantics 4.5). */
export function outlives(timer: Timer, visitor: Visitor, retentionMs: number): boolean {
  if (timer.what === 'hold') return false;
  if (timer.due !== null && timer.due > visitor.now + retentionMs) return true;
  return timer.wallDue !== null && timer.wallDue > visitor.lastAppend + retentionMs;
}

/**
 * Whether a reader must take this visitor for a new one: nobody has removed it yet, but it is forgotten. A read has no event
 * time, so the shard's T decides alone.
 */
export function readsAsNew(
  view: Pick<SlotsView, 'lastAppend' | 'alias'>,
  appendTime: number,
  retentionMs: number,
): boolean {
  // That it turned out to be somebody else is told for as long as it is known.
  return view.alias === null && appendTime > view.lastAppend + retentionMs;
}
