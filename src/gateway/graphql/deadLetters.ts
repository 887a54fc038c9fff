import { UsherError } from '../../errors.ts';
import { deadLetterId, readDeadLetter, readDeadLetters, redriveDeadLetters, redriveMost } from '../deadLetters.ts';
import { demandScope } from '../visitorRef.ts';
import { checkBatch, pageSize } from './argumentChecks.ts';
import type { Builder } from './builder.ts';

export function addDeadLetters(builder: Builder): void {
  builder.objectType('DeadLetter', {
    description: 'A message that was given up. It is kept, and can be driven again.',
    fields: (t) => ({
      id: t.id({ resolve: deadLetterId }),
      actionId: t.id({
        resolve: ({ action }) => action.order.id,
        description: 'The same in every attempt: what the destination has seen, as webhook-id or Message-ID.',
      }),
      destination: t.string({ resolve: ({ action }) => action.order.destination }),
      action: t.string({ resolve: ({ action }) => action.order.action }),
      visitorId: t.id({ resolve: ({ action }) => action.order.visitor }),
      ruleId: t.string({ resolve: ({ action }) => action.order.rule }),
      reason: t.string({
        resolve: ({ action }) => action.reason ?? '',
        description:
          'REFUSED, RETRIES_EXHAUSTED, OUTCOME_UNKNOWN (it may have been delivered), LANE_FULL, DESTINATION_UNKNOWN or MESSAGE_INVALID.',
      }),
      detail: t.string({
        resolve: ({ action }) => action.detail,
        description: 'What the destination said last, or why it was not asked.',
      }),
      attempts: t.int({ resolve: ({ action }) => action.attempts }),
      redriven: t.int({ resolve: ({ action }) => action.order.redriven, description: 'Times it was driven again.' }),
      orderedAt: t.field({ type: 'DateTime', resolve: ({ action }) => action.order.orderedAt }),
      diedAt: t.field({ type: 'DateTime', resolve: ({ action }) => action.changedAt }),
      order: t.field({
        type: 'JSON',
        resolve: ({ action }) => action.order,
        description: 'What was asked for, with the address and all that its text says.',
      }),
    }),
  });
  builder.objectType('DeadLetterPage', {
    fields: (t) => ({
      deadLetters: t.field({ type: ['DeadLetter'], resolve: (page) => [...page.deadLetters] }),
      end: t.exposeID('end', { nullable: true, description: 'For after: of the next page; null: this is the last.' }),
    }),
  });
  builder.queryField('deadLetters', (t) =>
    t.field({
      type: 'DeadLetterPage',
      description: 'Messages that were given up, of all shards, the last first. Needs the scope operate.',
      args: {
        first: t.arg.int({ defaultValue: 50 }),
        after: t.arg.id({ description: 'The end of the page before.' }),
        destination: t.arg.string({ description: 'Only those for this destination of the playbook.' }),
      },
      resolve: (_root, { first, after, destination }, context) => {
        demandScope(context.identity(), 'operate');
        const query = { first: pageSize(first ?? 50), after: after ?? null, destination: destination ?? null };
        return readDeadLetters(context.services, query);
      },
    }),
  );
  builder.queryField('deadLetter', (t) =>
    t.field({
      type: 'DeadLetter',
      nullable: true,
      description: 'One message that was given up; null: it is not there, or not any more. Needs the scope operate.',
      args: { id: t.arg.id({ required: true }) },
      resolve: (_root, { id }, context) => {
        demandScope(context.identity(), 'operate');
        return readDeadLetter(context.services, id);
      },
    }),
  );
}

export function addRedriveDeadLetters(builder: Builder): void {
  const Input = builder.inputType('RedriveDeadLettersInput', {
    description: 'Either ids, or a destination.',
    fields: (t) => ({
      ids: t.idList({ description: `At most ${redriveMost}.` }),
      destination: t.string({
        description: `All for this destination, ${redriveMost} a call, the last given up first.`,
      }),
      after: t.id({ description: 'With destination: the end of the call before.' }),
    }),
  });
  builder.objectType('RedriveDeadLettersPayload', {
    fields: (t) => ({
      outcomes: t.field({
        type: ['TrackOutcome'],
        resolve: (payload) => [...payload.outcomes],
        description: 'One a dead letter, with its id; ACCEPTED: the log has its order, and it will be tried again.',
      }),
      end: t.exposeID('end', {
        nullable: true,
        description: 'For after: of the next call, of the same destination; null: there are no more.',
      }),
    }),
  });
  builder.mutationField('redriveDeadLetters', (t) =>
    t.field({
      type: 'RedriveDeadLettersPayload',
      description:
        'Has messages that were given up tried again, under the same ids. One with OUTCOME_UNKNOWN may reach its reader twice then. Needs the scope operate.',
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: async (_root, { input: { ids, destination, after } }, context) => {
        demandScope(context.identity(), 'operate');
        const { services } = context;
        if ((ids == null) === (destination == null))
          throw new UsherError('BAD_REQUEST', 'expected either ids or a destination');
        if (ids != null) {
          checkBatch(ids.length, redriveMost, 'dead letters', 'driven again');
          return { outcomes: await redriveDeadLetters(services, [...new Set(ids)]), end: null };
        }
        const query = { destination: destination ?? null, after: after ?? null, first: redriveMost };
        const { deadLetters, end } = await readDeadLetters(services, query);
        return { outcomes: await redriveDeadLetters(services, deadLetters.map(deadLetterId)), end };
      },
    }),
  );
}
