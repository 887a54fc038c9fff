import type { Admin } from 'kafkajs';
import type { KafkaClient } from './client.ts';
import { timings } from './limits.ts';
import { within } from './link.ts';

/**
 * Asks the cluster something by a client of its own, which ends with it. kafkajs's admin may wait for ever, for an answer and also when it
 * is told to disconnect; a shard that waited for it was served by nobody. So there is a deadline, and its connections are cut.
 */
export async function withAdmin<Answer>(client: KafkaClient, work: (admin: Admin) => Promise<Answer>): Promise<Answer> {
  const admin = client.kafka.admin();
  try {
    return await within(timings.adminMs, async () => {
      await admin.connect();
      return work(admin);
    });
  } finally {
    admin.disconnect().catch(() => {});
    client.close();
  }
}
