import kafkajs, { type Kafka } from 'kafkajs';
import type { EventLog, LogMember, LogMembership, ShardFeed } from '../../src/log/eventLog.ts';
import { type KafkaLogOptions, openKafkaLog } from '../../src/log/kafkaLog.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { until } from '../contract/contract.ts';

/** A log with a member that keeps the feeds it has. */
export interface JoinedLog {
  readonly log: EventLog;
  readonly feeds: Map<number, ShardFeed>;
  readonly revoked: number[];
  readonly membership: LogMembership;
}

export async function joinLog(options: KafkaLogOptions): Promise<JoinedLog> {
  const log = await openKafkaLog(options);
  const feeds = new Map<number, ShardFeed>();
  const revoked: number[] = [];
  const member: LogMember = {
    assigned: (feed) => feeds.set(feed.shard, feed),
    revoked: (shard) => {
      feeds.delete(shard);
      revoked.push(shard);
    },
  };
  return { log, feeds, revoked, membership: await log.join(member) };
}

/** The feed of a shard, when it is assigned. */
export async function feedOf({ feeds }: JoinedLog, shard: number): Promise<ShardFeed> {
  await until(`shard ${shard} is assigned`, () => feeds.has(shard));
  return feeds.get(shard)!;
}

/** Takes until `count` records have come; fails when they do not. */
export async function takeRecords(feed: ShardFeed, count: number): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  await until(`${count} records have come`, async () => {
    records.push(...(await feed.take({ records: 10_000, bytes: 10_000_000 }, 100)));
    return records.length >= count;
  });
  return records;
}

/** Another program's Kafka client. */
export function otherProgram(address: string): Kafka {
  const { Kafka, logLevel } = kafkajs;
  return new Kafka({ brokers: [address], clientId: 'other', logLevel: logLevel.NOTHING });
}
