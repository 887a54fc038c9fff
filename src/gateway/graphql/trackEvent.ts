import { randomUUIDv7 } from 'node:crypto';
import { UsherError } from '../../errors.ts';
import type { RequestContext } from '../context.ts';
import { cursorOf, type IncomingEvent } from '../intake.ts';
import { userError } from '../userError.ts';
import type { Builder } from './builder.ts';
import { type EventMembers, typedEvent } from './eventInput.ts';
import { inPlace } from './slotTypes.ts';

/** trackEvent, and the types that it shares with trackEvents. `members`: the typed events of the playbook, by member of EventInput. */
export function addTrackEvent(builder: Builder, members: EventMembers): void {
  const Status = builder.enumType('TrackStatus', {
    values: {
      ACCEPTED: { description: 'The log has the event durably.' },
      REFUSED: { description: 'The event was not recorded; the error says why.' },
      UNKNOWN: {
        description: 'It is not known whether it was recorded. Sending it again with the same id or number is safe.',
      },
    } as const,
  });
  builder.objectType('TrackOutcome', {
    fields: (t) => ({
      id: t.expose('id', { type: 'UUID', description: 'The event’s id; made by Usher when none came.' }),
      status: t.field({ type: Status, resolve: (outcome) => outcome.status }),
      cursor: t.field({
        type: 'Cursor',
        nullable: true,
        resolve: cursorOf,
        description: 'For personalizedSlots(after:): slots decided after this event.',
      }),
      error: t.field({
        type: 'UserError',
        nullable: true,
        resolve: (outcome) => ('error' in outcome ? outcome.error : null),
      }),
    }),
  });
  const Input = builder.inputType('TrackEventInput', {
    description: 'An event: `type` with `properties`, or `event` with exactly one member.',
    fields: (t) => ({
      type: t.string({ description: 'A type of the tracking plan, for example product_viewed.' }),
      properties: t.field({ type: 'JSON' }),
      event: t.field({
        type: 'EventInput',
        description: 'The same, typed by the tracking plan: an editor completes it.',
      }),
      id: t.field({
        type: 'UUID',
        description: 'Made by the client, so that sending again is safe. Usher makes one when it is left out.',
      }),
      occurredAt: t.field({
        type: 'DateTime',
        description: 'When it happened, by the client’s clock. Left out: when it is recorded.',
      }),
      sentAt: t.field({ type: 'DateTime', description: 'The client’s clock when it sends, to correct occurredAt by.' }),
      source: t.string({
        description: 'Random id of the client that numbers its events; both or neither with sequence.',
      }),
      sequence: t.int({ description: '1, 2, 3 … of the source.' }),
      skipped: t.intList({ description: 'Numbers of the source that will never come; at most 16.' }),
      context: t.field({ type: 'PageContextInput' }),
      visitor: t.field({ type: 'VisitorRef', description: 'For secret keys with the scope write.' }),
    }),
  });
  builder.objectType('TrackEventPayload', {
    fields: (t) => ({
      outcome: t.field({ type: 'TrackOutcome', resolve: (payload) => payload.outcome }),
      slots: t.field({
        type: ['PersonalizedSlot'],
        nullable: { list: false, items: true },
        description:
          'Slots decided after this event, if that takes no longer than waitMs; else the ones before, with stale: true.',
        args: { names: t.arg.stringList(), waitMs: t.arg.int({ defaultValue: 200 }) },
        resolve: ({ outcome }, { names, waitMs }, context) =>
          inPlace(slotsAfter(outcome, names ?? null, waitMs ?? 200, context)),
      }),
    }),
  });
  builder.mutationField('trackEvent', (t) =>
    t.field({
      type: 'TrackEventPayload',
      description: 'Records one event. ACCEPTED means that it is kept.',
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: async (_root, { input }, context) => {
        const sender = context.sender(input.sentAt ?? null);
        const { event, ...rest } = input;
        const given = event === null || event === undefined ? null : typedEvent(event, members);
        const hasType = rest.type !== null && rest.type !== undefined;
        const shape =
          hasType === (given !== null) || (given !== null && rest.properties !== null && rest.properties !== undefined);
        if (shape) return { outcome: wrongShape(rest.id ?? null, hasType, given !== null, context) };
        const incoming = { ...rest, ...(given ?? {}) } as IncomingEvent;
        const [outcome] = await context.services.intake.track([incoming], sender);
        context.tracked.set(outcome!, { visitor: input.visitor ?? null, viewer: context.viewer(input.context) });
        return { outcome: outcome! };
      },
    }),
  );
}

function wrongShape(id: string | null, hasType: boolean, hasEvent: boolean, { services }: RequestContext) {
  const came = hasType && hasEvent ? 'both came' : hasEvent ? 'event came with properties' : 'neither came';
  services.metrics.eventRefused('EVENT_SHAPE');
  const error = userError('EVENT_SHAPE', `expected either type (with properties) or event; ${came}`, {
    path: [hasEvent ? 'event' : 'type'],
  });
  return { status: 'REFUSED' as const, id: id ?? randomUUIDv7(), error };
}

async function slotsAfter(
  outcome: Parameters<typeof cursorOf>[0],
  names: readonly string[] | null,
  waitMs: number,
  context: RequestContext,
) {
  const asked = context.tracked.get(outcome) ?? { visitor: null, viewer: context.viewer(null) };
  if (outcome.status !== 'ACCEPTED' && context.identity().kind === 'key' && asked.visitor === null) {
    throw new UsherError('FORBIDDEN', 'a secret key is no visitor; name one with the argument visitor');
  }
  return context.services.slots.read(context, {
    ref: asked.visitor,
    names,
    viewer: asked.viewer,
    after: cursorOf(outcome),
    waitMs,
    scope: 'write',
  });
}
