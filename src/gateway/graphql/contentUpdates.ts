import { UsherError } from '../../errors.ts';
import type { SlotDefinition } from '../../playbook/playbook.ts';
import { decodeCursor } from '../cursor.ts';
import { contentUpdates } from '../updates.ts';
import { visitorFor } from '../visitorRef.ts';
import type { Builder } from './builder.ts';

export function addContentUpdates(builder: Builder): void {
  const Kind = builder.enumType('UpdateKind', {
    values: {
      SNAPSHOT: { description: 'All the slots asked for, as they are.' },
      CHANGE: { description: 'The slots that changed.' },
    } as const,
  });
  builder.objectType('Stage', {
    description: 'A part of the way from an event to this message.',
    fields: (t) => ({ name: t.exposeString('name'), ms: t.exposeFloat('ms') }),
  });
  builder.objectType('UpdateCause', {
    description: 'The event, or the timer, that changed the slots.',
    fields: (t) => ({
      eventId: t.expose('eventId', { type: 'UUID', nullable: true }),
      eventType: t.exposeString('eventType'),
      at: t.expose('at', { type: 'DateTime' }),
      rules: t.idList({ resolve: (cause) => cause.rules }),
      stages: t.field({ type: ['Stage'], resolve: (cause) => cause.stages }),
    }),
  });
  builder.objectType('ContentUpdate', {
    fields: (t) => ({
      kind: t.field({ type: Kind, resolve: (update) => update.kind }),
      cursor: t.expose('cursor', { type: 'Cursor', description: 'For after: when the connection is lost.' }),
      slots: t.field({ type: ['PersonalizedSlot'], resolve: (update) => update.slots }),
      cause: t.field({ type: 'UpdateCause', nullable: true, resolve: (update) => update.cause }),
    }),
  });
  builder.subscriptionField('contentUpdates', (t) =>
    t.field({
      type: 'ContentUpdate',
      description:
        'This visitor’s slots: a SNAPSHOT first (with after: only if something is newer), then a CHANGE each time some change. A slow reader gets the newest state, not all.',
      args: {
        names: t.arg.stringList({ description: 'At most 50; without: all slots.' }),
        after: t.arg({ type: 'Cursor' }),
        context: t.arg({
          type: 'PageContextInput',
          description:
            'Where the slots are looked at: for contents that are shown on some pages, or at some hours, only.',
        }),
        visitor: t.arg({ type: 'VisitorRef', description: 'For secret keys with the scope read.' }),
      },
      subscribe: (_root, { names, after, context: page, visitor: ref }, context) => {
        const visitor = visitorFor(context.identity(), ref, 'read');
        const definitions = context.services.slots.definitions(names ?? null, null, true).map(known);
        return contentUpdates(
          context,
          visitor,
          definitions,
          after === null || after === undefined ? null : decodeCursor(after, visitor),
          context.viewer(page),
        );
      },
      resolve: (update) => update,
    }),
  );
}

function known(definition: SlotDefinition | UsherError): SlotDefinition {
  if (definition instanceof UsherError) throw definition;
  return definition;
}
