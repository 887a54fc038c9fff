import { decodeVisitor } from '../model/codec.ts';
import type { FailedEvent, FailureReason } from '../model/commit.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { quote } from '../model/quote.ts';
import { formatPosition } from '../model/record.ts';
import { parseTime } from '../model/times.ts';
import { namedEventId } from '../playbook/eventIds.ts';
import { planProblem } from '../playbook/trackingPlan.ts';
import { type Outcome, outcomeOf, overloaded, type Prepared } from './intake.ts';
import { limits } from './limits.ts';
import type { Services } from './services.ts';
import { type UserError, userError } from './userError.ts';

/** A failed event to try again, and what to put in the place of what it said. */
export interface RetryOrder {
  readonly position: string;
  readonly type?: string | null | undefined;
  readonly properties?: unknown;
  readonly occurredAt?: string | null | undefined;
  /** Retry it though it may have been folded already. */
  readonly beyondWindow?: boolean | null | undefined;
}

/** Failed events that no correction mends, and what to do instead. */
const hopeless: { readonly [reason in FailureReason]?: string } = {
  UNKNOWN_KIND: 'the record is no event',
  FIRING_ERROR: 'a timer failed, not an event; nothing of it is left to retry',
  WRONG_SHARD: 'the record lies in the log of another shard than its visitor; send its event again with trackEvents',
  IMPORT_INTO_LIVE: 'an imported event must come before its visitor goes live, and the visitor has',
};

/**
 * Appends corrected copies of failed events. Two retries of one failed event are one: the fold takes the first and knows every other
 * for its copy (semantics 1.7), so whoever got no answer, or UNKNOWN, asks again.
 */
export async function retryFailedEvents(
  services: Services,
  orders: readonly RetryOrder[],
): Promise<readonly Outcome[]> {
  const { queue } = services;
  const ready = await Promise.all(orders.map((order) => prepare(services, order)));
  const good = ready.filter((each): each is Prepared => !('code' in each));
  const answers = await queue.append(good.map(({ shard, visitor, value }) => ({ shard, key: visitor, value })));
  let next = 0;
  return ready.map((each, i) =>
    'code' in each
      ? { status: 'REFUSED', id: retryId(orders[i]!.position), error: each }
      : outcomeOf(each, answers[next++]!),
  );
}

/** The id of every retry of this failed event. */
function retryId(position: string): string {
  return namedEventId(`usher retry of ${position}`);
}

async function prepare(services: Services, order: RetryOrder): Promise<Prepared | UserError> {
  const { store, log, queue, playbook } = services;
  const { position } = order;
  const [shard, offset] = (/^(\d{1,9}):(\d{1,16})(?:#\d+)?$/.exec(position)?.slice(1) ?? []).map(Number);
  if (shard === undefined || offset === undefined || shard >= log.shards) {
    return userError('FAILED_EVENT_UNKNOWN', `${quote(position)} is no position; expected one like 3:17`, {
      path: ['position'],
    });
  }
  if (queue.isFull) return overloaded(true);
  const failed = await store.readFailedAt(shard, position);
  if (failed === null) {
    return userError('FAILED_EVENT_UNKNOWN', `there is no failed event at ${position}`, { path: ['position'] });
  }
  const refusal = (await hopelessness(services, failed, shard, offset)) ?? doubt(failed, order);
  if (refusal !== null) return userError('RETRY_REFUSED', `${position}: ${refusal}`, { path: ['position'] });
  const occurredAt = isSet(order.occurredAt) ? parseTime(order.occurredAt) : null;
  if (Number.isNaN(occurredAt) || (occurredAt !== null && occurredAt < 0)) {
    return userError(
      'TIME_INVALID',
      `occurredAt is ${quote(order.occurredAt!)}; expected RFC 3339, and a time after 1970`,
      { path: ['occurredAt'] },
    );
  }
  const record = recordIn(failed.value);
  const type = order.type ?? failed.type ?? '';
  const properties = order.properties ?? record['properties'];
  const problem = planProblem(playbook(), type, properties);
  if (problem !== null) return userError(problem.code, problem.message, { path: problem.path });
  const value = JSON.stringify({
    v: 1,
    kind: 'event',
    id: retryId(position),
    visitor: failed.visitor,
    type,
    properties,
    at: occurredAt ?? timeOf(record, failed),
    imported: record['imported'] === true ? true : undefined,
    depth: failed.reason === 'UNREADABLE' ? undefined : record['depth'],
    // Of a record that could not be read it may be just this that was wrong.
    context: failed.reason === 'UNREADABLE' ? undefined : record['context'],
    retryOf: position,
  });
  const bytes = Buffer.byteLength(value);
  if (bytes > limits.eventBytes) {
    return userError('EVENT_TOO_LARGE', `the event takes ${bytes} bytes; at most ${limits.eventBytes} are taken`);
  }
  return { id: retryId(position), type, visitor: failed.visitor!, shard, value };
}

/** Why the fold would not take any retry of it; null: it would. */
async function hopelessness(
  { store }: Services,
  failed: FailedEvent,
  shard: number,
  offset: number,
): Promise<string | null> {
  const why = hopeless[failed.reason];
  if (why !== undefined) return why;
  if (failed.visitor === null) return 'it names no visitor; send its event again with trackEvents';
  const stored = await store.readProfile(shard, failed.visitor);
  const failures = stored === null ? [] : decodeVisitor(stored.profile, stored.slots).failures;
  if (failures.includes(offset) && failed.position === formatPosition(shard, offset)) return null;
  return `its visitor ${quote(failed.visitor)} does not remember it; send its event again with trackEvents`;
}

/** Why it should be thought about before it is retried; null: it was. */
function doubt(failed: FailedEvent, order: RetryOrder): string | null {
  if (failed.reason !== 'BEYOND_WINDOW' || order.beyondWindow === true) return null;
  return 'it came so late that it may be a copy of one that was folded; with beyondWindow: true it is retried, and may count twice';
}

/** It stays where it was in time, however much later it is retried. */
function timeOf(record: JsonObject, failed: FailedEvent): number {
  const at = record['at'];
  return typeof at === 'number' && Number.isSafeInteger(at) && at >= 0 ? at : failed.failedAt;
}

/** What can be read of a record that failed. */
function recordIn(value: string): JsonObject {
  try {
    const record = JSON.parse(value) as Json;
    if (record !== null && typeof record === 'object' && !Array.isArray(record)) return record as JsonObject;
  } catch {
    // As below.
  }
  return {};
}

function isSet<T>(value: T | null | undefined): value is T {
  return value !== null && value !== undefined;
}
