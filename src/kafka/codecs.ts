import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';
import { readLz4 } from './lz4.ts';
import { readSnappy } from './snappy.ts';

const { CompressionCodecs, CompressionTypes } = kafkajs;

/** A batch may unpack to this at most, bytes; a broker takes 1 MB packed, and a hostile one must not fill the memory. */
export const unpackedBytesMost = 64 * 1024 * 1024;

const limit = { maxOutputLength: unpackedBytesMost };
const readGzip = promisify(gunzip);
const readZstd = promisify(zstdDecompress);

let registered = false;

/**
 * Teaches kafkajs to read what other producers may write: it knows gzip alone, and a batch in another codec ends the consumer for good.
 * We write none of them.
 */
export function registerCodecs(): void {
  if (registered) return;
  registered = true;
  const readers = {
    [CompressionTypes.GZIP]: (bytes: Buffer) => readGzip(bytes, limit),
    [CompressionTypes.Snappy]: async (bytes: Buffer) => readSnappy(bytes, unpackedBytesMost),
    [CompressionTypes.LZ4]: async (bytes: Buffer) => readLz4(bytes, unpackedBytesMost),
    [CompressionTypes.ZSTD]: (bytes: Buffer) => readZstd(bytes, limit),
  };
  for (const [type, decompress] of Object.entries(readers)) {
    CompressionCodecs[Number(type) as keyof typeof readers] = () => ({
      decompress,
      compress: async () => {
        throw new Error('Usher writes no compressed batches');
      },
    });
  }
}
