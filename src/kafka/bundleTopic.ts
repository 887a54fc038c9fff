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
  /** Offsets of the parts by hash, as far as the topic was walked: of all that were found, and of the texts that are whole. */
  readonly #found = new Map<string, number[]>();
  readonly #offsets = new Map<string, readonly number[]>();
  #walkedTo = 0;

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

  /** null: never put. Walks the topic where it was not walked yet: this is asked for after a loss only, and then for many. */
  async read(hash: string): Promise<string | null> {
    await this.#walk();
    const offsets = this.#offsets.get(hash);
    if (offsets === undefined) return null;
    const parts = await this.#readParts(hash, offsets);
    if (parts !== null) return gunzipSync(Buffer.from(parts.join(''), 'base64')).toString();
    // Compaction has kept a later copy: where things are is found out anew.
    this.#offsets.clear();
    this.#found.clear();
    this.#walkedTo = 0;
    await this.#walk();
    const again = await this.#readParts(hash, this.#offsets.get(hash) ?? []);
    return again === null ? null : gunzipSync(Buffer.from(again.join(''), 'base64')).toString();
  }

  async #readParts(hash: string, offsets: readonly number[]): Promise<readonly string[] | null> {
    const parts: string[] = [];
    for (const [part, offset] of offsets.entries()) {
      const record = await this.#link.readAt(0, offset, this.#deadlineMs);
      if (record?.key !== `${hash}:${part}:${offsets.length}`) return null;
      parts.push(record.value);
    }
    return parts.length === 0 ? null : parts;
  }

  /** Notes where the parts of each text stand, the newest copy of each; one that is not whole is not there. */
  async #walk(): Promise<void> {
    const { low, end } = (await this.#link.bounds([0], this.#deadlineMs)).get(0)!;
    for (let offset = Math.max(low, this.#walkedTo); offset < end; offset++) {
      // Compaction leaves gaps.
      const record = await this.#link.readAt(0, offset, this.#deadlineMs);
      const [hash, part, parts] = record?.key?.split(':') ?? [];
      if (hash !== undefined && parts !== undefined) {
        const found = this.#found.get(hash) ?? [];
        found[Number(part)] = offset;
        this.#found.set(hash, found);
        if (Object.keys(found).length === Number(parts)) this.#offsets.set(hash, found);
      }
      this.#walkedTo = offset + 1;
    }
  }

  async close(): Promise<void> {
    await this.#appends.idle();
    await this.#link.close();
    this.#client.close();
  }
}
