import { gunzipSync, gzipSync } from 'node:zlib';
import { UsherError } from '../errors.ts';
import { Appends } from './appends.ts';
import { type KafkaClient, type KafkaConnection, kafkaClient } from './client.ts';
import { Link } from './link.ts';
import { ensureTopic } from './topic.ts';

export interface BundleTopicOptions {
  readonly connection: KafkaConnection;
  readonly topic: string;
  readonly replication: number;
  readonly minInsyncReplicas: number;
  /** A put or a read fails after this long without an answer, ms. */
  readonly deadlineMs: number;
}

/** A broker refuses records of more than 1 MB; a large catalog is several. */
const partChars = 500_000;

/**
 * Playbooks and catalogs by hash, in a compacted topic beside the log: its records name them, so what refolds the log into an empty Redis
 * must find them without Redis. One partition; a text is gzip in base64, cut into records with the keys `<hash>:<part>:<parts>`.
 */
export class BundleTopic {
  readonly #client: KafkaClient;
  readonly #link: Link;
  readonly #appends: Appends;
  readonly #deadlineMs: number;

  /** @throws UsherError LOG_TOPIC_UNSUITABLE, LOG_UNAVAILABLE */
  static async open(options: BundleTopicOptions): Promise<BundleTopic> {
    const { topic, replication, minInsyncReplicas } = options;
    const settings = { shards: 1, cleanup: 'compact', replication, minInsyncReplicas, retentionMs: -1 } as const;
    await ensureTopic(kafkaClient(options.connection), { topic, ...settings });
    return new BundleTopic(options);
  }

  private constructor({ connection, topic, deadlineMs }: BundleTopicOptions) {
    this.#client = kafkaClient(connection);
    this.#link = new Link(this.#client, topic, 1);
    this.#appends = new Appends(this.#link, 1, deadlineMs);
    this.#deadlineMs = deadlineMs;
  }

  /** Putting the same again is harmless. @throws UsherError LOG_UNAVAILABLE */
  async put(hash: string, text: string): Promise<void> {
    const packed = gzipSync(text).toString('base64');
    const parts = Math.max(1, Math.ceil(packed.length / partChars));
    const entries = Array.from({ length: parts }, (_, part) => ({
      shard: 0,
      key: `${hash}:${part}:${parts}`,
      value: packed.slice(part * partChars, (part + 1) * partChars),
    }));
    const failed = (await this.#appends.append(entries)).find((outcome) => !outcome.ok);
    if (failed?.ok === false) throw new UsherError('LOG_UNAVAILABLE', `bundle ${hash} was not kept: ${failed.message}`);
  }

  /** null: never put. Reads the topic from its beginning: it is small, and this is asked for after a loss only. */
  async read(hash: string): Promise<string | null> {
    const { low, end } = (await this.#link.bounds([0], this.#deadlineMs)).get(0)!;
    const found: string[] = [];
    for (let offset = low; offset < end; offset++) {
      // Compaction leaves gaps.
      const record = await this.#link.readAt(0, offset, this.#deadlineMs);
      const [name, part, parts] = record?.key?.split(':') ?? [];
      if (record === null || name !== hash) continue;
      found[Number(part)] = record.value;
      if (Object.keys(found).length === Number(parts)) {
        return gunzipSync(Buffer.from(found.join(''), 'base64')).toString();
      }
    }
    return null;
  }

  async close(): Promise<void> {
    await this.#appends.idle();
    await this.#link.close();
    this.#client.close();
  }
}
