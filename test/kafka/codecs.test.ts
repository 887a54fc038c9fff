import kafkajs from 'kafkajs';
import { beforeAll, describe, expect, it } from 'vitest';
import { registerCodecs } from '../../src/kafka/codecs.ts';
import { readLz4 } from '../../src/kafka/lz4.ts';
import { readSnappy } from '../../src/kafka/snappy.ts';
import { kafkaLogOptions } from '../contract/kafkaSubjects.ts';
import { sharedEngine } from '../support/engines.ts';
import { asAdmin, whyNoKafka } from '../support/kafkaBroker.ts';
import { feedOf, joinLog, takeRecords } from '../support/kafkaLogs.ts';
import { seededRandom } from '../support/random.ts';

const { CompressionCodecs } = kafkajs;
const limit = 1_000_000;

describe('snappy', () => {
  it('reads a raw block, as librdkafka writes it: a literal and a copy that overlaps itself', () => {
    const block = Buffer.from([8, (2 - 1) << 2, 0x61, 0x62, ((6 - 1) << 2) | 2, 2, 0]);
    expect(readSnappy(block, limit).toString()).toBe('abababab');
  });

  it('refuses what points outside, ends early, or is larger than the limit', () => {
    expect(() => readSnappy(Buffer.from([4, ((4 - 1) << 2) | 2, 1, 0]), limit)).toThrow('points outside');
    expect(() => readSnappy(Buffer.from([9, (2 - 1) << 2, 0x61, 0x62]), limit)).toThrow('2 bytes came where 9');
    expect(() => readSnappy(Buffer.from([9, (2 - 1) << 2, 0x61, 0x62]), 8)).toThrow('more than the limit of 8');
    expect(() => readSnappy(Buffer.from([2, (4 - 1) << 2, 0x61, 0x62]), limit)).toThrow('too long');
  });
});

describe('lz4', () => {
  const header = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
  const frame = (...block: number[]) => Buffer.from([...header, block.length, 0, 0, 0, ...block, 0, 0, 0, 0]);

  it('reads a frame with a match that overlaps itself', () => {
    expect(readLz4(frame(0x22, 0x61, 0x62, 2, 0, 0x10, 0x21), limit).toString()).toBe('abababab!');
  });

  it('refuses what is no frame, points outside, or is larger than the limit', () => {
    expect(() => readLz4(Buffer.from('not a frame at all'), limit)).toThrow('does not begin with a frame');
    expect(() => readLz4(frame(0x22, 0x61, 0x62, 3, 0), limit)).toThrow('points outside');
    expect(() => readLz4(frame(0x22, 0x61, 0x62, 2, 0, 0x10, 0x21), 8)).toThrow('limit of 8');
  });
});

const reason = await whyNoKafka();

describe.skipIf(reason !== null)(reason === null ? 'from a broker' : `skipped: ${reason}`, () => {
  let address: string;
  beforeAll(async () => {
    address = await sharedEngine('kafka');
  }, 120_000);

  // A topic with a compression type has the broker, which is the Java client's code, pack what we wrote plainly.
  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('reads batches that are packed with %s', async (name) => {
    const type = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 }[name] as 1 | 2 | 3 | 4;
    registerCodecs();
    const plain = CompressionCodecs[type];
    let unpacked = 0;
    CompressionCodecs[type] = () => ({
      ...plain(),
      decompress: (bytes: Buffer) => {
        unpacked++;
        return plain().decompress(bytes);
      },
    });
    const options = kafkaLogOptions(address);
    const configEntries = [
      { name: 'compression.type', value: name },
      { name: 'message.timestamp.type', value: 'LogAppendTime' },
    ];
    await asAdmin(address, (admin) =>
      admin.createTopics({ topics: [{ topic: options.topic!, numPartitions: 4, configEntries }] }),
    );
    const joined = await joinLog(options);
    try {
      const random = seededRandom(7);
      // Repeating and not, over several of the codecs' blocks.
      const values = Array.from(
        { length: 400 },
        (_, i) =>
          `${i} ${'ab'.repeat(i)} ${random()
            .toString(36)
            .repeat(i % 9)} 👩‍🚀`,
      );
      const outcomes = await joined.log.append(values.map((value) => ({ shard: 1, key: 'u:1', value })));
      expect(outcomes.every((outcome) => outcome.ok)).toBe(true);
      const feed = await feedOf(joined, 1);
      await feed.open(0);
      const records = await takeRecords(feed, values.length);
      expect(records.map(({ value }) => value)).toEqual(values);
      expect(records.map(({ offset, stamp }) => ({ ok: true, offset, stamp }))).toEqual(outcomes);
      expect((await joined.log.readAt(1, 200))?.value).toBe(values[200]);
      expect(unpacked, 'batches that came packed').toBeGreaterThan(1);
    } finally {
      CompressionCodecs[type] = plain;
      await joined.log.close();
    }
  });
});
