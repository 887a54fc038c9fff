import { activities } from '../updates.ts';
import { demandScope, visitorFor } from '../visitorRef.ts';
import type { Builder } from './builder.ts';

export function addActivity(builder: Builder): void {
  const Kind = builder.enumType('ActivityKind', {
    values: {
      FOLDED: { value: 'folded', description: 'The event changed the visitor.' },
      DUPLICATE: { value: 'duplicate', description: 'It had come before.' },
      HELD: { value: 'held', description: 'It waits for an earlier number of its source.' },
      FAILED: { value: 'failed', description: 'It could not be folded; failedEvents keeps it.' },
      TIMER: { value: 'timer', description: 'Time passed: something ended or became due.' },
      IDENTIFIED: {
        value: 'identified',
        description: 'The visitor turned out to be a known user, to whom all it was went.',
      },
      MERGED: { value: 'merged', description: 'A user took in what an anonymous visitor was.' },
      FORWARDED: {
        value: 'forwarded',
        description: 'The visitor turned out to be a known user, to whom the event went on.',
      },
      TOUCHED: { value: 'touched', description: 'The slots were decided anew under another playbook.' },
    } as const,
  });
  builder.objectType('Activity', {
    description: 'What the fold did with one record or timer.',
    fields: (t) => ({
      visitorId: t.id({ resolve: ({ activity }) => activity.visitor }),
      position: t.exposeString('position', { description: 'shard:offset in the log.' }),
      what: t.field({ type: Kind, resolve: ({ activity }) => activity.what }),
      eventId: t.field({ type: 'UUID', nullable: true, resolve: ({ activity }) => activity.eventId }),
      type: t.string({
        resolve: ({ activity }) => activity.type,
        description: 'Event type, or what the timer was for.',
      }),
      at: t.field({
        type: 'DateTime',
        resolve: ({ activity }) => activity.at,
        description: 'Event time, or when the timer was due.',
      }),
      properties: t.field({ type: 'JSON', nullable: true, resolve: ({ activity }) => activity.properties }),
      rules: t.idList({ resolve: ({ activity }) => activity.rules, description: 'Rules that fired.' }),
      slots: t.field({
        type: ['PersonalizedSlot'],
        resolve: (answer) => answer.slots,
        description: 'Slots that changed, as they are after the commit.',
      }),
      segments: t.stringList({
        resolve: ({ activity }) => activity.segments,
        description: 'Segments entered, as +ID, and left, as -ID.',
      }),
      detail: t.string({ nullable: true, resolve: ({ activity }) => activity.detail }),
      stages: t.field({ type: ['Stage'], resolve: (answer) => answer.stages }),
    }),
  });
  builder.subscriptionField('activity', (t) =>
    t.field({
      type: 'Activity',
      description:
        'What Usher does with this visitor’s events, live. A secret key of scope read or operate may watch any visitor, or all.',
      args: { visitor: t.arg({ type: 'VisitorRef' }) },
      subscribe: (_root, { visitor: ref }, context) => {
        const identity = context.identity();
        const scope = identity.kind === 'key' && identity.key.scopes.has('operate') ? 'operate' : 'read';
        if (identity.kind === 'key' && (ref === null || ref === undefined)) {
          demandScope(identity, scope);
          return activities(context, null);
        }
        return activities(context, visitorFor(identity, ref, scope));
      },
      resolve: (answer) => answer,
    }),
  );
}
