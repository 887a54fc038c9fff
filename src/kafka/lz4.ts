import { copyWithin } from './snappy.ts';

const frameMagic = 0x184d2204;
const uncompressedBlock = 0x80000000;
const minMatch = 4;

/**
 * Reads an LZ4 frame, as Kafka's producers write it since message format 2. Checksums are passed over: TCP and the batch's CRC hold the bytes.
 * Source: lz4_Frame_format.md and lz4_Block_format.md of the LZ4 project.
 * @throws RangeError when the bytes are no such frame, or are more than `limit` when unpacked
 */
export function readLz4(bytes: Buffer, limit: number): Buffer {
  if (bytes.readUInt32LE(0) !== frameMagic) throw new RangeError('lz4: the data does not begin with a frame');
  const flags = bytes.readUInt8(4);
  if (flags >>> 6 !== 1) throw new RangeError(`lz4: frame version ${flags >>> 6} is not known`);
  const blockChecksum = (flags & 0x10) !== 0;
  const contentSize = (flags & 0x08) !== 0;
  const dictionary = (flags & 0x01) !== 0;
  if (dictionary) throw new RangeError('lz4: the frame needs a dictionary');
  const blockBytes = 1 << (8 + 2 * ((bytes.readUInt8(5) >>> 4) & 7));
  // Magic, flags, block descriptor and the header's checksum.
  let at = 7 + (contentSize ? 8 : 0);
  // Blocks may point into those before, so they are all unpacked into one piece.
  const out = new Output(Math.min(limit, blockBytes), limit);
  for (;;) {
    const word = bytes.readUInt32LE(at);
    at += 4;
    if (word === 0) return out.bytes();
    const length = word & ~uncompressedBlock;
    if (at + length > bytes.length) throw new RangeError(`lz4: a block of ${length} bytes ends beyond the data`);
    const block = bytes.subarray(at, at + length);
    if ((word & uncompressedBlock) !== 0) out.literal(block, 0, length);
    else readBlock(block, out);
    at += length + (blockChecksum ? 4 : 0);
  }
}

function readBlock(block: Buffer, out: Output): void {
  let at = 0;
  const lengthFrom = (nibble: number) => {
    let length = nibble;
    if (nibble !== 15) return length;
    for (;;) {
      const byte = block.readUInt8(at++);
      length += byte;
      if (byte !== 255) return length;
    }
  };
  while (at < block.length) {
    const token = block[at++]!;
    const literal = lengthFrom(token >>> 4);
    if (at + literal > block.length) throw new RangeError('lz4: a literal is too long');
    out.literal(block, at, literal);
    at += literal;
    // The last sequence of a block has no match.
    if (at === block.length) return;
    const distance = block.readUInt16LE(at);
    at += 2;
    out.match(distance, lengthFrom(token & 15) + minMatch);
  }
}

class Output {
  readonly #limit: number;
  #buffer: Buffer;
  #end = 0;

  constructor(size: number, limit: number) {
    this.#buffer = Buffer.allocUnsafe(size);
    this.#limit = limit;
  }

  literal(from: Buffer, at: number, length: number): void {
    this.#reserve(length);
    from.copy(this.#buffer, this.#end, at, at + length);
    this.#end += length;
  }

  match(distance: number, length: number): void {
    if (distance === 0 || distance > this.#end) throw new RangeError('lz4: a match points outside');
    this.#reserve(length);
    this.#end = copyWithin(this.#buffer, this.#end, distance, length);
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#end);
  }

  #reserve(length: number): void {
    const needed = this.#end + length;
    if (needed > this.#limit) throw new RangeError(`lz4: more than the limit of ${this.#limit} bytes`);
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.min(this.#limit, Math.max(needed, this.#buffer.length * 2)));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }
}
