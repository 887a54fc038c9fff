import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from '../../src/kafka/crc32c.ts';
import type { ProducedMessage } from '../../src/kafka/internals.ts';
import { encodeProduce } from '../../src/kafka/produceRequest.ts';

const load = createRequire(import.meta.url);
const request = load('kafkajs/src/protocol/requests/produce/v7/request');
const Decoder = load('kafkajs/src/protocol/decoder');
const decodeBatch = load('kafkajs/src/protocol/recordBatch/v0/decoder');

const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
/** kafkajs reads headers into an object that has `valueOf` and others already. */
const headerName = fc.string({ unit: 'binary', maxLength: 9 }).map((text) => `h${text}`);
const message: fc.Arbitrary<ProducedMessage> = fc.record(
  {
    key: fc.option(bytes),
    value: bytes,
    headers: fc.dictionary(headerName, fc.string({ unit: 'binary', maxLength: 99 })),
  },
  { requiredKeys: ['key', 'value'] },
);
const partitions = fc.uniqueArray(
  fc.record({ partition: fc.nat(999), messages: fc.array(message, { minLength: 1, maxLength: 80 }) }),
  { selector: ({ partition }) => partition, maxLength: 5 },
);

describe('a produce request', () => {
  it('is as long as kafkajs makes it, and has in each batch what kafkajs reads back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 30 }), partitions, async (topic, all) => {
        const encoded = encodeProduce(topic, all, 9_000);
        const theirs = (await request({ acks: -1, timeout: 9_000, topicData: [{ topic, partitions: all }] }).encode())
          .buffer as Buffer;
        expect(encoded.length).toBe(theirs.length);
        const head = 2 + 2 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4;
        expect(encoded.subarray(0, head)).toEqual(theirs.subarray(0, head));
        const decoder = new Decoder(encoded.subarray(head));
        for (const { partition, messages } of all) {
          expect(decoder.readInt32()).toBe(partition);
          const batch = await decodeBatch(new Decoder(decoder.readBytes()));
          expect(batch).toMatchObject({ lastOffsetDelta: messages.length - 1, producerId: '-1' });
          expect(batch.records.map(told)).toEqual(
            messages.map(({ key, value, headers }, offset) => told({ key, value, headers, offset: String(offset) })),
          );
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is checked by CRC-32C', () => {
    expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe306_9283);
    // RFC 3720, B.4: 32 bytes of zeroes, of ones, and counting up; and a part of a buffer.
    expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a91_36aa);
    expect(crc32c(Buffer.alloc(32, 0xff), 0, 32)).toBe(0x62a8_ab43);
    const counting = Buffer.from([...Array(40).keys()].map((n) => n - 3));
    expect(crc32c(counting, 3, 35)).toBe(0x46dd_794e);
  });
});

function told({ key, value, headers, offset }: { [name: string]: unknown }) {
  const values = Object.entries((headers ?? {}) as Record<string, string | Buffer>);
  return { key, value, offset, headers: values.map(([name, text]) => [name, Buffer.from(text as string)]) };
}
