import { noCounts } from '../../model/shardMeta.ts';
import type { Services } from '../services.ts';
import { demandScope } from '../visitorRef.ts';
import type { ShardStatusAnswer } from './answers.ts';
import type { Builder } from './builder.ts';

export function addStatus(builder: Builder): void {
  const lagOf = ({ position, end }: ShardStatusAnswer) => Math.max(0, end - position);
  builder.objectType('ShardStatus', {
    fields: (t) => ({
      shard: t.exposeInt('shard'),
      owner: t.exposeString('owner', {
        nullable: true,
        description: 'Name of the worker that has it, or had it last; null: nobody yet.',
      }),
      epoch: t.exposeFloat('epoch', { description: 'How often it was taken.' }),
      playbookVersion: t.exposeString('playbookVersion', { nullable: true, description: 'The active one.' }),
      rebuilding: t.exposeBoolean('rebuilding', {
        description: 'Its state is made anew, and nobody reads it before it is whole.',
      }),
      position: t.exposeFloat('position', { description: 'Offset of the next record to fold.' }),
      end: t.exposeFloat('end', { description: 'Offset of the next record to be written.' }),
      lag: t.float({ resolve: lagOf, description: 'Records that wait to be folded.' }),
      counters: t.field({
        type: 'JSON',
        resolve: (shard) => shard.counters,
        description: 'What the fold did in all the life of the state.',
      }),
    }),
  });
  builder.objectType('Status', {
    fields: (t) => ({
      shards: t.field({ type: ['ShardStatus'], resolve: (status) => status.shards }),
      lag: t.float({
        resolve: (status) => status.shards.reduce((sum, shard) => sum + lagOf(shard), 0),
        description: 'Over all shards.',
      }),
      playbookVersion: t.exposeString('playbookVersion', {
        nullable: true,
        description: 'The active one, when all shards have the same; else null.',
      }),
    }),
  });
  builder.queryField('status', (t) =>
    t.field({
      type: 'Status',
      description: 'How far each shard is folded. Needs a secret key of scope read, import or operate.',
      resolve: async (_root, _args, context) => {
        const identity = context.identity();
        if (identity.kind !== 'key' || !(identity.key.scopes.has('import') || identity.key.scopes.has('operate')))
          demandScope(identity, 'read');
        return readStatus(context.services);
      },
    }),
  );
}

async function readStatus({ log, store }: Services) {
  const shards = await Promise.all(Array.from({ length: log.shards }, (_, shard) => readShard({ log, store }, shard)));
  const versions = new Set(shards.map(({ playbookVersion }) => playbookVersion));
  return { shards, playbookVersion: versions.size === 1 ? [...versions][0]! : null };
}

async function readShard({ log, store }: Pick<Services, 'log' | 'store'>, shard: number): Promise<ShardStatusAnswer> {
  // The state first: read the other way round, what is folded in between would look like less than nothing to fold.
  const meta = await store.readMeta(shard);
  const { end } = await log.bounds(shard);
  return {
    shard,
    owner: meta === null ? null : ownerName(meta.owner),
    epoch: meta?.epoch ?? 0,
    rebuilding: meta?.rebuilding ?? false,
    playbookVersion: meta?.active?.playbook ?? null,
    position: meta?.position ?? 0,
    end,
    counters: meta?.counters ?? noCounts,
  };
}

/** The token of an ownership is its worker's name and a secret of chance. */
function ownerName(token: string): string {
  const end = token.lastIndexOf('/');
  return end === -1 ? token : token.slice(0, end);
}
