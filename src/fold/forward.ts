import { movesTopic } from '../model/commit.ts';
import type { ForwardedRecord, MergedProfile, MergedRecord, Origin } from '../model/record.ts';
import type { Sent, Visitor } from '../model/visitor.ts';
import { namedEventId } from '../playbook/eventIds.ts';
import type { ArrivedEvent, FoldContext } from './context.ts';
import { eventTime } from './step.ts';

/** UTF-16 units of a merge; a broker takes records of about a million bytes. */
const mergeLengthMost = 250_000;

/** What is sent to a visitor's user is numbered by the record that makes it, and by the visitor: the same whatever else that record does. */
export function nextSent(sent: Sent | null, offset: number): Sent {
  return sent?.offset === offset ? { offset, count: sent.count + 1 } : { offset, count: 1 };
}

function originOf({ work }: FoldContext, { offset, count }: Sent): Origin {
  return { shard: work.shard, output: `${offset}-${count - 1}` };
}

function idOf(kind: string, from: string, { shard, output }: Origin): string {
  return namedEventId([kind, from, shard, output].join('\0'));
}

/** An event of a visitor that turned out to be a known user goes on to that user, instead of being folded here (semantics 8.2). */
export function forward(context: FoldContext, visitor: Visitor, event: ArrivedEvent): Visitor {
  const { work, settings, offset } = context;
  const { record, appendTime } = event;
  const at = eventTime(event, settings.maxEventAgeMs);
  const sent = nextSent(visitor.sent, offset);
  const origin = originOf(context, sent);
  const forwarded: ForwardedRecord = {
    v: 1,
    kind: 'forwarded',
    id: idOf('forwarded', visitor.id, origin),
    visitor: visitor.alias!,
    from: visitor.id,
    origin,
    event: { ...record, at },
  };
  work.append(movesTopic, offset, forwarded);
  work.count('forwarded');
  work.note({
    visitor: visitor.id,
    offset: event.offset,
    what: 'forwarded',
    eventId: record.id,
    type: record.type,
    at,
    appendTime,
    receivedAt: record.receivedAt ?? null,
    rules: [],
    slots: [],
    segments: [],
    detail: null,
    properties: record.properties,
  });
  return { ...visitor, sent, lastAppend: Math.max(visitor.lastAppend, appendTime) };
}

/** Sends all that the visitor was to its user. */
export function sendMerge(context: FoldContext, visitor: Visitor, user: string): Sent {
  const sent = nextSent(visitor.sent, context.offset);
  const origin = originOf(context, sent);
  const id = idOf('visitor_merged', visitor.id, origin);
  const base = { v: 1, kind: 'visitor_merged', id, visitor: user, from: visitor.id, origin } as const;
  context.work.append(movesTopic, context.offset, withinLimit({ ...base, profile: profileOf(visitor) }));
  return sent;
}

function profileOf({
  historic,
  now,
  lastAppend,
  counts,
  traits,
  session,
  rules,
  segments,
  slots,
  timers,
}: Visitor): MergedProfile {
  return {
    historic,
    now,
    lastAppend,
    counts,
    traits: traits.toJSON(),
    session: session === null ? null : { ...session, traits: session.traits.toJSON() },
    rules: rules.toJSON(),
    segments,
    slots: Object.fromEntries(Object.entries(slots).map(([slot, { candidates }]) => [slot, candidates])),
    // None holds anything by now; and when a segment changes next is found anew.
    timers: timers.filter(({ what }) => what !== 'segment'),
  };
}

/** A log that never takes a merge would stop all that its shard sends: what is shown goes first, then where rules stand. */
function withinLimit(record: MergedRecord): MergedRecord {
  const { profile } = record;
  const isTooLong = (each: MergedProfile) => JSON.stringify(each).length > mergeLengthMost;
  if (!isTooLong(profile)) return record;
  const shorter = { ...profile, slots: {}, timers: profile.timers.filter(({ what }) => what !== 'slot') };
  if (!isTooLong(shorter)) return { ...record, profile: shorter };
  return {
    ...record,
    profile: { ...shorter, rules: {}, timers: shorter.timers.filter(({ what }) => what !== 'rule') },
  };
}
