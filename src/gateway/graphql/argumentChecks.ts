import { UsherError } from '../../errors.ts';
import { limits } from '../limits.ts';

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

/**
 * @param what `events`. @param how `taken`
 * @throws UsherError BATCH_TOO_LARGE
 */
export function checkBatch(came: number, most: number, what: string, how: string): void {
  if (came > most) throw new UsherError('BATCH_TOO_LARGE', `${came} ${what} came; at most ${most} are ${how} at once`);
}
