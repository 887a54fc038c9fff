import { UsherError } from '../../errors.ts';
import { limits } from '../limits.ts';
import { readVisitor } from '../visitorReader.ts';
import { demandScope } from '../visitorRef.ts';
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

/** @throws UsherError BAD_REQUEST */
export function checkShard(shard: number, shards: number): void {
  if (shard < 0 || shard >= shards)
    throw new UsherError('BAD_REQUEST', `shard: expected 0 to ${shards - 1}, came ${shard}`);
}
/** @throws UsherError BAD_REQUEST */
export function pageSize(first: number): number {
  if (first < 1 || first > limits.page)
    throw new UsherError('BAD_REQUEST', `first: expected 1 to ${limits.page}, came ${first}`);
  return first;
}
