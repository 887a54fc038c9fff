const encoder = new TextEncoder();
const scratch = new Uint8Array(512);

/**
 * murmur2 as Kafka's Java client computes it: seed 0x9747b28c, 32 bits, over bytes.
 * Source: `org.apache.kafka.common.utils.Utils.murmur2`; vectors in test/vectors/murmur2.json.
 */
export function murmur2(bytes: Uint8Array): number {
  const m = 0x5bd1e995;
  let h = 0x9747b28c ^ bytes.length;
  const whole = bytes.length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    k = Math.imul(k, m);
    h = Math.imul(h, m) ^ k;
  }
  const rest = bytes.length - whole;
  if (rest === 3) h ^= bytes[whole + 2]! << 16;
  if (rest >= 2) h ^= bytes[whole + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ bytes[whole]!, m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return h ^ (h >>> 15);
}

/** The shard a visitor belongs to: the partition that Kafka's default partitioner picks for that key (semantics 1.1). */
export function shardOf(visitor: string, shards: number): number {
  // Ids are encoded for every record; into one buffer, where they fit, that costs no memory.
  const { read, written } = encoder.encodeInto(visitor, scratch);
  const bytes = read === visitor.length ? scratch.subarray(0, written) : encoder.encode(visitor);
  return (murmur2(bytes) & 0x7fffffff) % shards;
}

/** Whether a visitor id is one (semantics 1.1): 1–128 bytes of well-formed UTF-8 without control characters. */
export function isVisitorId(id: string): boolean {
  // A UTF-16 unit is at most 3 bytes, so most ids need no counting.
  const fits = id.length <= 42 || (id.length <= 128 && encoder.encode(id).length <= 128);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  return fits && id.length > 0 && id.isWellFormed() && !/[\u0000-\u001f\u007f-\u009f]/.test(id);
}

/** Whether it is the visitor of a known user (semantics 1.1). */
export function isUserId(visitor: string): boolean {
  return visitor.startsWith('u:');
}

/** Orders texts by their UTF-8 bytes, as Redis orders members and semantics 3.4 orders visitors; UTF-16 order differs above U+FFFF. */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      // A surrogate stands for a code point above every other UTF-16 unit.
      const xHigh = x >= 0xd800 && x <= 0xdfff;
      const yHigh = y >= 0xd800 && y <= 0xdfff;
      return xHigh === yHigh ? x - y : xHigh ? 1 : -1;
    }
  }
  return a.length - b.length;
}
