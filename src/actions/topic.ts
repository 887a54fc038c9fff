import type { Outputs } from '../log/outputs.ts';
import type { Attempt, DeliveryOutcome, Destination, OutgoingMessage } from './destination.ts';
import { delivered, refused, retry, Underway } from './outcomes.ts';

/** Its name after the namespace: `usher.actions`. */
const topic = 'actions';

/**
 * The topic `actions`, for platforms that read queues: one record a message (schema/outputs/actions.v1.json), by visitor. At least once, with
 * the action's id. `outputs` stay open: they are not this destination's.
 *
 * @param outputs null: this Usher is embedded and has no Kafka. Every message is refused then, so that none seems to be on its way.
 */
export function topicDestination(outputs: Outputs | null): Destination {
  return new Topic(outputs);
}

/** What to tell at start when a playbook names a topic and there is none. */
export const topicNeedsKafka =
  'a destination of kind topic needs Kafka, which an embedded Usher does not have: its messages become dead letters. Set kafkaBrokers and redisUrl, or take kind webhook';

class Topic implements Destination {
  readonly kind = 'topic';
  readonly repeatable = true;
  readonly #outputs: Outputs | null;
  readonly #underway = new Underway();
  /** Goes on after an attempt was broken off: a write cannot be. */
  readonly #writes = new Set<Promise<void>>();

  constructor(outputs: Outputs | null) {
    this.#outputs = outputs;
  }

  deliver(message: OutgoingMessage, { signal }: Attempt): Promise<DeliveryOutcome> {
    return this.#underway.run(() => this.#deliver(message, signal));
  }

  async close(): Promise<void> {
    await this.#underway.end();
    await Promise.allSettled(this.#writes);
  }

  async #deliver(message: OutgoingMessage, signal: AbortSignal): Promise<DeliveryOutcome> {
    if (this.#outputs === null) return refused(topicNeedsKafka);
    if (signal.aborted) return retry('the attempt was broken off');
    const entry = { key: message.visitor, value: JSON.stringify(recordOf(message)), headers: { id: message.id } };
    const writing = this.#outputs.write(topic, [entry]);
    this.#writes.add(writing);
    const ended = () => this.#writes.delete(writing);
    writing.then(ended, ended);
    const { promise: aborted, resolve: abort } = Promise.withResolvers<DeliveryOutcome>();
    const onAbort = () => abort(retry('the attempt was broken off'));
    signal.addEventListener('abort', onAbort, { once: true });
    const written = writing.then(
      () => delivered('the topic has it'),
      (error: Error) => retry(error.message),
    );
    try {
      return await Promise.race([written, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}

function recordOf({ id, visitor, action, to, payload, attemptAt }: OutgoingMessage) {
  return { v: 1, id, visitor, action, to, payload, attemptAt };
}
