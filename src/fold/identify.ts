import type { IdentifiedRecord } from '../model/record.ts';
import { isUserId } from '../model/shard.ts';
import type { Visitor } from '../model/visitor.ts';
import { arrived, releaseAll } from './arrival.ts';
import type { FoldContext } from './context.ts';
import { newVisitor } from './expiry.ts';
import { sendMerge } from './forward.ts';
import { emitDecision } from './outputs.ts';

/**
 * An anonymous visitor turns out to be a known user (semantics 8.1): all that it was goes to the user, and what comes to it from now
 * on goes there too. Known users become nobody else, and nobody becomes a second one: chains have one link.
 */
export function identify(context: FoldContext, stored: Visitor | null, record: IdentifiedRecord): Visitor | null {
  const { work, appendTime, offset } = context;
  const { visitor: id, user } = record;
  if (isUserId(id)) return refused(context, stored, record);
  const found = arrived(context, stored, id, null);
  if (found.alias !== null) return refused(context, stored, record);
  // What waits for a gap was tracked before the login: it is part of what goes.
  const before = releaseAll(context, found);
  const sent = sendMerge(context, before, user);
  const version = before.version + 1;
  const left = Object.keys(before.segments).sort();
  const changed = Object.keys(before.slots).filter((slot) => before.slots[slot]!.candidates.length > 0);
  const emptied: Visitor = {
    ...newVisitor(id, before.born, appendTime),
    historic: false,
    now: before.now,
    version,
    sources: before.sources,
    recentIds: before.recentIds,
    failures: before.failures,
    slots: Object.fromEntries(
      Object.entries(before.slots).map(([name, slot]) => [
        name,
        slot.candidates.length === 0 ? slot : { version, candidates: [] },
      ]),
    ),
    alias: user,
    sent,
  };
  work.count('identified');
  work.count('slotChanges', changed.length);
  work.count('segmentChanges', left.length);
  note(context, record, changed, left, null);
  emitDecision(
    context,
    emptied,
    changed,
    { entered: [], left },
    { kind: 'identified', id: record.id, offset },
    before.now,
  );
  return emptied;
}

function refused(context: FoldContext, stored: Visitor | null, record: IdentifiedRecord): Visitor | null {
  context.work.count('refusedIdentities');
  const whose = stored?.alias ?? record.visitor;
  note(context, record, [], [], `${record.visitor} is ${whose} already: nothing was done`);
  return stored;
}

function note(
  { work, appendTime, offset }: FoldContext,
  { visitor, id, user }: IdentifiedRecord,
  slots: readonly string[],
  left: readonly string[],
  detail: string | null,
): void {
  work.note({
    visitor,
    offset,
    what: 'identified',
    eventId: id,
    type: 'identified',
    at: appendTime,
    appendTime,
    receivedAt: null,
    rules: [],
    slots,
    segments: left.map((segment) => `-${segment}`),
    detail: detail ?? `it is ${user}`,
    properties: null,
  });
}
