import { randomUUID } from 'node:crypto';
import { UsherError } from '../../errors.ts';
import { parseTime } from '../../model/times.ts';
import { encodeCursor } from '../cursor.ts';
import { demandScope } from '../visitorRef.ts';
import type { Builder } from './builder.ts';

export function addAdvance(builder: Builder): void {
  const Input = builder.inputType('AdvanceInput', {
    fields: (t) => ({ to: t.field({ type: 'DateTime', required: true }) }),
  });
  builder.objectType('AdvancePayload', {
    fields: (t) => ({
      cursors: t.field({ type: ['Cursor'], resolve: (payload) => payload.cursors, description: 'One a shard.' }),
    }),
  });
  builder.mutationField('advance', (t) =>
    t.field({
      type: 'AdvancePayload',
      description:
        'Lets time pass for visitors that have imported events only: their timers fire up to this moment. Needs the scope import.',
      args: { input: t.arg({ type: Input, required: true }) },
      resolve: async (_root, { input }, context) => {
        const { log, queue } = context.services;
        demandScope(context.identity(), 'import');
        const to = parseTime(input.to);
        if (Number.isNaN(to))
          throw new UsherError('TIME_INVALID', `to is ${JSON.stringify(input.to)}; expected RFC 3339`);
        const value = () => JSON.stringify({ v: 1, kind: 'advance', id: randomUUID(), to });
        const outcomes = await queue.append(
          Array.from({ length: log.shards }, (_, shard) => ({ shard, key: null, value: value() })),
        );
        const cursors = outcomes.map((outcome, shard) => {
          // Advancing twice to the same moment changes nothing, so all of it can be asked again.
          if (!outcome.ok)
            throw new UsherError(outcome.code, `shard ${shard} did not take the advance: ${outcome.message}`);
          return encodeCursor({ visitor: `shard:${shard}`, upTo: outcome.offset + 1, slots: null });
        });
        return { cursors };
      },
    }),
  );
}
