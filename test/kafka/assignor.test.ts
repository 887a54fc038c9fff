import fc from 'fast-check';
import kafkajs, { type Cluster, type Logger } from 'kafkajs';
import { expect, it } from 'vitest';
import { type Holder, shareShards, stickyAssignor } from '../../src/kafka/assignor.ts';

const shardsOf = (shared: ReadonlyMap<string, readonly number[]>) => [...shared.values()].flat().sort((a, b) => a - b);
const all = (shards: number) => Array.from({ length: shards }, (_, shard) => shard);
const holdersOf = (shared: ReadonlyMap<string, readonly number[]>): Holder[] =>
  [...shared].map(([id, holds]) => ({ id, holds, confirmedAt: 1 }));
const moved = (before: readonly Holder[], after: ReadonlyMap<string, readonly number[]>) =>
  before.flatMap(({ id, holds }) => holds.filter((shard) => !after.get(id)?.includes(shard))).length;

it('gives every shard to one member, and no member more than one more than another, whatever they claim', () => {
  const member = fc.record({
    id: fc.uuid(),
    holds: fc.array(fc.integer({ min: -2, max: 70 }), { maxLength: 70 }),
    confirmedAt: fc.nat(3),
  });
  const members = fc.uniqueArray(member, { minLength: 1, maxLength: 9, selector: ({ id }) => id });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), members, (shards, holders) => {
      const shared = shareShards(shards, holders);
      expect(shardsOf(shared)).toEqual(all(shards));
      const counts = holders.map(({ id }) => shared.get(id)!.length);
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    }),
  );
});

it('says the same to whoever computes it', () => {
  const holders = [
    { id: 'b', holds: [1, 2, 3], confirmedAt: 1 },
    { id: 'a', holds: [3, 4], confirmedAt: 1 },
    { id: 'c', holds: [], confirmedAt: 0 },
  ];
  expect(shareShards(8, holders.toReversed())).toEqual(shareShards(8, holders));
});

it('moves nothing when nobody comes or goes', () => {
  const holders = holdersOf(
    shareShards(10, [
      { id: 'a', holds: [], confirmedAt: 0 },
      { id: 'b', holds: [], confirmedAt: 0 },
      { id: 'c', holds: [], confirmedAt: 0 },
    ]),
  );
  expect(moved(holders, shareShards(10, holders))).toBe(0);
});

it('moves to a member that comes only what becomes its share', () => {
  const holders = holdersOf(
    shareShards(64, [
      { id: 'a', holds: [], confirmedAt: 0 },
      { id: 'b', holds: [], confirmedAt: 0 },
    ]),
  );
  const shared = shareShards(64, [...holders, { id: 'c', holds: [], confirmedAt: 0 }]);
  expect(shared.get('c')).toHaveLength(21);
  expect(moved(holders, shared)).toBe(21);
});

it('leaves to those who stay what they had when a member goes', () => {
  const [first, ...rest] = holdersOf(
    shareShards(64, [
      { id: 'a', holds: [], confirmedAt: 0 },
      { id: 'b', holds: [], confirmedAt: 0 },
      { id: 'c', holds: [], confirmedAt: 0 },
    ]),
  );
  expect(first!.holds.length).toBeGreaterThan(20);
  expect(moved(rest, shareShards(64, rest))).toBe(0);
});

it('leaves a shard that two claim to the one that Kafka confirmed later', () => {
  const back = { id: 'a', holds: [0, 1], confirmedAt: 1_000 };
  const had = { id: 'b', holds: [0, 1, 2, 3], confirmedAt: 5_000 };
  expect(shareShards(4, [back, had])).toEqual(
    new Map([
      ['b', [0, 1]],
      ['a', [2, 3]],
    ]),
  );
});

it("carries what members hold through Kafka's protocol", async () => {
  const { MemberAssignment } = kafkajs.AssignerProtocol;
  const assigner = (holds: readonly number[]) =>
    stickyAssignor('t', 6, () => ({ holds, confirmedAt: 7 }))({
      cluster: {} as Cluster,
      groupId: 'g',
      logger: {} as Logger,
    });
  const member = (memberId: string, holds: readonly number[]) => ({
    memberId,
    memberMetadata: assigner(holds).protocol({ topics: ['t'] }).metadata,
  });
  // As a join of three, of whom one has just come and one is of a version that says something else.
  const foreign = kafkajs.AssignerProtocol.MemberMetadata.encode({
    version: 1,
    topics: ['t'],
    userData: Buffer.from('[0,1]'),
  });
  const members = [member('a', [5, 1]), member('b', [0, 4, 2]), { memberId: 'c', memberMetadata: foreign }];
  const answers = await assigner([]).assign({ members, topics: ['t'] });
  const shared = answers.map(({ memberId, memberAssignment }) => [
    memberId,
    MemberAssignment.decode(memberAssignment)?.assignment['t'],
  ]);
  expect(new Map(shared as [string, number[]][])).toEqual(
    new Map([
      ['a', [1, 5]],
      ['b', [0, 2]],
      ['c', [3, 4]],
    ]),
  );
});
