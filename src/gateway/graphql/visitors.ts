import { readVisitor } from '../visitorReader.ts';
import { demandScope } from '../visitorRef.ts';
import { checkShard, pageSize } from './argumentChecks.ts';
import type { Builder } from './builder.ts';

export function addVisitors(builder: Builder): void {
  builder.objectType('VisitorPage', {
    fields: (t) => ({
      visitors: t.field({ type: ['Visitor'], resolve: (page) => page.visitors }),
      end: t.exposeID('end', { nullable: true, description: 'For after: of the next page; null: this is the last.' }),
    }),
  });
  builder.queryField('visitors', (t) =>
    t.field({
      type: 'VisitorPage',
      description:
        'All visitors of a shard, by the bytes of their ids: for exports and comparisons. Needs the scope read.',
      args: { shard: t.arg.int({ required: true }), after: t.arg.id(), first: t.arg.int({ defaultValue: 100 }) },
      resolve: async (_root, { shard, after, first }, context) => {
        demandScope(context.identity(), 'read');
        const { services } = context;
        checkShard(shard, services.log.shards);
        const count = pageSize(first ?? 100);
        const ids = await services.store.listVisitors(shard, after ?? null, count);
        const visitors = await Promise.all(ids.map((id) => readVisitor(services, id)));
        return {
          visitors: visitors.filter((visitor) => visitor !== null),
          end: ids.length < count ? null : ids.at(-1)!,
        };
      },
    }),
  );
}
