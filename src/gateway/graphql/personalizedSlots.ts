import type { Builder } from './builder.ts';
import { inPlace } from './slotTypes.ts';

export function addPersonalizedSlots(builder: Builder): void {
  builder.queryField('personalizedSlots', (t) =>
    t.field({
      type: ['PersonalizedSlot'],
      nullable: { list: false, items: true },
      description:
        'What to show this visitor: always an answer, the slots’ fallbacks at worst. With names: those, in that order, null for an unknown one. Without: the slots of context.page and of any page.',
      args: {
        names: t.arg.stringList({ description: 'At most 50.' }),
        after: t.arg({
          type: 'Cursor',
          description: 'Wait until this point is decided, at most waitMs; then stale: true.',
        }),
        waitMs: t.arg.int({ defaultValue: 0 }),
        context: t.arg({ type: 'PageContextInput' }),
        visitor: t.arg({ type: 'VisitorRef', description: 'For secret keys with the scope read.' }),
      },
      resolve: (_root, args, context) =>
        inPlace(
          context.services.slots.read(context, {
            ref: args.visitor ?? null,
            names: args.names ?? null,
            viewer: context.viewer(args.context),
            after: args.after ?? null,
            waitMs: args.waitMs ?? 0,
            scope: 'read',
          }),
        ),
    }),
  );
}
