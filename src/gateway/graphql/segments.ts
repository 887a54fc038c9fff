import type { Services } from '../services.ts';
import { demandScope } from '../visitorRef.ts';
import type { SegmentAnswer } from './answers.ts';
import type { Builder } from './builder.ts';

export function addSegments(builder: Builder): void {
  builder.objectType('Segment', {
    description: 'A named yes-no over facts of a visitor.',
    fields: (t) => ({
      id: t.exposeID('id'),
      name: t.exposeString('name'),
      condition: t.exposeString('condition', { description: 'In CEL.' }),
      size: t.exposeInt('size', {
        description: 'Visitors that are in it, as of their last event or timer; those that expired are not counted.',
      }),
    }),
  });
  builder.queryField('segments', (t) =>
    t.field({
      type: ['Segment'],
      description: 'The segments of the active playbook and their sizes. Needs a secret key of scope read.',
      resolve: async (_root, _args, context) => {
        demandScope(context.identity(), 'read');
        return readSegments(context.services);
      },
    }),
  );
}

/** Sizes are per-shard values, summed when they are read (semantics 4.8). */
async function readSegments({ log, store, playbook }: Services): Promise<readonly SegmentAnswer[]> {
  const metas = await Promise.all(Array.from({ length: log.shards }, (_, shard) => store.readMeta(shard)));
  return [...playbook().segments.values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, name, condition }) => ({
      id,
      name,
      condition: condition.source,
      size: metas.reduce((sum, meta) => sum + (meta?.segments?.[id] ?? 0), 0),
    }));
}
