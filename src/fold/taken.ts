import type { Origin } from '../model/record.ts';
import type { Taken } from '../model/visitor.ts';
import { outputParts } from './moveProblems.ts';

/**
 * What a user has taken, with this merge or forward (semantics 8.2); null: it came before. A shard's come into the log in their
 * order, also those that come again, so one record a shard is all that must be remembered. Within a record each visitor's are counted
 * apart: when a shard is rebuilt, a record may do less than it did, but what it does for one visitor is the same or nothing.
 */
export function withTaken(taken: readonly Taken[], from: string, { shard, output }: Origin): readonly Taken[] | null {
  const { offset, n } = outputParts(output)!;
  const index = taken.findIndex((each) => each.shard === shard);
  const known = taken[index];
  if (known === undefined) {
    return [...taken, { shard, offset, counts: [[from, n + 1] as const] }].sort((a, b) => a.shard - b.shard);
  }
  if (offset < known.offset) return null;
  if (offset > known.offset) return taken.with(index, { shard, offset, counts: [[from, n + 1]] });
  const count = known.counts.find(([visitor]) => visitor === from)?.[1] ?? 0;
  if (n < count) return null;
  const others = known.counts.filter(([visitor]) => visitor !== from);
  return taken.with(index, { shard, offset, counts: [...others, [from, n + 1]] });
}
