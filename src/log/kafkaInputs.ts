import { setTimeout as sleep } from 'node:timers/promises';
import type { Consumer, EachBatchPayload, KafkaMessage } from 'kafkajs';
import { consumerSettings, type KafkaClient, type KafkaConnection, kafkaClient } from '../kafka/client.ts';
import { limits, timings } from '../kafka/limits.ts';
import { backoffMs, messageOf, within } from '../kafka/link.ts';
import type { InputReader, InputRecord, Inputs } from './inputs.ts';

export interface KafkaInputsOptions {
  readonly connection: KafkaConnection;
  readonly topics: readonly string[];
  readonly groupId: string;
  /** A member that is not heard of for this long loses its partitions to the others, ms. */
  readonly sessionTimeoutMs: number;
  readonly report: (level: 'warn' | 'info', message: string, details: object) => void;
}

/** One consumer of kafkajs, from its making to its end. */
interface Session {
  readonly client: KafkaClient;
  readonly consumer: Consumer;
  /** Those that are there; the others are looked for again. */
  readonly topics: readonly string[];
  /** Aborted with the partitions of a generation: what is in hand then may be another's already. */
  generation: AbortController;
  lastSign: number;
}

/**
 * Input topics on Kafka: a consumer group shares their partitions among the processes, and its committed offsets remember what the log
 * has. As in the group of the log, every end of a consumer is the same: a new one joins after a back-off.
 */
export class KafkaInputs implements Inputs {
  readonly #options: KafkaInputsOptions;
  readonly #stopped = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #missing: readonly string[] = [];
  #failures = 0;

  constructor(options: KafkaInputsOptions) {
    this.#options = options;
  }

  start(reader: InputReader): void {
    this.#running = this.#run(reader);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(reader: InputReader): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      const why = await this.#serve(reader).catch(messageOf);
      if (signal.aborted) return;
      const afterMs = Math.round(backoffMs(this.#failures++));
      this.#options.report('warn', 'the input topics are not read, joins again', { why, afterMs });
      await sleep(afterMs, undefined, { signal }).catch(() => {});
    }
  }

  /** One consumer until it ends; answers why. */
  async #serve(reader: InputReader): Promise<string> {
    const { groupId, sessionTimeoutMs, connection } = this.#options;
    const client = kafkaClient(connection);
    try {
      const topics = await this.#presentTopics(client);
      const consumer = client.kafka.consumer(consumerSettings(groupId, sessionTimeoutMs));
      const generation = new AbortController();
      const session: Session = { client, consumer, topics, generation, lastSign: performance.now() };
      const ended = this.#end(session);
      try {
        await Promise.race([ended, this.#consume(session, reader)]);
        return await ended;
      } finally {
        session.generation.abort();
        await within(timings.leaveMs, () => consumer.disconnect()).catch(() => {});
      }
    } finally {
      client.close();
    }
  }

  /** Waits until at least one is there, and tells of those that are not. */
  async #presentTopics(client: KafkaClient): Promise<readonly string[]> {
    const { signal } = this.#stopped;
    for (;;) {
      const present = await this.#lookFor(client);
      if (present.length > 0) return present;
      await sleep(timings.boundsCheckMs, undefined, { signal });
    }
  }

  async #lookFor(client: KafkaClient): Promise<readonly string[]> {
    const { topics, report } = this.#options;
    const admin = client.kafka.admin();
    try {
      await admin.connect();
      const there = new Set(await admin.listTopics());
      const missing = topics.filter((topic) => !there.has(topic));
      if (missing.length > 0 && missing.join() !== this.#missing.join()) {
        report('warn', 'input topics are not there; they are waited for', { missing });
      }
      this.#missing = missing;
      return topics.filter((topic) => there.has(topic));
    } finally {
      await within(timings.leaveMs, () => admin.disconnect()).catch(() => {});
    }
  }

  async #consume(session: Session, reader: InputReader): Promise<void> {
    const { consumer, topics } = session;
    await consumer.connect();
    // From the beginning where nothing is committed yet: what was written before Usher came is not lost.
    await consumer.subscribe({ topics: [...topics], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 4,
      eachBatch: (payload) => this.#take(session, payload, reader),
    });
  }

  /** Resolves with the reason when the consumer has crashed or hangs, a topic has come, or `stop` was called. */
  #end(session: Session): Promise<string> {
    const { consumer, client } = session;
    const { CRASH, GROUP_JOIN, REBALANCING, REQUEST } = consumer.events;
    const hangMs = this.#options.sessionTimeoutMs + timings.requestMs * 2;
    return new Promise<string>((resolve) => {
      const watch = setInterval(() => {
        if (performance.now() - session.lastSign > hangMs) end(`nothing came from Kafka for ${hangMs} ms`);
      }, 1_000);
      const look = setInterval(() => {
        if (this.#missing.length === 0) return;
        this.#lookFor(client)
          .then((present) => {
            if (present.length > session.topics.length) end('an input topic has come');
          })
          .catch(() => {});
      }, timings.boundsCheckMs);
      const onStop = () => end('stopping');
      const end = (why: string) => {
        clearInterval(watch);
        clearInterval(look);
        this.#stopped.signal.removeEventListener('abort', onStop);
        resolve(why);
      };
      this.#stopped.signal.addEventListener('abort', onStop);
      const renew = () => {
        session.generation.abort();
        session.generation = new AbortController();
      };
      consumer.on(CRASH, ({ payload }) => end(payload.error.message));
      consumer.on(REBALANCING, renew);
      consumer.on(GROUP_JOIN, () => {
        renew();
        session.lastSign = performance.now();
        this.#failures = 0;
      });
      consumer.on(REQUEST, () => {
        session.lastSign = performance.now();
      });
    });
  }

  async #take(session: Session, payload: EachBatchPayload, reader: InputReader): Promise<void> {
    const { batch, resolveOffset, heartbeat, isRunning, isStale } = payload;
    const { topic, partition } = batch;
    const { signal } = session.generation;
    for (const messages of partsOf(batch.messages)) {
      if (signal.aborted || !isRunning() || isStale()) return;
      const records = messages.map(recordOf);
      try {
        await whileBeating(heartbeat, signal, (signal) => reader.take({ topic, partition, records, signal }));
      } catch (error) {
        // Given up in order: whoever has the partition now is handed the same again.
        if (signal.aborted) return;
        throw error;
      }
      // A commit after the partition was lost would be one for another's (K2).
      if (signal.aborted) return;
      const last = records.at(-1)!.offset;
      resolveOffset(String(last));
      await session.consumer.commitOffsets([{ topic, partition, offset: String(last + 1) }]);
    }
  }
}

/** Keeps the membership while something takes its time; what the heartbeat says of a rebalance ends it. */
async function whileBeating(
  heartbeat: () => Promise<void>,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const given = new AbortController();
  const both = AbortSignal.any([signal, given.signal]);
  let failed: unknown = null;
  let beating = Promise.resolve();
  const timer = setInterval(() => {
    beating = heartbeat().catch((error: unknown) => {
      failed ??= error;
      given.abort(error);
    });
  }, timings.heartbeatMs);
  try {
    await work(both);
  } finally {
    clearInterval(timer);
    await beating;
  }
  if (failed !== null) throw failed;
}

/** So many that one append carries them, and so few that a crash repeats less of a visitor than its window knows (semantics 2.4). */
const batchRecords = 200;

function* partsOf(messages: readonly KafkaMessage[]): Generator<readonly KafkaMessage[]> {
  let from = 0;
  let bytes = 0;
  for (let i = 0; i < messages.length; i++) {
    const size = messages[i]!.value?.length ?? 0;
    if (i > from && (i - from === batchRecords || bytes + size > limits.batchBytes / 2)) {
      yield messages.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < messages.length) yield messages.slice(from);
}

function recordOf({ offset, key, value, timestamp }: KafkaMessage): InputRecord {
  return { offset: Number(offset), key, value, timestamp: Number(timestamp) };
}
