import type { KafkaBroker, ProducedMessage } from './internals.ts';
import { limits } from './limits.ts';
import type { Link } from './link.ts';

/**
 * What a broker leads, one request after another: a partition's next messages go only when those before them stand, so that a repeat
 * of the whole never shows an entry before the one that precedes it.
 */
export async function produceAll(
  link: Link,
  broker: KafkaBroker,
  partitions: readonly number[],
  messagesOf: ReadonlyMap<number, readonly ProducedMessage[]>,
): Promise<void> {
  let rest = partitions.map((partition) => ({ partition, messages: messagesOf.get(partition)! }));
  while (rest.length > 0) {
    const next = rest.map(({ partition, messages }) => ({ partition, messages: messages.slice(0, fitting(messages)) }));
    const answers = await link.produce(broker, next);
    for (const { partition } of next) {
      const produced = answers.get(partition);
      if (produced?.what !== 'written') {
        throw new Error(`partition ${partition}: ${produced?.message ?? 'the broker did not tell of it'}`);
      }
    }
    rest = rest
      .map(({ partition, messages }, i) => ({ partition, messages: messages.slice(next[i]!.messages.length) }))
      .filter(({ messages }) => messages.length > 0);
  }
}

/** How many of the first messages fit into one batch; at least one. */
export function fitting(messages: readonly ProducedMessage[]): number {
  let bytes = 0;
  let count = 0;
  for (; count < messages.length; count++) {
    const { key, value, headers } = messages[count]!;
    // What a record costs besides its texts.
    bytes += (key?.length ?? 0) + value.length + 32 + (headers === undefined ? 0 : 80);
    if (count > 0 && bytes > limits.batchBytes) break;
  }
  return count;
}
