import { randomUUIDv7 } from 'node:crypto';
import { isUsherError } from '../errors.ts';
import type { AppendOutcome } from '../log/eventLog.ts';
import { quote } from '../model/quote.ts';
import type { DeviceKind } from '../model/record.ts';
import { shardOf } from '../model/shard.ts';
import { parseTime } from '../model/times.ts';
import type { Playbook } from '../playbook/playbook.ts';
import { planProblem, serverEvents } from '../playbook/trackingPlan.ts';
import type { AppendQueue } from './appendQueue.ts';
import { encodeCursor } from './cursor.ts';
import { limits } from './limits.ts';
import type { Identity } from './tokens.ts';
import { type UserError, userError } from './userError.ts';
import { type VisitorRef, visitorFor } from './visitorRef.ts';

/** An event as a caller gives it: GraphQL checked the types of its members, nothing else. */
export interface IncomingEvent {
  readonly id?: string | null | undefined;
  readonly type: string;
  readonly properties?: unknown;
  readonly occurredAt?: string | null | undefined;
  readonly source?: string | null | undefined;
  readonly sequence?: number | null | undefined;
  readonly skipped?: readonly number[] | null | undefined;
  readonly context?: { readonly [name: string]: unknown } | null | undefined;
  readonly visitor?: VisitorRef | null | undefined;
}

/** What the events of one request have in common. */
export interface Sender {
  readonly identity: Identity;
  readonly device: DeviceKind | undefined;
  /** Global Privacy Control: the browser says that its visitor's data is not to be shared or sold. */
  readonly privacyControl: boolean;
  /** The gateway's clock when the request came, ms with fractions. */
  readonly receivedAt: number;
  /** The client's clock when it sent; null: not told. */
  readonly sentAt: string | null;
}

export type Outcome =
  | {
      readonly status: 'ACCEPTED';
      readonly id: string;
      readonly visitor: string;
      readonly shard: number;
      readonly offset: number;
    }
  | { readonly status: 'REFUSED' | 'UNKNOWN'; readonly id: string; readonly error: UserError };

export interface IntakeOptions {
  readonly queue: AppendQueue;
  readonly shards: number;
  readonly playbook: () => Playbook;
  readonly maxEventAgeMs: number;
  /** Records of the shard that wait to be folded, as far as this process knows. */
  readonly lagOf: (shard: number) => number;
  readonly onAccepted: (type: string) => void;
  readonly onRefused: (reason: string) => void;
}

/** An event that nothing is wrong with, as it goes into the log. */
export interface Prepared {
  readonly id: string;
  readonly type: string;
  readonly visitor: string;
  readonly shard: number;
  readonly value: string;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * From an event that came to a record in the log. What is refused here was never written; what is ACCEPTED is in the log for good; UNKNOWN
 * may be either, and sending it again with the same id or number is safe.
 */
export class Intake {
  readonly #options: IntakeOptions;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Records of the shard that wait to be folded, as far as this process knows. */
  lagOf(shard: number): number {
    return this.#options.lagOf(shard);
  }

  /**
   * One outcome an event, in their order; a bad event spoils none of the others.
   * @throws UsherError FORBIDDEN for a key without the scope write or import
   */
  async track(events: readonly IncomingEvent[], sender: Sender): Promise<readonly Outcome[]> {
    const { queue, lagOf, onAccepted, onRefused } = this.#options;
    const outcomes = new Array<Outcome>(events.length);
    const prepared: Prepared[] = [];
    const places: number[] = [];
    const isFull = queue.isFull;
    const skewMs = clockSkew(sender);
    for (let i = 0; i < events.length; i++) {
      const event = this.#prepare(events[i]!, sender, skewMs);
      if ('code' in event.result) {
        outcomes[i] = { status: 'REFUSED', id: event.id, error: event.result };
      } else if (isFull || lagOf(event.result.shard) >= limits.lagRecords) {
        outcomes[i] = { status: 'REFUSED', id: event.id, error: overloaded(isFull) };
      } else {
        prepared.push(event.result);
        places.push(i);
        continue;
      }
      onRefused((outcomes[i] as { error: UserError }).error.code);
    }
    const answers = await queue.append(prepared.map(({ shard, visitor, value }) => ({ shard, key: visitor, value })));
    for (let n = 0; n < prepared.length; n++) {
      const event = prepared[n]!;
      const outcome = outcomeOf(event, answers[n]!);
      outcomes[places[n]!] = outcome;
      if (outcome.status === 'ACCEPTED') onAccepted(event.type);
      else onRefused(outcome.error.code);
    }
    return outcomes;
  }

  /** Checks in the order in which a caller mends: who, what, numbers, time, size. */
  #prepare(
    event: IncomingEvent,
    sender: Sender,
    skewMs: number | UserError,
  ): { readonly id: string; readonly result: Prepared | UserError } {
    const id = event.id === undefined || event.id === null ? randomUUIDv7() : event.id;
    return { id, result: this.#check(event, id, sender, skewMs) };
  }

  #check(event: IncomingEvent, id: string, sender: Sender, skewMs: number | UserError): Prepared | UserError {
    if (!uuid.test(id)) return userError('EVENT_ID_INVALID', `expected a UUID, came ${quote(id)}`, { path: ['id'] });
    let visitor: string;
    try {
      visitor = visitorFor(sender.identity, event.visitor, 'write');
    } catch (error) {
      if (!isUsherError(error)) throw error;
      return userError(error.code, error.message, { path: ['visitor'] });
    }
    // A development name has no backend that could: its page plays both.
    if (sender.identity.kind === 'visitor' && sender.identity.expiresAt !== null && serverEvents.has(event.type)) {
      const message = `${event.type} is told by servers alone, with a secret key of the scope write; a visit token came`;
      return userError('FORBIDDEN', message, { path: ['type'] });
    }
    const properties = event.properties ?? {};
    const wrong = this.#checkProperties(event.type, properties) ?? checkNumbers(event) ?? checkContext(event.context);
    if (wrong !== null) return wrong;
    const time = this.#checkTime(event, sender, skewMs);
    if (time !== null && typeof time === 'object' && 'code' in time) return time;
    const shard = shardOf(visitor, this.#options.shards);
    const value = recordText(event, id.toLowerCase(), visitor, properties, time, sender);
    // Three bytes is the most that a UTF-16 unit takes in UTF-8, so short texts need no counting.
    if (value.length * 3 > limits.eventBytes && Buffer.byteLength(value) > limits.eventBytes) {
      return userError(
        'EVENT_TOO_LARGE',
        `the event takes ${Buffer.byteLength(value)} bytes; at most ${limits.eventBytes} are taken`,
      );
    }
    return { id, type: event.type, visitor, shard, value };
  }

  #checkProperties(type: string, properties: unknown): UserError | null {
    const problem = planProblem(this.#options.playbook(), type, properties);
    return problem === null ? null : userError(problem.code, problem.message, { path: problem.path });
  }

  /** The time for the record; null: none, it happened when it is appended. Semantics 3.2. */
  #checkTime(event: IncomingEvent, sender: Sender, skewMs: number | UserError): EventTime | null | UserError {
    const { identity } = sender;
    const imports = identity.kind === 'key' && identity.key.scopes.has('import');
    const imported = imports && isSet(event.occurredAt) && isSet(event.source);
    if (imports && !imported && !identity.key.scopes.has('write')) {
      return userError(
        'IMPORT_NEEDS_TIME',
        'a key with the scope import alone writes imported events, which need occurredAt, source and sequence',
      );
    }
    if (!isSet(event.occurredAt)) return null;
    const occurredAt = parseTime(event.occurredAt);
    if (Number.isNaN(occurredAt)) {
      return userError('TIME_INVALID', `occurredAt is ${quote(event.occurredAt)}; expected RFC 3339`, {
        path: ['occurredAt'],
      });
    }
    if (typeof skewMs !== 'number') return skewMs;
    const at = Math.round(occurredAt + skewMs);
    if (at < 0)
      return userError('TIME_INVALID', `occurredAt is ${quote(event.occurredAt)}; expected a time after 1970`, {
        path: ['occurredAt'],
      });
    const ageMs = sender.receivedAt - at;
    if (!imported && ageMs > this.#options.maxEventAgeMs) {
      const hours = this.#options.maxEventAgeMs / 3_600_000;
      return userError(
        'TOO_OLD',
        `the event is ${(ageMs / 3_600_000).toFixed(1)} h old; at most ${hours} h are taken`,
        { path: ['occurredAt'] },
      );
    }
    return { at, imported };
  }
}

interface EventTime {
  readonly at: number;
  readonly imported: boolean;
}

/** Gateway's clock minus the client's, ms; 0 when the client does not tell. */
function clockSkew(sender: Sender): number | UserError {
  if (sender.sentAt === null) return 0;
  const sentAt = parseTime(sender.sentAt);
  if (Number.isNaN(sentAt))
    return userError('TIME_INVALID', `sentAt is ${quote(sender.sentAt)}; expected RFC 3339`, { path: ['sentAt'] });
  return sender.receivedAt - sentAt;
}

function checkNumbers(event: IncomingEvent): UserError | null {
  const { source, sequence, skipped } = event;
  if (!isSet(source) && !isSet(sequence) && !isSet(skipped)) return null;
  const fault = (message: string, path: string) => userError('SEQUENCE_INVALID', message, { path: [path] });
  if (!isSet(source) || !isSet(sequence))
    return fault('expected source and sequence, both or neither; only one came', isSet(source) ? 'sequence' : 'source');
  if (source.length === 0 || source.length > limits.sourceChars || !source.isWellFormed()) {
    return fault(`source: expected 1 to ${limits.sourceChars} characters, came ${source.length}`, 'source');
  }
  if (sequence < 1) return fault(`sequence: expected 1, 2, 3 …, came ${sequence}`, 'sequence');
  if (!isSet(skipped)) return null;
  if (skipped.length > limits.skipped)
    return fault(`skipped: at most ${limits.skipped} numbers, came ${skipped.length}`, 'skipped');
  const wrong = skipped.find((number) => number < 1 || number === sequence);
  return wrong === undefined
    ? null
    : fault(`skipped: expected other numbers of the source than ${sequence}, 1 or larger; came ${wrong}`, 'skipped');
}

function checkContext(context: IncomingEvent['context']): UserError | null {
  if (!isSet(context)) return null;
  for (const name in context) {
    const value = context[name];
    if (typeof value !== 'string') continue;
    const path = ['context', name];
    if (value.length > limits.contextChars) {
      return userError(
        'EVENT_TOO_LARGE',
        `context.${name} has ${value.length} characters; at most ${limits.contextChars} are taken`,
        { path },
      );
    }
    if (!value.isWellFormed())
      return userError('EVENT_INVALID', `context.${name}: has a lone surrogate; expected well-formed Unicode`, {
        path,
      });
  }
  return null;
}

/** The record as schema/record.v1.json has it; absent members are left out, not null. */
function recordText(
  event: IncomingEvent,
  id: string,
  visitor: string,
  properties: unknown,
  time: EventTime | null,
  sender: Sender,
): string {
  return JSON.stringify({
    v: 1,
    kind: 'event',
    id,
    visitor,
    type: event.type,
    properties,
    at: time?.at,
    imported: time?.imported === true ? true : undefined,
    source: event.source ?? undefined,
    sequence: event.sequence ?? undefined,
    skipped: event.skipped?.length ? event.skipped : undefined,
    context: contextOf(event.context, sender),
    // A tenth of a millisecond: latency figures should not be rounded away, and more digits are bytes of every record.
    receivedAt: Math.round(sender.receivedAt * 10) / 10,
  });
}

function contextOf(context: IncomingEvent['context'], { device, privacyControl }: Sender): object | undefined {
  if (!isSet(context) && device === undefined && !privacyControl) return undefined;
  const given: Record<string, unknown> = {};
  for (const name in context) if (isSet(context[name])) given[name] = context[name];
  if (device !== undefined) given['device'] = device;
  if (privacyControl) given['globalPrivacyControl'] = true;
  return given;
}

/** What became of an event that was sent to the log. */
export function outcomeOf(event: Prepared, answer: AppendOutcome): Outcome {
  if (answer.ok)
    return { status: 'ACCEPTED', id: event.id, visitor: event.visitor, shard: event.shard, offset: answer.offset };
  return {
    status: answer.code === 'UNKNOWN' ? 'UNKNOWN' : 'REFUSED',
    id: event.id,
    error: userError(answer.code, answer.message),
  };
}

/** The cursor of an accepted event; null otherwise. */
export function cursorOf(outcome: Outcome): string | null {
  return outcome.status === 'ACCEPTED'
    ? encodeCursor({ visitor: outcome.visitor, upTo: outcome.offset + 1, slots: null })
    : null;
}

export function overloaded(isFull: boolean): UserError {
  const message = isFull ? 'too many events wait for the log' : 'too many events wait to be folded';
  return userError('OVERLOADED', message, { retryAfterMs: limits.retryAfterMs });
}

function isSet<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}
