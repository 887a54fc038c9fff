import { demandScope } from '../visitorRef.ts';
import { checkShard, pageSize } from './argumentChecks.ts';
import type { Builder } from './builder.ts';

export function addFailedEvents(builder: Builder): void {
  builder.objectType('FailedEvent', {
    description: 'A record, or a timer, that could not be folded. It is kept, and the fold went on.',
    fields: (t) => ({
      position: t.exposeString('position', { description: 'shard:offset in the log.' }),
      reason: t.string({ resolve: (failed) => failed.reason }),
      detail: t.exposeString('detail', { description: 'What was expected, what came.' }),
      visitorId: t.id({ nullable: true, resolve: (failed) => failed.visitor }),
      type: t.exposeString('type', { nullable: true }),
      failedAt: t.expose('failedAt', { type: 'DateTime' }),
      record: t.exposeString('value', { description: 'The record as it was appended, cut at 32 kB.' }),
    }),
  });
  builder.queryField('failedEvents', (t) =>
    t.field({
      type: ['FailedEvent'],
      description: 'Failed events of a shard, newest first. Needs the scope read.',
      args: {
        shard: t.arg.int({ required: true }),
        before: t.arg.string({ description: 'A position: only older ones.' }),
        first: t.arg.int({ defaultValue: 50 }),
      },
      resolve: async (_root, { shard, before, first }, context) => {
        demandScope(context.identity(), 'read');
        checkShard(shard, context.services.log.shards);
        return [
          ...(await context.services.store.readFailed({ shard, before: before ?? null, limit: pageSize(first ?? 50) })),
        ];
      },
    }),
  );
}
