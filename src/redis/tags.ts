/** Slots of a Redis Cluster. */
export const clusterSlots = 16_384;

/** CRC-16/XMODEM (polynomial 0x1021, start 0), with which Redis Cluster places keys. Source: Redis Cluster specification, appendix A. */
export function crc16(text: string): number {
  let crc = 0;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ ((crc & 0x8000) === 0 ? 0 : 0x1021)) & 0xffff;
  }
  return crc;
}

/** The slot in the middle of the share of shard p of N: ⌊(p + ½) · 16384 / N⌋, so that any even split of the slots splits the shards evenly. */
export function slotOf(shard: number, shards: number): number {
  return Math.floor(((shard + 0.5) * clusterSlots) / shards);
}

/**
 * The hash tags of N shards. Shard p's is the smallest number, as text, that falls into its slot: plain `{0}`, `{1}` … would spread
 * 32 shards over six nodes as 8/5/3/8/2/6. The same N gives the same tags everywhere and always; keys depend on them.
 */
export function tagsOf(shards: number): readonly string[] {
  const shardOfSlot = new Map(Array.from({ length: shards }, (_, shard) => [slotOf(shard, shards), shard]));
  const tags = new Array<string>(shards);
  // About 160,000 numbers reach all 16,384 slots.
  for (let n = 0; shardOfSlot.size > 0; n++) {
    const slot = crc16(String(n)) % clusterSlots;
    const shard = shardOfSlot.get(slot);
    if (shard === undefined) continue;
    tags[shard] = String(n);
    shardOfSlot.delete(slot);
  }
  return tags;
}
