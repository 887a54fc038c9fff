import fc from 'fast-check';
import kafkajs from 'kafkajs';
import { expect, it } from 'vitest';
import { murmur2Partitioner } from '../../src/kafka/partitioner.ts';
import { shardOf } from '../../src/model/shard.ts';
import { readVectors } from '../support/foldVectors.ts';

const partitions = (count: number) =>
  Array.from({ length: count }, (_, partitionId) => ({
    partitionId,
    partitionErrorCode: 0,
    leader: 1,
    replicas: [1],
    isr: [1],
  }));
const pick = (count: number, message: { key?: Buffer | string | null; partition?: number }) => {
  const ours = murmur2Partitioner();
  return ours({ topic: 't', partitionMetadata: partitions(count), message: { value: '', ...message } });
};

it('picks the partition that kafkajs picks, for texts and for bytes', () => {
  const theirs = kafkajs.Partitioners.DefaultPartitioner();
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 128 }), fc.string({ unit: 'grapheme', minLength: 1 }), (count, key) => {
      const partition = theirs({ topic: 't', partitionMetadata: partitions(count), message: { value: '', key } });
      expect(pick(count, { key })).toBe(partition);
      expect(pick(count, { key: Buffer.from(key) })).toBe(partition);
      expect(shardOf(key, count)).toBe(partition);
    }),
    { numRuns: 1_000 },
  );
});

it('picks the partition that the Java client picks', () => {
  const { rows } = readVectors<{ rows: { text: string; hash: number }[] }>('murmur2.json');
  expect(rows.length).toBeGreaterThan(4);
  for (const { text, hash } of rows) expect(pick(64, { key: text })).toBe((hash & 0x7fffffff) % 64);
});

it('goes round for records without a key, and obeys a partition that is named', () => {
  const partition = murmur2Partitioner();
  const next = () => partition({ topic: 't', partitionMetadata: partitions(3), message: { value: '', key: null } });
  expect([next(), next(), next(), next()]).toEqual([0, 1, 2, 0]);
  expect(pick(3, { key: 'u:1', partition: 2 })).toBe(2);
});
