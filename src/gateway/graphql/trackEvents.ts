import type { Outcome } from '../intake.ts';
import { limits } from '../limits.ts';
import { checkBatch } from './argumentChecks.ts';
import type { Builder } from './builder.ts';

export function addTrackEvents(builder: Builder): void {
  const Event = builder.inputType('EventRecordInput', {
    description:
      'An event of a batch. Not typed by the tracking plan, because one bad event must not spoil the others.',
    fields: (t) => ({
      id: t.field({ type: 'UUID', required: true }),
      type: t.string({ required: true }),
      properties: t.field({ type: 'JSON' }),
      occurredAt: t.field({ type: 'DateTime' }),
      source: t.string(),
      sequence: t.int(),
      skipped: t.intList(),
      context: t.field({ type: 'PageContextInput' }),
      visitor: t.field({ type: 'VisitorRef' }),
    }),
  });
  const Input = builder.inputType('TrackEventsInput', {
    fields: (t) => ({
      events: t.field({ type: [Event], required: true, description: 'At most 500. Each has its own outcome.' }),
      sentAt: t.field({
        type: 'DateTime',
        description: 'The client’s clock when it sends, to correct each occurredAt by.',
      }),
    }),
  });
  const countOf = (status: Outcome['status']) => (payload: { readonly outcomes: readonly Outcome[] }) =>
    payload.outcomes.reduce((count, outcome) => (outcome.status === status ? count + 1 : count), 0);
  builder.objectType('TrackEventsPayload', {
    fields: (t) => ({
      outcomes: t.field({
        type: ['TrackOutcome'],
        resolve: (payload) => payload.outcomes,
        description: 'One an event, in the order of the events.',
      }),
      accepted: t.int({ resolve: countOf('ACCEPTED') }),
      refused: t.int({ resolve: countOf('REFUSED') }),
      unknown: t.int({ resolve: countOf('UNKNOWN') }),
    }),
  });
  builder.mutationField('trackEvents', (t) =>
    t.field({
      type: 'TrackEventsPayload',
      description: 'Records events, in their order. A bad one is refused alone.',
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: async (_root, { input }, context) => {
        const { events, sentAt } = input;
        checkBatch(events.length, limits.batchEvents, 'events', 'taken');
        return { outcomes: await context.services.intake.track(events, context.sender(sentAt ?? null)) };
      },
    }),
  );
}
