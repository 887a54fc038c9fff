const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const encoder = new TextEncoder();

/**
 * 64 bits of an event id, as 11 base64url characters: what is kept of an unnumbered event to know it again (semantics 2.4).
 * FNV-1a, 64 bit, over UTF-8 bytes: offset basis 0xcbf29ce484222325, prime 0x100000001b3, in two halves of 32 bits.
 * Source: draft-eastlake-fnv; vectors in test/vectors/fnv1a64.json.
 */
export function hashId(id: string): string {
  const bytes = encoder.encode(id);
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (let i = 0; i < bytes.length; i++) {
    low = (low ^ bytes[i]!) >>> 0;
    // (high·2³² + low) · (2⁴⁰ + 0x1b3), modulo 2⁶⁴; every product stays below 2⁵³.
    const product = low * 0x1b3;
    const carry = Math.floor(product / 0x1_0000_0000);
    high = (high * 0x1b3 + carry + low * 0x100) % 0x1_0000_0000;
    low = product >>> 0;
  }
  let text = '';
  for (let shift = 26; shift >= 2; shift -= 6) text += alphabet[(high >>> shift) & 63];
  text += alphabet[((high & 3) << 4) | (low >>> 28)];
  for (let shift = 22; shift >= 4; shift -= 6) text += alphabet[(low >>> shift) & 63];
  return text + alphabet[(low & 15) << 2];
}

/** The ids with this one at their end, the oldest gone if there are too many. */
export function withId(ids: readonly string[], hash: string, limit: number): readonly string[] {
  return ids.length < limit ? [...ids, hash] : [...ids.slice(ids.length - limit + 1), hash];
}
