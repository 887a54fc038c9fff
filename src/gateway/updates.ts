import type { UsherError } from '../errors.ts';
import type { Viewer } from '../fold/present.ts';
import { decodeSlots } from '../model/codec.ts';
import type { Activity } from '../model/commit.ts';
import type { SlotDefinition } from '../playbook/playbook.ts';
import type { ActivityChange, VisitorChange } from '../push/hub.ts';
import type { RequestContext } from './context.ts';
import { type Cursor, encodeCursor } from './cursor.ts';
import { Inbox } from './inbox.ts';
import { limits } from './limits.ts';
import { answerSlot, isSameLineage, lineageOf, loadShown, type SlotAnswer } from './slotAnswers.ts';
import { type SlotsState, superseded, unlessAway } from './slotReader.ts';

export interface StageAnswer {
  readonly name: string;
  readonly ms: number;
}
export interface CauseAnswer {
  readonly eventId: string | null;
  readonly eventType: string;
  readonly at: number;
  readonly rules: readonly string[];
  readonly stages: readonly StageAnswer[];
}
export interface ContentUpdateAnswer {
  readonly kind: 'SNAPSHOT' | 'CHANGE';
  readonly cursor: string;
  readonly slots: readonly SlotAnswer[];
  readonly cause: CauseAnswer | null;
}
export interface ActivityAnswer {
  readonly activity: Activity;
  readonly position: string;
  readonly slots: readonly SlotAnswer[];
  readonly stages: readonly StageAnswer[];
}

/**
 * A visitor's slots as they change: subscribe, then read, then drop what is not newer (semantics 7.1). A reader slower than the changes gets
 * the newest state and the latest cause; nothing is queued. Opened while the state is away it begins with what was last known, marked stale;
 * the hub tells the rest when the state is back.
 */
export function contentUpdates(
  context: RequestContext,
  visitor: string,
  definitions: readonly SlotDefinition[],
  after: Cursor | null,
  viewer: Viewer,
): AsyncIterableIterator<ContentUpdateAnswer> {
  const { hub, slots, metrics } = context.services;
  let latest: VisitorChange | null = null;
  let sent: { lineage: string; version: number } | null = after?.slots ?? null;
  let isFirst = true;
  let isStale = false;
  let isSuperseded = false;
  const inbox = new Inbox<ContentUpdateAnswer>(context, async () => {
    // The fallbacks are told; nothing more will come to a token of who has become a user.
    if (isSuperseded) throw superseded();
    if (isFirst) {
      isFirst = false;
      const state = await slots.stateOf(visitor, context.loader).catch(unlessAway);
      if (state !== null) return toUpdate(state, null);
      isStale = true;
      // Whoever comes back with a cursor has what was shown then.
      return after === null ? toUpdate(slots.stateWithout(visitor), null) : 'skip';
    }
    if (latest === null) return 'wait';
    const change = latest;
    latest = null;
    // The first word after a stale one replaces it, also where the two are the same.
    if (isStale) sent = after?.slots ?? null;
    isStale = false;
    const view = change.slots === null ? null : decodeSlots(change.slots);
    return toUpdate(slots.stateOfView(visitor, view, change.shard), change);
  });
  inbox.onClose(
    hub.listen(visitor, (change) => {
      if (latest !== null) metrics.updateDropped('newer_state');
      latest = change;
      inbox.wake();
    }),
  );

  async function toUpdate(state: SlotsState, change: VisitorChange | null): Promise<ContentUpdateAnswer | 'skip'> {
    isSuperseded = state.alias !== null;
    const version = state.view?.version ?? 0;
    const lineage = lineageOf(state);
    const sameLineage = sent !== null && isSameLineage(sent.lineage, lineage);
    if (sameLineage && version <= sent!.version) return 'skip';
    const since = sameLineage ? sent!.version : -1;
    sent = { lineage, version };
    const changed = definitions.filter((definition) => (state.view?.slots[definition.name]?.version ?? 0) > since);
    if (changed.length === 0) return 'skip';
    if (state.view !== null) await loadShown(state.view, changed, context.services);
    const answers = changed.map((definition) =>
      answerSlot(definition, state, { ...context.services, viewer, stale: isStale }),
    );
    const isChange = sameLineage && change !== null;
    return {
      kind: isChange ? 'CHANGE' : 'SNAPSHOT',
      cursor: encodeCursor({ visitor, upTo: state.shard.position, slots: sent }),
      slots: answers,
      cause: change !== null && isChange ? causeOf(change, answers, context) : null,
    };
  }
  return inbox;
}

/** What made the change: the last record of the commit that changed a slot; from the slot itself where the commit tells no more. */
function causeOf(change: VisitorChange, answers: readonly SlotAnswer[], context: RequestContext): CauseAnswer | null {
  const activity = change.activity.findLast((line) => line.slots.length > 0);
  if (activity !== undefined && change.times !== null) {
    const stages = stagesOf(activity, change.times, context);
    return { eventId: activity.eventId, eventType: activity.type, at: activity.at, rules: activity.rules, stages };
  }
  for (const answer of answers) {
    const { cause, rule } = answer;
    if (cause !== null && rule !== null)
      return { eventId: cause.eventId || null, eventType: cause.eventType, at: cause.at, rules: [rule], stages: [] };
  }
  return null;
}

/** Where the time went, from the request's arrival to now. Clocks of one machine in one process; between machines they may differ. */
function stagesOf(
  activity: Activity,
  times: { readonly foldedAt: number; readonly receivedAt: number },
  { services }: RequestContext,
): readonly StageAnswer[] {
  const pushedAt = services.now();
  const stage = (name: string, ms: number): StageAnswer => ({ name, ms: Math.max(0, Math.round(ms * 1000) / 1000) });
  const stages = [
    stage('log→fold', times.foldedAt - activity.appendTime),
    stage('fold→commit', times.receivedAt - times.foldedAt),
    stage('commit→push', pushedAt - times.receivedAt),
  ];
  if (activity.receivedAt === null) return stages;
  if (activity.what === 'folded') services.metrics.eventToUpdate(Math.max(0, pushedAt - activity.receivedAt) / 1000);
  return [stage('accept→log', activity.appendTime - activity.receivedAt), ...stages];
}

/** What the fold does, line by line. A reader that is too slow loses the oldest lines, counted. */
export function activities(context: RequestContext, visitor: string | null): AsyncIterableIterator<ActivityAnswer> {
  const { hub, metrics } = context.services;
  const queue: ActivityChange[] = [];
  const inbox = new Inbox<ActivityAnswer>(context, async () => {
    const change = queue.shift();
    return change === undefined ? 'wait' : activityAnswer(change, context);
  });
  inbox.onClose(
    hub.watch(visitor, (change) => {
      if (queue.length >= limits.queuedActivities) {
        queue.shift();
        metrics.updateDropped('slow_reader');
      }
      queue.push(change);
      inbox.wake();
    }),
  );
  return inbox;
}

async function activityAnswer(
  { activity, shard, slots, times }: ActivityChange,
  context: RequestContext,
): Promise<ActivityAnswer> {
  const { services } = context;
  const names = activity.slots.length === 0 ? [] : services.slots.definitions(activity.slots, null, true);
  const definitions = names.filter((definition): definition is SlotDefinition => !isError(definition));
  const read = slots === null || definitions.length === 0 ? null : decodeSlots(slots);
  const state = services.slots.stateOfView(activity.visitor, read, shard);
  if (state.view !== null) await loadShown(state.view, definitions, services);
  return {
    activity,
    position: `${shard.shard}:${activity.offset}`,
    slots: definitions.map((definition) =>
      answerSlot(definition, state, { ...services, viewer: context.viewer(null), stale: false }),
    ),
    stages: stagesOf(activity, times, context),
  };
}

function isError(value: SlotDefinition | UsherError): value is UsherError {
  return value instanceof Error;
}
