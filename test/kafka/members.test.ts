import { beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../src/kafka/limits.ts';
import { until } from '../contract/contract.ts';
import { kafkaLogOptions } from '../contract/kafkaSubjects.ts';
import { sharedEngine } from '../support/engines.ts';
import { asAdmin, whyNoKafka } from '../support/kafkaBroker.ts';
import { feedOf, type JoinedLog, joinLog, otherProgram, takeRecords } from '../support/kafkaLogs.ts';
import { TcpProxy } from '../support/tcpProxy.ts';

const reason = await whyNoKafka();
const entry = (shard: number, value: string) => ({ shard, key: `u:${value}`, value });

describe.skipIf(reason !== null)(reason === null ? 'members' : `skipped: ${reason}`, () => {
  let address: string;
  beforeAll(async () => {
    address = await sharedEngine('kafka');
  }, 120_000);

  it('share the shards; who stays keeps its feeds, and who leaves hands over', async () => {
    const options = kafkaLogOptions(address, { shards: 8 });
    const first = await joinLog(options);
    await until('the first has all shards', () => first.feeds.size === 8);
    const before = new Map(first.feeds);
    for (const feed of before.values()) await feed.open(0);
    await first.log.append(Array.from(before.keys(), (shard) => entry(shard, 'one')));
    for (const feed of before.values()) expect(await takeRecords(feed, 1)).toMatchObject([{ value: 'one' }]);

    const second = await joinLog(options);
    await until('each has half', () => first.feeds.size === 4 && second.feeds.size === 4);
    expect(first.revoked.toSorted()).toEqual([...second.feeds.keys()].toSorted());
    // The feeds that stayed are the same, and go on where they were, without being opened anew.
    await second.log.append(Array.from(before.keys(), (shard) => entry(shard, 'two')));
    for (const [shard, feed] of before) {
      const stayed = first.feeds.get(shard) === feed;
      expect(feed.signal.aborted).toBe(!stayed);
      if (stayed) expect(await takeRecords(feed, 1)).toMatchObject([{ offset: 1, value: 'two' }]);
    }
    for (const [shard, feed] of second.feeds) {
      await feed.open(1);
      expect(await takeRecords(feed, 1)).toMatchObject([{ shard, offset: 1, value: 'two' }]);
    }

    await first.membership.leave();
    expect(first.feeds.size).toBe(0);
    await until('the second has all', () => second.feeds.size === 8);
    for (const [shard, feed] of second.feeds) {
      if (first.revoked.slice(4).includes(shard)) await feed.open(2);
    }
    await first.log.append(Array.from(before.keys(), (shard) => entry(shard, 'three')));
    for (const feed of second.feeds.values()) expect(await takeRecords(feed, 1)).toMatchObject([{ value: 'three' }]);
    await Promise.all([first.log.close(), second.log.close()]);
  });

  it('are gone at once when they leave while they join, and hold nothing', async () => {
    const options = kafkaLogOptions(address, { shards: 4, sessionTimeoutMs: 30_000 });
    const first = await joinLog(options);
    await until('the first has all shards', () => first.feeds.size === 4);
    const group = () => asAdmin(address, async (admin) => (await admin.describeGroups([options.groupId!])).groups[0]!);
    for (let turn = 0; turn < 3; turn++) {
      const passing = await joinLog(options);
      // The first hears of it by its next heartbeat only; until then Kafka lets the other wait.
      await until('it is let wait', async () => (await group()).state === 'PreparingRebalance');
      await passing.membership.leave();
      expect(passing.feeds.size).toBe(0);
      await passing.log.close();
      // Far sooner than the session of one that was not taken out would end.
      await until('the first has all shards again', () => first.feeds.size === 4, 10);
      expect((await group()).members).toHaveLength(1);
    }
    await first.log.close();
  });

  it('hear by a heartbeat that began later that a shard is still theirs', async () => {
    const joined = await joinLog(kafkaLogOptions(address));
    const feed = await feedOf(joined, 0);
    await feed.confirmed!();
    const startedAt = performance.now();
    await Promise.all([feed.confirmed!(), feed.confirmed!()]);
    // Two answers to one heartbeat: the interval is a second.
    expect(performance.now() - startedAt).toBeGreaterThan(100);
    const waiting = feed.confirmed!();
    await joined.membership.leave();
    await waiting;
    expect(feed.signal.aborted).toBe(true);
    await joined.log.close();
  });

  it('tell Kafka how far they have folded, never further', async () => {
    const options = kafkaLogOptions(address);
    const joined = await joinLog(options);
    await joined.log.append(Array.from({ length: 5 }, (_, n) => entry(2, String(n))));
    const feed = await feedOf(joined, 2);
    await feed.open(0);
    await takeRecords(feed, 5);
    feed.folded(3);
    await joined.membership.leave();
    await asAdmin(address, async (admin) => {
      const [offsets] = await admin.fetchOffsets({ groupId: options.groupId!, topics: [options.topic!] });
      expect(offsets!.partitions.find(({ partition }) => partition === 2)?.offset).toBe('3');
    });
    await joined.log.close();
  });

  it('lose their shards to others when they are not heard of, and learn it when they are back', async () => {
    const sessionTimeoutMs = 2_000;
    const proxy = await TcpProxy.to(address);
    const options = kafkaLogOptions(address, { sessionTimeoutMs });
    const cutOff = await joinLog({ ...options, connection: { ...options.connection, reach: () => proxy.address } });
    await until('it has all shards', () => cutOff.feeds.size === 4);
    const other = await joinLog(options);
    await until('each has half', () => cutOff.feeds.size === 2 && other.feeds.size === 2);
    const zombies = [...cutOff.feeds.values()];

    proxy.stall();
    const stalledAt = performance.now();
    const confirming = Promise.race(zombies.map((feed) => feed.confirmed!().then(() => feed.signal.aborted)));
    await until('the other has all shards', () => other.feeds.size === 4);
    expect(performance.now() - stalledAt).toBeLessThan(sessionTimeoutMs + 1_000);
    // Nobody has told it: what it does now only the state's fence refuses.
    expect(zombies.map((feed) => feed.signal.aborted)).toEqual([false, false]);

    proxy.release();
    expect(await confirming).toBe(true);
    await until('they share again', () => cutOff.feeds.size === 2 && other.feeds.size === 2);
    expect(zombies.every((feed) => feed.signal.aborted && cutOff.feeds.get(feed.shard) !== feed)).toBe(true);
    await Promise.all([cutOff.log.close(), other.log.close()]);
    await proxy.close();
  });

  /** 12,000 records of half a kilobyte: several times what a feed reads ahead. */
  const manyRecords = 12_000;
  const appendMany = async ({ log }: JoinedLog, shard: number) => {
    for (let n = 0; n < manyRecords; n += 1_000) {
      await log.append(Array.from({ length: 1_000 }, (_, i) => entry(shard, `${n + i} ${'x'.repeat(500)}`)));
    }
  };

  it('read ahead no more than the buffer and one fetch hold, and lose nothing by it', async () => {
    const joined = await joinLog(kafkaLogOptions(address));
    const feed = await feedOf(joined, 0);
    await appendMany(joined, 0);
    await feed.open(0);
    // Heartbeats go on while it is full; two of them later all that it will read ahead has come.
    await feed.confirmed!();
    await feed.confirmed!();
    const ahead = await feed.take({ records: 100_000, bytes: 100_000_000 }, 0);
    expect(ahead.length).toBeGreaterThan(0);
    expect(ahead.reduce((bytes, { value }) => bytes + value.length, 0)).toBeLessThan(
      limits.bufferedBytes + limits.fetchPartitionBytes,
    );
    const rest = await takeRecords(feed, manyRecords - ahead.length);
    expect([...ahead, ...rest].every(({ offset, value }, n) => offset === n && value.startsWith(`${n} `))).toBe(true);
    await joined.log.close();
  });

  it('hand over nothing from behind a gap that was trimmed out of the log, and say LOG_NO_LONGER_REACHES', async () => {
    const options = kafkaLogOptions(address);
    const joined = await joinLog(options);
    const feed = await feedOf(joined, 1);
    await appendMany(joined, 1);
    await feed.open(0);
    const [first] = await feed.take({ records: 1, bytes: 1 }, 5_000);
    expect(first?.offset).toBe(0);
    await asAdmin(address, async (admin) => {
      await admin.fetchTopicMetadata({ topics: [options.topic!] });
      await admin.fetchTopicOffsets(options.topic!);
      await admin.deleteTopicRecords({ topic: options.topic!, partitions: [{ partition: 1, offset: '11000' }] });
    });
    const offsets = [0];
    const takeAll = async () => {
      while (offsets.length < manyRecords) {
        for (const { offset } of await feed.take({ records: 1_000, bytes: 1_000_000 }, 1_000)) offsets.push(offset);
      }
    };
    await expect(takeAll()).rejects.toMatchObject({ code: 'LOG_NO_LONGER_REACHES' });
    // What had been read ahead came, in order, and nothing after the gap.
    expect(offsets).toEqual(offsets.map((_, n) => n));
    expect(offsets.length).toBeLessThan(11_000);
    await expect(feed.open(offsets.length)).rejects.toMatchObject({ code: 'LOG_NO_LONGER_REACHES' });
    await feed.open(11_000);
    expect((await takeRecords(feed, 1_000)).at(-1)?.offset).toBe(manyRecords - 1);
    await joined.log.close();
  });

  it("pass over transactions' markers and what was aborted", async () => {
    const options = kafkaLogOptions(address);
    const joined = await joinLog(options);
    const feed = await feedOf(joined, 3);
    await feed.open(0);
    const producer = otherProgram(address).producer({
      transactionalId: options.topic!,
      maxInFlightRequests: 1,
      idempotent: true,
    });
    await producer.connect();
    const send = async (value: string, end: 'commit' | 'abort') => {
      const transaction = await producer.transaction();
      await transaction.send({ topic: options.topic!, messages: [{ partition: 3, value }] });
      await transaction[end]();
    };
    await send('aborted', 'abort');
    await send('kept', 'commit');
    await send('aborted too', 'abort');
    await producer.disconnect();
    // 0 and its marker 1, 2 with 3, 4 with 5. Kafka writes a marker a little after it says that the transaction has ended.
    await until('all markers are written', async () => (await joined.log.bounds(3)).end === 6);
    await joined.log.append([entry(3, 'last')]);
    expect((await takeRecords(feed, 2)).map(({ offset, value }) => [offset, value])).toEqual([
      [2, 'kept'],
      [6, 'last'],
    ]);
    expect(await joined.log.readAt(3, 0)).toBeNull();
    expect(await joined.log.readAt(3, 1)).toBeNull();
    expect(await joined.log.readAt(3, 2)).toMatchObject({ value: 'kept', key: null });
    await joined.log.close();
  });
});
