import { UsherError } from '../errors.ts';
import { quote } from '../model/quote.ts';
import type { StoredAction } from '../model/storedAction.ts';
import { namedEventId } from '../playbook/eventIds.ts';
import { type Outcome, outcomeOf, overloaded, type Prepared } from './intake.ts';
import { limits } from './limits.ts';
import type { Services } from './services.ts';
import { type UserError, userError } from './userError.ts';

/** A message that was given up, and whose shard's table has it. */
export interface DeadLetter {
  readonly shard: number;
  readonly action: StoredAction;
}

export interface DeadLetterPage {
  readonly deadLetters: readonly DeadLetter[];
  /** For `after` of the next page; null: this is the last. */
  readonly end: string | null;
}

export interface DeadLettersQuery {
  readonly destination: string | null;
  /** The end of the page before. */
  readonly after: string | null;
  readonly first: number;
}

/** `shard:action`. */
export function deadLetterId({ shard, action }: DeadLetter): string {
  return `${shard}:${action.order.id}`;
}

/**
 * Dead letters of all shards, the last given up first.
 * @throws UsherError BAD_REQUEST, STATE_UNAVAILABLE
 */
export async function readDeadLetters({ store, log }: Services, query: DeadLettersQuery): Promise<DeadLetterPage> {
  const { destination, after, first } = query;
  const before = after === null ? null : placeOf(after);
  const shards = [...Array(log.shards).keys()];
  // Each shard may have all of the page.
  const pages = await Promise.all(
    shards.map(async (shard): Promise<readonly DeadLetter[]> => {
      const found = await store.actions.readDead({ shard, destination, before, limit: first });
      return found.map((action) => ({ shard, action }));
    }),
  );
  const deadLetters = pages.flat().sort(newerFirst).slice(0, first);
  const last = deadLetters.at(-1)?.action;
  const isLast = last === undefined || deadLetters.length < first;
  return { deadLetters, end: isLast ? null : `${last.changedAt}.${last.order.id}` };
}

/** null: there is none. @throws UsherError STATE_UNAVAILABLE */
export async function readDeadLetter({ store, log }: Services, id: string): Promise<DeadLetter | null> {
  const [shard, actionId] = partsOf(id);
  if (shard === undefined || actionId === undefined || shard >= log.shards) return null;
  const action = await store.actions.readDeadOf(shard, actionId);
  return action === null ? null : { shard, action };
}

/**
 * Has dead letters tried again: their orders go through the log, to whoever serves their shards. A dead letter stands until its order has
 * come back there; driving it again twice meanwhile is driving it again once.
 */
export async function redriveDeadLetters(services: Services, ids: readonly string[]): Promise<readonly Outcome[]> {
  const { queue } = services;
  const ready = await Promise.all(
    ids.map(async (id): Promise<Prepared | UserError> => {
      if (queue.isFull) return overloaded(true);
      const letter = await readDeadLetter(services, id);
      if (letter !== null) return redriven(letter);
      return userError('DEAD_LETTER_UNKNOWN', `there is no dead letter ${quote(id)}`, { path: ['ids'] });
    }),
  );
  const good = ready.filter((each): each is Prepared => !('code' in each));
  const answers = await queue.append(good.map(({ shard, visitor, value }) => ({ shard, key: visitor, value })));
  let next = 0;
  return ready.map((each, i) =>
    'code' in each
      ? { status: 'REFUSED', id: ids[i]!, error: each }
      : { ...outcomeOf(each, answers[next++]!), id: ids[i]! },
  );
}

function redriven({ shard, action }: DeadLetter): Prepared {
  const { order } = action;
  const { visitor } = order;
  // The fold raises `redriven` by one: the order that comes back is later than this one, and the same however often it is asked for.
  const id = namedEventId(`usher redrive of ${order.id} after ${order.redriven}`);
  const value = JSON.stringify({ v: 1, kind: 'redriven', id, visitor, order });
  return { id, type: 'redriven', visitor, shard, value };
}

/** @throws UsherError BAD_REQUEST */
function placeOf(end: string): { readonly changedAt: number; readonly id: string } {
  const parts = /^(\d{1,16})\.([0-9a-f]{1,64})$/.exec(end);
  if (parts === null) throw new UsherError('BAD_REQUEST', `after: expected the end of a page, came ${quote(end)}`);
  return { changedAt: Number(parts[1]), id: parts[2]! };
}

function partsOf(id: string): readonly [shard?: number, actionId?: string] {
  const parts = /^(\d{1,9}):([0-9a-f]{1,64})$/.exec(id);
  return parts === null ? [] : [Number(parts[1]), parts[2]!];
}

function newerFirst(a: DeadLetter, b: DeadLetter): number {
  const byTime = b.action.changedAt - a.action.changedAt;
  return byTime || (a.action.order.id < b.action.order.id ? 1 : -1);
}

/** How many are driven again by one call. */
export const redriveMost = limits.batchEvents;
