import { type EventRecord, formatPosition } from '../model/record.ts';
import type { HeldEvent, Source, Timer, Visitor } from '../model/visitor.ts';
import { type ArrivedEvent, counted, type FoldContext, keepFailed, withFailure } from './context.ts';
import { findsExpired, newVisitor } from './expiry.ts';
import { forward } from './forward.ts';
import { hashId, withId } from './recentIds.ts';
import type { ReadRecord, RecordNumber } from './record.ts';
import { firstHeld, newSource, passTo, withHeld, withSkipped } from './sequence.ts';
import { eventTime, foldEvent } from './step.ts';
import { nameOfTimer, withoutTimer, withTimer } from './timers.ts';

/**
 * Steps (2) and (3) of semantics 3.5: whether the record is a duplicate, must wait, or is folded, and what it lets go.
 * Poison comes here too when its number, or an event's id, can be read: that much of it counts as seen (1.5).
 */
export function arrive(context: FoldContext, stored: Visitor | null, id: string, read: ReadRecord): Visitor {
  const { settings, appendTime } = context;
  const event = read.record as EventRecord | null;
  const at = event === null ? null : eventTime({ record: event, appendTime }, settings.maxEventAgeMs);
  const visitor = arrived(context, stored, id, at);
  const expired = stored !== null && visitor !== stored;
  if (read.number !== null) return arriveNumbered(context, visitor, read, read.number, expired);
  if (event?.retryOf !== undefined) return arriveRetry(context, visitor, read, event.retryOf);
  return arriveUnnumbered(context, visitor, read);
}

/** The visitor as a record finds it (4.5). `at`: event time of an event, if it can be read. */
export function arrived(context: FoldContext, stored: Visitor | null, id: string, at: number | null): Visitor {
  const { settings, appendTime, offset, work } = context;
  const expired = stored !== null && findsExpired(stored, at, appendTime, settings);
  if (stored !== null && !expired) return stored;
  if (expired) work.count('expiredVisitors');
  work.count('visitors');
  // What it took it must not take again.
  return { ...newVisitor(id, offset, appendTime), taken: stored?.taken ?? [] };
}

/** A retry takes its failed event away; one that finds none is a copy of one that did (1.7). */
function arriveRetry(context: FoldContext, visitor: Visitor, read: ReadRecord, position: string): Visitor {
  const { work } = context;
  const failed = visitor.failures.find((offset) => formatPosition(work.shard, offset) === position);
  if (failed === undefined) return duplicate(context, visitor, read);
  work.retried(position);
  const failures = visitor.failures.filter((offset) => offset !== failed);
  return foldOrFail(context, { ...visitor, failures }, read, false);
}

function arriveUnnumbered(context: FoldContext, visitor: Visitor, read: ReadRecord): Visitor {
  if (read.id === null) return failPoison(context, visitor, read);
  const hash = hashId(read.id);
  if (visitor.recentIds.includes(hash)) return duplicate(context, visitor, read);
  const known = { ...visitor, recentIds: withId(visitor.recentIds, hash, context.settings.recentIds) };
  return foldOrFail(context, known, read, false);
}

function arriveNumbered(
  context: FoldContext,
  before: Visitor,
  read: ReadRecord,
  number: RecordNumber,
  expired: boolean,
): Visitor {
  const { settings } = context;
  const { sequence, source: id } = number;
  let visitor = withKnownSource(context, before, number, expired);
  const skipping = withSkipped(sourceOf(visitor, id), number.skipped, sequence, settings);
  if (skipping.taken > 0) {
    visitor = counted(context, withSource(visitor, skipping.source, false), 'skipped', skipping.taken);
    visitor = foldClosed(context, visitor, id);
  }
  const source = sourceOf(visitor, id);
  if (sequence === source.next) {
    visitor = withSource(visitor, passTo(source, sequence, settings), true);
    return foldClosed(context, foldOrFail(context, visitor, read, false), id);
  }
  if (sequence > source.next) {
    const isKnown = source.skipped.includes(sequence) || source.held.some((event) => event.sequence === sequence);
    return isKnown ? duplicate(context, visitor, read) : hold(context, visitor, source, read, sequence);
  }
  if (source.missing.includes(sequence)) {
    const missing = source.missing.filter((each) => each !== sequence);
    return foldOrFail(context, withSource(visitor, { ...source, missing }, true), read, true);
  }
  return sequence <= source.floor ? beyondWindow(context, visitor, read) : duplicate(context, visitor, read);
}

/** The visitor with this record's source among its own; the least recently folded makes room, its held events fold first. */
function withKnownSource(context: FoldContext, before: Visitor, number: RecordNumber, expired: boolean): Visitor {
  if (before.sources.some((source) => source.id === number.source)) return before;
  let visitor = before;
  while (visitor.sources.length >= context.settings.sources) {
    const leaving = visitor.sources[0]!.id;
    visitor = release(context, visitor, leaving);
    visitor = { ...visitor, sources: visitor.sources.filter((source) => source.id !== leaving) };
  }
  const source = newSource(number.source, number.sequence, expired, context.settings);
  return { ...visitor, sources: [...visitor.sources, source] };
}

/** An event after a gap waits for it, unless the visitor holds too much already: then everything held goes. */
function hold(context: FoldContext, visitor: Visitor, source: Source, read: ReadRecord, sequence: number): Visitor {
  const { settings, appendTime, offset } = context;
  const event: HeldEvent = {
    sequence,
    offset,
    appendTime,
    bytes: read.bytes,
    record: read.record as EventRecord | null,
  };
  const held = visitor.sources.flatMap((each) => each.held);
  const bytes = held.reduce((sum, each) => sum + each.bytes, read.bytes);
  const waiting = withSource(visitor, withHeld(source, event), false);
  // Poison has failed already; what waits of it is its number alone.
  const told = read.failure === null ? waiting : failPoison(context, waiting, read);
  if (held.length + 1 <= settings.heldEvents && bytes <= settings.heldBytes) {
    if (read.failure === null) note(context, read, 'held');
    return withHoldTimer(context, counted(context, told, 'held'), source.id);
  }
  return releaseAll(context, told);
}

/** All that is held folds: sources by the offset of their first held event. */
export function releaseAll(context: FoldContext, visitor: Visitor): Visitor {
  const order = visitor.sources.filter((each) => each.held.length > 0);
  order.sort((a, b) => firstHeld(a)!.offset - firstHeld(b)!.offset);
  return order.reduce((each, { id }) => release(context, each, id), visitor);
}

/** A hold fires: its events fold there and then. */
export function endHold(context: FoldContext, visitor: Visitor, timer: Timer): Visitor {
  const { work, appendTime } = context;
  work.count('timersFired');
  work.note({
    visitor: visitor.id,
    offset: timer.setAt,
    what: 'timer',
    eventId: null,
    type: nameOfTimer(timer),
    at: timer.wallDue!,
    appendTime,
    receivedAt: null,
    rules: [],
    slots: [],
    segments: [],
    detail: null,
    properties: null,
  });
  return release(context, visitor, timer.key[0]!);
}

/** A hold ends: all of its source's held events fold, in the order of their numbers; the gap's numbers stay missing. */
function release(context: FoldContext, before: Visitor, id: string): Visitor {
  let visitor = before;
  for (let event = sourceOf(visitor, id).held[0]; event !== undefined; event = sourceOf(visitor, id).held[0]) {
    visitor = foldHeld(context, visitor, id, event);
  }
  return withHoldTimer(context, visitor, id);
}

/** The gap of a source may have closed: what waited for it folds. */
function foldClosed(context: FoldContext, before: Visitor, id: string): Visitor {
  if (sourceOf(before, id).held.length === 0) return before;
  let visitor = before;
  for (;;) {
    const source = sourceOf(visitor, id);
    const event = source.held[0];
    if (event === undefined || event.sequence !== source.next) break;
    visitor = foldHeld(context, visitor, id, event);
  }
  return withHoldTimer(context, visitor, id);
}

function foldHeld(context: FoldContext, visitor: Visitor, id: string, event: HeldEvent): Visitor {
  const source = sourceOf(visitor, id);
  const passed = passTo({ ...source, held: source.held.slice(1) }, event.sequence, context.settings);
  const next = withSource(visitor, passed, true);
  const { record, offset, appendTime } = event;
  return record === null ? next : takeEvent(context, next, { record, offset, appendTime, late: false });
}

/** A hold ends 50 ms after the append time of its source's first held event. */
function withHoldTimer(context: FoldContext, visitor: Visitor, id: string): Visitor {
  const source = visitor.sources.find((each) => each.id === id);
  const first = source === undefined ? null : firstHeld(source);
  if (first === null) {
    const timers = withoutTimer(visitor.timers, 'hold', [id]);
    return timers === visitor.timers ? visitor : { ...visitor, timers };
  }
  const wallDue = first.appendTime + context.settings.holdMs;
  const timer = { what: 'hold', key: [id], due: null, wallDue, skew: 0, setAt: first.offset } as const;
  return { ...visitor, timers: withTimer(visitor.timers, timer) };
}

function foldOrFail(context: FoldContext, visitor: Visitor, read: ReadRecord, late: boolean): Visitor {
  if (read.failure !== null) return failPoison(context, visitor, read);
  const { offset, appendTime } = context;
  return takeEvent(context, visitor, { record: read.record as EventRecord, offset, appendTime, late });
}

/** An event whose turn has come: it is folded, or goes on to the user that its visitor turned out to be (8.2). */
function takeEvent(context: FoldContext, visitor: Visitor, event: ArrivedEvent): Visitor {
  return visitor.alias === null ? foldEvent(context, visitor, event) : forward(context, visitor, event);
}

function duplicate(context: FoldContext, visitor: Visitor, read: ReadRecord): Visitor {
  note(context, read, 'duplicate');
  return counted(context, visitor, 'duplicate');
}

function beyondWindow(context: FoldContext, visitor: Visitor, read: ReadRecord): Visitor {
  const told = counted(context, visitor, 'beyondWindow');
  const failure = read.failure ?? {
    reason: 'BEYOND_WINDOW' as const,
    detail: `number ${read.number!.sequence} of source ${read.number!.source} is older than the numbers that are kept`,
  };
  return failPoison(context, told, { ...read, failure });
}

/** Keeps a record that cannot be folded, and counts it for its visitor. */
function failPoison(context: FoldContext, visitor: Visitor, read: ReadRecord): Visitor {
  keepUnfolded(context, read, read.failure!);
  return withFailure(context, visitor, context.offset);
}

/** Keeps a record that cannot be folded, and leaves no other trace. */
export function keepUnfolded(
  context: FoldContext,
  read: ReadRecord,
  failure: NonNullable<ReadRecord['failure']>,
): void {
  const { visitor, type, id, log } = read;
  const position = formatPosition(log.shard, log.offset);
  const { value, offset } = log;
  keepFailed(context, { position, ...failure, visitor, type, value, offset, eventId: id });
}

function note(context: FoldContext, read: ReadRecord, what: 'duplicate' | 'held'): void {
  const { work, offset, appendTime } = context;
  const event = read.record as EventRecord | null;
  work.note({
    visitor: read.visitor!,
    offset,
    what,
    eventId: read.id,
    type: read.type ?? '',
    at: event?.at ?? appendTime,
    appendTime,
    receivedAt: event?.receivedAt ?? null,
    rules: [],
    slots: [],
    segments: [],
    detail: null,
    properties: event?.properties ?? null,
  });
}

/** A source that the visitor has: nothing takes one away while its numbers are looked at. */
function sourceOf(visitor: Visitor, id: string): Source {
  return visitor.sources.find((source) => source.id === id)!;
}

/** `folded`: it becomes the most recently folded. */
function withSource(visitor: Visitor, source: Source, folded: boolean): Visitor {
  const index = visitor.sources.findIndex((each) => each.id === source.id);
  if (!folded || index === visitor.sources.length - 1)
    return { ...visitor, sources: visitor.sources.with(index, source) };
  return { ...visitor, sources: [...visitor.sources.toSpliced(index, 1), source] };
}
