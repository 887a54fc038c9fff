import { UsherError } from '../../errors.ts';
import { demandScope } from '../visitorRef.ts';
import type { Builder } from './builder.ts';

export function addRebuildShards(builder: Builder): void {
  const Input = builder.inputType('RebuildShardsInput', {
    fields: (t) => ({ shards: t.intList({ required: true }) }),
  });
  builder.objectType('RebuildShardsPayload', {
    fields: (t) => ({
      shards: t.exposeIntList('shards', { description: 'Those that are made anew; status tells how far they are.' }),
    }),
  });
  builder.mutationField('rebuildShards', (t) =>
    t.field({
      type: 'RebuildShardsPayload',
      description:
        'Has the state of shards made anew, from the newest snapshot and the log. Until a shard is whole its visitors get what was last known, or fallbacks. Needs the scope operate.',
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: async (_root, { input }, context) => {
        const { log, rebuildShard } = context.services;
        demandScope(context.identity(), 'operate');
        const shards = [...new Set(input.shards)];
        const unknown = shards.find((shard) => shard < 0 || shard >= log.shards);
        if (unknown !== undefined) {
          throw new UsherError('BAD_REQUEST', `there is no shard ${unknown}; this Usher has 0 to ${log.shards - 1}`);
        }
        // One after the other: a shard that cannot be made anew leaves the rest as they are.
        for (const shard of shards) await rebuildShard(shard);
        return { shards };
      },
    }),
  );
}
