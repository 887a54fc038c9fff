import { UsherError } from '../errors.ts';
import { withAdmin } from './admin.ts';
import type { KafkaClient } from './client.ts';
import { messageOf } from './link.ts';

/**
 * The offsets that a group has committed, by partition; those it never committed are left out.
 * @throws UsherError LOG_UNAVAILABLE
 */
export async function committedOffsets(
  client: KafkaClient,
  groupId: string,
  topic: string,
): Promise<ReadonlyMap<number, number>> {
  try {
    const found = await withAdmin(client, (admin) => admin.fetchOffsets({ groupId, topics: [topic] }));
    const partitions = found.flatMap(({ partitions }) => partitions);
    return new Map(
      partitions
        .map(({ partition, offset }) => [partition, Number(offset)] as const)
        .filter(([, offset]) => offset >= 0),
    );
  } catch (error) {
    throw new UsherError('LOG_UNAVAILABLE', `the offsets of group ${groupId} could not be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
