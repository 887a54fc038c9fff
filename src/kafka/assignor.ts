import kafkajs, { type PartitionAssigner } from 'kafkajs';

const { AssignerProtocol } = kafkajs;

/** A member of the group, and the shards it has had until now. */
export interface Holder {
  readonly id: string;
  readonly holds: readonly number[];
  /** When Kafka last confirmed that it is a member, ms since the epoch by its own clock. */
  readonly confirmedAt: number;
}

/**
 * Shares shards so that no member has more than one more than another, and as few as possible change hands: a shard that moves
 * costs its caches and a pause. Depends on the members alone, so it does not matter who of them computes it.
 */
export function shareShards(shards: number, members: readonly Holder[]): ReadonlyMap<string, readonly number[]> {
  const taken = new Set<number>();
  const kept = members
    // Two may claim the same shard, when one was away while the group went on: it is the one not heard of for longer.
    .toSorted((a, b) => b.confirmedAt - a.confirmedAt || (a.id < b.id ? -1 : 1))
    .map(({ id, holds }) => {
      const own = [...new Set(holds)].filter((shard) => shard >= 0 && shard < shards && !taken.has(shard));
      for (const shard of own) taken.add(shard);
      return { id, own: own.sort((a, b) => a - b) };
    })
    // Who has most keeps the odd ones.
    .sort((a, b) => b.own.length - a.own.length || (a.id < b.id ? -1 : 1));
  const least = Math.floor(shards / members.length);
  const odd = shards % members.length;
  const quota = kept.map((_, i) => least + (i < odd ? 1 : 0));
  const free = Array.from({ length: shards }, (_, shard) => shard).filter((shard) => !taken.has(shard));
  for (const [i, { own }] of kept.entries()) free.push(...own.splice(quota[i]!));
  free.sort((a, b) => a - b);
  for (const [i, { own }] of kept.entries()) own.push(...free.splice(0, quota[i]! - own.length));
  return new Map(kept.map(({ id, own }) => [id, own.sort((a, b) => a - b)]));
}

/** The same as a protocol of Kafka's group membership: members tell with each join what they hold. */
export function stickyAssignor(topic: string, shards: number, held: () => Omit<Holder, 'id'>): PartitionAssigner {
  return () => ({
    name: 'usher-sticky',
    version: 1,
    protocol: ({ topics }) => ({
      name: 'usher-sticky',
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: 1,
        topics,
        userData: Buffer.from(JSON.stringify(held())),
      }),
    }),
    async assign({ members }) {
      const holders = members.map(({ memberId, memberMetadata }) => ({
        id: memberId,
        ...heldIn(AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData),
      }));
      return [...shareShards(shards, holders)].map(([memberId, own]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: 1,
          assignment: own.length === 0 ? {} : { [topic]: [...own] },
          userData: Buffer.alloc(0),
        }),
      }));
    },
  });
}

/** What another version of Usher says may be anything; a member of which we understand nothing holds nothing. */
function heldIn(userData: Buffer | undefined): Omit<Holder, 'id'> {
  try {
    const { holds, confirmedAt } = JSON.parse(String(userData)) as { holds: number[]; confirmedAt: number };
    if (Number.isFinite(confirmedAt)) return { holds: holds.filter((shard) => Number.isInteger(shard)), confirmedAt };
  } catch {
    // As below.
  }
  return { holds: [], confirmedAt: 0 };
}
