/** The frame that the Java client writes around blocks of raw snappy: magic, two version numbers, then length and block in turn. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const xerialHeaderBytes = 16;

/**
 * Reads snappy as Kafka's producers write it: framed (Java) or one raw block (librdkafka).
 * Source: format description of google/snappy, and snappy-java's SnappyOutputStream for the frame.
 * @throws RangeError when the bytes are not snappy, or are more than `limit` when unpacked
 */
export function readSnappy(bytes: Buffer, limit: number): Buffer {
  if (bytes.length < xerialHeaderBytes || !bytes.subarray(0, 8).equals(xerialMagic)) return readBlock(bytes, limit);
  const blocks: Buffer[] = [];
  let size = 0;
  for (let at = xerialHeaderBytes; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    at += 4;
    if (at + length > bytes.length) throw new RangeError(`snappy: a block of ${length} bytes ends beyond the data`);
    const block = readBlock(bytes.subarray(at, at + length), limit - size);
    at += length;
    size += block.length;
    blocks.push(block);
  }
  return Buffer.concat(blocks, size);
}

function readBlock(bytes: Buffer, limit: number): Buffer {
  let at = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    if (shift > 28) throw new RangeError('snappy: the length does not end');
    const byte = bytes.readUInt8(at++);
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  if (length > limit) throw new RangeError(`snappy: ${length} bytes are more than the limit of ${limit}`);
  const out = Buffer.allocUnsafe(length);
  let end = 0;
  while (at < bytes.length) {
    const tag = bytes[at++]!;
    const kind = tag & 3;
    if (kind === 0) {
      let run = (tag >>> 2) + 1;
      if (run > 60) {
        const width = run - 60;
        run = bytes.readUIntLE(at, width) + 1;
        at += width;
      }
      if (at + run > bytes.length || end + run > length) throw new RangeError('snappy: a literal is too long');
      bytes.copy(out, end, at, at + run);
      at += run;
      end += run;
      continue;
    }
    let run = (tag >>> 2) + 1;
    let distance: number;
    if (kind === 1) {
      run = ((tag >>> 2) & 7) + 4;
      distance = ((tag >>> 5) << 8) | bytes.readUInt8(at++);
    } else {
      const width = kind === 2 ? 2 : 4;
      distance = bytes.readUIntLE(at, width);
      at += width;
    }
    if (distance === 0 || distance > end || end + run > length) throw new RangeError('snappy: a copy points outside');
    end = copyWithin(out, end, distance, run);
  }
  if (end !== length) throw new RangeError(`snappy: ${end} bytes came where ${length} were announced`);
  return out;
}

/** Repeats what was written `distance` bytes ago; the two may overlap, which is how runs are packed. */
export function copyWithin(out: Buffer, end: number, distance: number, run: number): number {
  if (distance >= run) {
    out.copyWithin(end, end - distance, end - distance + run);
    return end + run;
  }
  for (let i = 0; i < run; i++) out[end + i] = out[end + i - distance]!;
  return end + run;
}
