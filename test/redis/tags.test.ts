import { describe, expect, it } from 'vitest';
import { keysOf } from '../../src/redis/keys.ts';
import { clusterSlots, crc16, slotOf, tagsOf } from '../../src/redis/tags.ts';

/** The node of a slot where `nodes` share the slots as `redis-cli --cluster create` deals them. */
const nodeOf = (slot: number, nodes: number) =>
  Math.min(nodes - 1, Math.floor(slot / Math.round(clusterSlots / nodes)));

function shardsPerNode(shards: number, nodes: number): number[] {
  const counts = new Array<number>(nodes).fill(0);
  for (const tag of tagsOf(shards)) counts[nodeOf(crc16(tag) % clusterSlots, nodes)]!++;
  return counts;
}

describe('tags of shards', () => {
  it('use the CRC16 of the Redis Cluster specification', () => {
    expect(crc16('123456789')).toBe(0x31c3);
    expect(crc16('')).toBe(0);
    // `CLUSTER KEYSLOT foo` and `… {bar}` on a real node.
    expect([crc16('foo') % clusterSlots, crc16('bar') % clusterSlots]).toEqual([12_182, 5_061]);
  });

  it.each([1, 3, 8, 64, 1_024])('of %i shards fall into the middle of each share of the slots', (shards) => {
    const tags = tagsOf(shards);
    expect(tags.map((tag) => crc16(tag) % clusterSlots)).toEqual(
      Array.from({ length: shards }, (_, shard) => Math.floor(((shard + 0.5) * 16_384) / shards)),
    );
    expect(new Set(tags).size).toBe(shards);
  });

  it('spread 64 shards evenly over 3 and 6 nodes, and 32 over 6', () => {
    expect(shardsPerNode(64, 3)).toEqual([21, 22, 21]);
    expect(shardsPerNode(64, 6)).toEqual([11, 10, 11, 11, 10, 11]);
    expect(shardsPerNode(32, 6)).toEqual([5, 6, 5, 5, 6, 5]);
  });

  it('never change: the keys of a running Redis depend on them', () => {
    expect(tagsOf(8)).toMatchInlineSnapshot(`
      [
        "22069",
        "11467",
        "130",
        "41342",
        "3706",
        "48710",
        "45971",
        "4782",
      ]
    `);
    expect(slotOf(0, 8)).toBe(1_024);
  });

  it('stand in every key and channel of a shard, so that all of them are in one slot', () => {
    const [first] = keysOf('usher', 8);
    expect(first).toMatchInlineSnapshot(`
      {
        "actions": "usher:g1:{22069}:actions",
        "actionsDead": "usher:g1:{22069}:actions:dead",
        "actionsDone": "usher:g1:{22069}:actions:done",
        "actionsPending": "usher:g1:{22069}:actions:pending",
        "changed": "usher:g1:{22069}:changed",
        "changes": "usher:g1:{22069}:changes",
        "failed": "usher:g1:{22069}:failed",
        "failedOrder": "usher:g1:{22069}:failed:order",
        "historic": "usher:g1:{22069}:historic",
        "marker": "usher:g1:{22069}:marker",
        "meta": "usher:g1:{22069}:meta",
        "outbox": "usher:g1:{22069}:outbox",
        "profiles": "usher:g1:{22069}:v:",
        "slots": "usher:g1:{22069}:s:",
        "timers": "usher:g1:{22069}:timers",
      }
    `);
  });
});
