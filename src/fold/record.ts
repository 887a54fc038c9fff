import type { FailureReason } from '../model/commit.ts';
import type { Json } from '../model/json.ts';
import { type LogRecord, type RejectedRecord, recordKinds, type UsherRecord } from '../model/record.ts';
import { isVisitorId } from '../model/shard.ts';
import { describe, expected, isMap, isText, isWhole, type Members, own, visitorProblem } from './members.ts';
import { identifiedProblem, moveProblem, profileProblem } from './moveProblems.ts';

/** A record of the log, read once: what it says, or why it says nothing. */
export interface ReadRecord {
  readonly log: LogRecord;
  /** null: poison, as `failure` says. */
  readonly record: UsherRecord | null;
  readonly failure: { readonly reason: FailureReason; readonly detail: string } | null;
  /** Whom it concerns, if that much can be read; to be loaded before it is folded. */
  readonly visitor: string | null;
  /** UTF-8 bytes of the value. */
  readonly bytes: number;
  /** A record's number counts as seen even if the rest of it cannot be read (semantics 1.5). */
  readonly number: RecordNumber | null;
  /** The id, type and claimed kind, as far as they can be read. */
  readonly id: string | null;
  readonly type: string | null;
  readonly isEvent: boolean;
}

export interface RecordNumber {
  readonly source: string;
  readonly sequence: number;
  readonly skipped: readonly number[];
}

const limits = {
  id: 128,
  type: 128,
  source: 64,
  skipped: 16,
  hash: 128,
  position: 64,
  topic: 249,
  detail: 500,
  levels: 100,
  /** What a merge or a forward carries stands this much deeper in it than it did in its own record. */
  levelsCarried: 20,
};
/** Kinds that this version runs. */
const builtKinds = new Set([
  'event',
  'rejected',
  'identified',
  'visitor_merged',
  'forwarded',
  'activate',
  'touched',
  'advance',
  'tick',
]);
const nothingSkipped: readonly number[] = [];

/**
 * Parses a record and checks its shape, which schema/record.v1.json states too. Never throws, whatever another program wrote
 * into the log.
 */
export function readRecord(log: LogRecord): ReadRecord {
  const bytes = Buffer.byteLength(log.value);
  let parsed: unknown;
  try {
    parsed = JSON.parse(log.value);
  } catch (error) {
    return unreadable(log, bytes, {}, `expected JSON; ${(error as Error).message}`);
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) {
    return unreadable(log, bytes, {}, `expected a JSON object; came ${describe(parsed as Json)}`);
  }
  const members = parsed as Members;
  const problem = problemOf(members);
  if (problem !== null) return unreadable(log, bytes, members, problem);
  const kind = members['kind'] as string;
  if (!builtKinds.has(kind)) {
    const detail = (recordKinds as readonly string[]).includes(kind)
      ? `records of kind ${kind} are not run by this version yet`
      : `expected a kind of record (${[...builtKinds].join(', ')}); came ${describe(kind)}`;
    return poison(log, bytes, members, { reason: 'UNKNOWN_KIND', detail });
  }
  const record = parsed as UsherRecord;
  if (record.kind === 'rejected') return rejected(log, bytes, record);
  const isEvent = record.kind === 'event';
  return {
    log,
    record,
    failure: null,
    visitor: 'visitor' in record ? record.visitor : null,
    bytes,
    number: isEvent && record.source !== undefined ? numberOf(members) : null,
    id: record.id,
    type: isEvent ? record.type : null,
    isEvent,
  };
}

function unreadable(log: LogRecord, bytes: number, members: Members, detail: string): ReadRecord {
  return poison(log, bytes, members, { reason: 'UNREADABLE', detail });
}

function poison(
  log: LogRecord,
  bytes: number,
  members: Members,
  failure: NonNullable<ReadRecord['failure']>,
): ReadRecord {
  const visitor = own(members, 'visitor');
  const id = own(members, 'id');
  const type = own(members, 'type');
  const known = typeof visitor === 'string' && isVisitorId(visitor) ? visitor : null;
  return {
    log,
    record: null,
    failure,
    visitor: known,
    bytes,
    number:
      known !== null && numberProblem(members) === null && own(members, 'source') !== undefined
        ? numberOf(members)
        : null,
    id: isText(id, limits.id) ? id : null,
    type: isText(type, limits.type) ? type : null,
    isEvent: own(members, 'kind') === 'event',
  };
}

/** Poison from its making on: it counts as an event that could not be folded, whose id is seen. */
function rejected(log: LogRecord, bytes: number, record: RejectedRecord): ReadRecord {
  const { visitor = null, id, type, topic, partition, offset, detail } = record;
  const failure = { reason: 'INPUT_INVALID', detail: `${topic}:${partition}:${offset}: ${detail}` } as const;
  return { log, record: null, failure, visitor, bytes, number: null, id, type, isEvent: true };
}

function numberOf(members: Members): RecordNumber {
  return {
    source: members['source'] as string,
    sequence: members['sequence'] as number,
    skipped: (own(members, 'skipped') as readonly number[] | undefined) ?? nothingSkipped,
  };
}

/** What is wrong with the record's shape; null: nothing. Kinds that are not known are not looked into. */
function problemOf(members: Members): string | null {
  const levels = limits.levels + (isMove(members) ? limits.levelsCarried : 0);
  // First: what is written of a record is written by functions that call themselves, and Node's stack ends at a few thousand levels.
  if (isDeeper(members as Json, levels)) return `a record nests at most ${levels} lists and maps`;
  if (own(members, 'v') !== 1) return expected('v', 'the record version 1', own(members, 'v'));
  const kind = own(members, 'kind');
  if (typeof kind !== 'string') return expected('kind', 'a text', kind);
  if (!isText(own(members, 'id'), limits.id))
    return expected('id', `a text of 1 to ${limits.id} characters`, own(members, 'id'));
  switch (kind) {
    case 'event':
      return visitorProblem(members) ?? eventProblem(members);
    case 'touched':
      return visitorProblem(members);
    case 'rejected':
      return rejectedProblem(members);
    case 'identified':
      return identifiedProblem(members);
    case 'visitor_merged':
      return moveProblem(members) ?? profileProblem(own(members, 'profile'));
    case 'forwarded':
      return moveProblem(members) ?? forwardedProblem(own(members, 'event'));
    case 'activate':
      for (const name of ['playbook', 'catalog']) {
        if (!isText(own(members, name), limits.hash)) return expected(name, 'a content hash', own(members, name));
      }
      return isWhole(own(members, 'foldVersion'), 1)
        ? null
        : expected('foldVersion', 'a whole number from 1', own(members, 'foldVersion'));
    case 'advance':
      return isWhole(own(members, 'to'), 0) ? null : expected('to', 'ms since the epoch', own(members, 'to'));
    default:
      return null;
  }
}

function isMove(members: Members): boolean {
  const kind = own(members, 'kind');
  return kind === 'visitor_merged' || kind === 'forwarded';
}

function forwardedProblem(event: Json | undefined): string | null {
  if (!isMap(event) || own(event, 'kind') !== 'event') return expected('event', 'a record of kind event', event);
  const problem = problemOf(event);
  return problem === null ? null : `event: ${problem}`;
}

function eventProblem(members: Members): string | null {
  const { properties } = members;
  if (!isText(own(members, 'type'), limits.type))
    return expected('type', `a text of 1 to ${limits.type} characters`, own(members, 'type'));
  if (!isMap(properties)) return expected('properties', 'a map', properties);
  const at = own(members, 'at');
  if (at !== undefined && !isWhole(at, 0)) return expected('at', 'ms since the epoch', at);
  const imported = own(members, 'imported');
  if (imported !== undefined && imported !== true) return expected('imported', 'true, or nothing', imported);
  const retryOf = own(members, 'retryOf');
  if (retryOf !== undefined && !isText(retryOf, limits.position)) return expected('retryOf', 'a position', retryOf);
  if (retryOf !== undefined && own(members, 'source') !== undefined) return 'a retry has no source and sequence';
  const depth = own(members, 'depth');
  if (depth !== undefined && !isWhole(depth, 0)) return expected('depth', 'a whole number', depth);
  const receivedAt = own(members, 'receivedAt');
  if (receivedAt !== undefined && typeof receivedAt !== 'number')
    return expected('receivedAt', 'ms since the epoch', receivedAt);
  const numbers = numberProblem(members);
  if (numbers !== null) return numbers;
  if (imported === true) {
    if (at === undefined) return 'an imported event must say when it happened (at)';
    if (own(members, 'source') === undefined && retryOf === undefined)
      return 'an imported event must have a source and a sequence';
  }
  return contextProblem(own(members, 'context'));
}

function rejectedProblem(members: Members): string | null {
  if (own(members, 'visitor') !== undefined) {
    const problem = visitorProblem(members);
    if (problem !== null) return problem;
  }
  for (const [name, limit] of [
    ['type', limits.type],
    ['topic', limits.topic],
    ['detail', limits.detail],
  ] as const) {
    if (!isText(own(members, name), limit))
      return expected(name, `a text of 1 to ${limit} characters`, own(members, name));
  }
  for (const name of ['partition', 'offset']) {
    if (!isWhole(own(members, name), 0)) return expected(name, 'a whole number', own(members, name));
  }
  return null;
}

function numberProblem(members: Members): string | null {
  const source = own(members, 'source');
  const sequence = own(members, 'sequence');
  const skipped = own(members, 'skipped');
  if (source === undefined && sequence === undefined) {
    return skipped === undefined ? null : 'skipped goes with source and sequence only';
  }
  if (!isText(source, limits.source)) return expected('source', `a text of 1 to ${limits.source} characters`, source);
  if (!isWhole(sequence, 1)) return expected('sequence', 'a whole number from 1', sequence);
  if (skipped === undefined) return null;
  if (!Array.isArray(skipped) || skipped.length > limits.skipped || !skipped.every((number) => isWhole(number, 1))) {
    return expected('skipped', `at most ${limits.skipped} whole numbers from 1`, skipped);
  }
  return null;
}

const contextNames = ['url', 'path', 'title', 'referrer', 'page', 'locale', 'timeZone', 'viewport', 'device'];
function contextProblem(context: Json | undefined): string | null {
  if (context === undefined) return null;
  if (!isMap(context)) return expected('context', 'a map', context);
  for (const name of contextNames) {
    const value = own(context, name);
    if (value !== undefined && typeof value !== 'string') return expected(`context.${name}`, 'a text', value);
  }
  return null;
}

function isDeeper(value: Json, levels: number): boolean {
  if (value === null || typeof value !== 'object') return false;
  if (levels === 0) return true;
  for (const each of Object.values(value)) if (typeof each === 'object' && isDeeper(each, levels - 1)) return true;
  return false;
}
