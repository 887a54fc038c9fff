import { type KafkaLogOptions, openKafkaLog } from '../../src/log/kafkaLog.ts';
import { asAdmin, freshTopic } from '../support/kafkaBroker.ts';
import { TcpProxy } from '../support/tcpProxy.ts';
import type { EventLogSubject } from './eventLog.contract.ts';

export function kafkaLogOptions(address: string, more: Partial<KafkaLogOptions> = {}): KafkaLogOptions {
  const topic = freshTopic();
  return {
    connection: { brokers: [address], clientId: 'usher-test' },
    shards: 4,
    replication: 1,
    minInsyncReplicas: 1,
    appendDeadlineMs: 5_000,
    sessionTimeoutMs: 3_000,
    topic,
    groupId: topic,
    ...more,
  };
}

/** A log on a topic of its own, which goes with it. */
export async function openKafkaLogSubject(address: string): Promise<EventLogSubject> {
  const proxy = await TcpProxy.to(address);
  const deadlineMs = 1_000;
  const options = kafkaLogOptions(address, {
    appendDeadlineMs: deadlineMs,
    connection: { brokers: [address], clientId: 'usher-test', reach: () => proxy.address },
  });
  const first = await openKafkaLog(options);
  let log = first;
  return {
    log: first,
    deadlineMs,
    async reopen() {
      await log.close();
      log = await openKafkaLog(options);
      return log;
    },
    async stall() {
      proxy.stall();
      return async () => proxy.release();
    },
    async close() {
      await log.close();
      await proxy.close();
      await asAdmin(address, (admin) => admin.deleteTopics({ topics: [options.topic!] }));
    },
  };
}
