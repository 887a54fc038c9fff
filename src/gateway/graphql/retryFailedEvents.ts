import { limits } from '../limits.ts';
import { retryFailedEvents } from '../retries.ts';
import { demandScope } from '../visitorRef.ts';
import { checkBatch } from './argumentChecks.ts';
import type { Builder } from './builder.ts';

export function addRetryFailedEvents(builder: Builder): void {
  const Retry = builder.inputType('FailedEventRetry', {
    description: 'A failed event to try again. What is left out stays as it was.',
    fields: (t) => ({
      position: t.string({ required: true }),
      type: t.string(),
      properties: t.field({ type: 'JSON', description: 'All of them, not only those that change.' }),
      occurredAt: t.field({ type: 'DateTime' }),
      beyondWindow: t.boolean({
        description: 'Retries an event that came too late to tell whether it is a copy; it may count twice.',
      }),
    }),
  });
  const Input = builder.inputType('RetryFailedEventsInput', {
    fields: (t) => ({ events: t.field({ type: [Retry], required: true, description: 'At most 500.' }) }),
  });
  builder.objectType('RetryFailedEventsPayload', {
    fields: (t) => ({
      outcomes: t.field({
        type: ['TrackOutcome'],
        resolve: (payload) => payload.outcomes,
        description: 'One an event, in the order of the events.',
      }),
    }),
  });
  builder.mutationField('retryFailedEvents', (t) =>
    t.field({
      type: 'RetryFailedEventsPayload',
      description:
        'Records failed events again, corrected. Each is folded once, however often it is retried. Needs the scope operate.',
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: async (_root, { input: { events } }, context) => {
        demandScope(context.identity(), 'operate');
        checkBatch(events.length, limits.batchEvents, 'events', 'retried');
        return { outcomes: await retryFailedEvents(context.services, events) };
      },
    }),
  );
}
