import type { ICustomPartitioner } from 'kafkajs';
import { murmur2, shardOf } from '../model/shard.ts';

/**
 * For topics that we write by key: the partition that Kafka's Java client and kafkajs's default partitioner pick for it, without the
 * latter's 64-bit arithmetic (about 25 times faster). Records without a key go round.
 */
export const murmur2Partitioner: ICustomPartitioner = () => {
  let next = 0;
  return ({ partitionMetadata, message: { key, partition } }) => {
    const count = partitionMetadata.length;
    if (partition !== undefined) return partition;
    if (key === null || key === undefined) return next++ % count;
    return typeof key === 'string' ? shardOf(key, count) : (murmur2(key) & 0x7fffffff) % count;
  };
};
