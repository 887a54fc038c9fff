import { UsherError } from '../errors.ts';
import { Appends } from '../kafka/appends.ts';
import { type KafkaConnection, kafkaClient } from '../kafka/client.ts';
import { committedOffsets } from '../kafka/committed.ts';
import { Link } from '../kafka/link.ts';
import { Member } from '../kafka/member.ts';
import { ensureTopic } from '../kafka/topic.ts';
import type { LogRecord } from '../model/record.ts';
import type { AppendEntry, AppendOutcome, EventLog, LogMember, LogMembership } from './eventLog.ts';

export interface KafkaLogOptions {
  readonly connection: KafkaConnection;
  /** N; the topic is made with as many partitions, and must have them. */
  readonly shards: number;
  /** Copies of each partition, and how many of them must have a record before it counts as accepted. */
  readonly replication: number;
  readonly minInsyncReplicas: number;
  /** An append is answered within this long, ms; a reading fails after it. */
  readonly appendDeadlineMs: number;
  /** A member that is not heard of for this long loses its shards, ms. The broker bounds it (6 s to 30 min if it is not told otherwise). */
  readonly sessionTimeoutMs?: number;
  /** How long Kafka keeps records, ms; used when the topic is made. -1: for ever. */
  readonly retentionMs?: number;
  readonly topic?: string;
  readonly groupId?: string;
}

/**
 * The log on Kafka: partition p of the topic is shard p (semantics 1.2).
 * @throws UsherError CONFIG_INVALID, SHARDS_MISMATCH, LOG_TOPIC_UNSUITABLE, LOG_UNAVAILABLE
 */
export async function openKafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const topic = options.topic ?? 'usher.g1.events';
  const { shards, replication, minInsyncReplicas, retentionMs = -1 } = options;
  const settings = { shards, cleanup: 'delete', replication, minInsyncReplicas, retentionMs } as const;
  await ensureTopic(kafkaClient(options.connection), { topic, ...settings });
  return new KafkaLog(topic, options);
}

class KafkaLog implements EventLog {
  readonly shards: number;
  readonly #topic: string;
  readonly #options: KafkaLogOptions;
  readonly #client;
  readonly #link: Link;
  readonly #appends: Appends;
  #member: Member | null = null;
  #folded: Promise<ReadonlyMap<number, number>> | null = null;
  #closed = false;

  constructor(topic: string, options: KafkaLogOptions) {
    this.shards = options.shards;
    this.#topic = topic;
    this.#options = options;
    this.#client = kafkaClient(options.connection);
    this.#link = new Link(this.#client, topic, options.shards);
    this.#appends = new Appends(this.#link, options.shards, options.appendDeadlineMs);
  }

  async append(entries: readonly AppendEntry[]): Promise<readonly AppendOutcome[]> {
    if (entries.length === 0) return [];
    if (this.#closed) return entries.map(() => refusal('the log is closed'));
    const unknown = entries.find(({ shard }) => !this.#has(shard));
    if (unknown !== undefined) {
      return entries.map(() => refusal(`shard ${unknown.shard} does not exist; the log has 0 to ${this.shards - 1}`));
    }
    return this.#appends.append(entries);
  }

  async join(member: LogMember): Promise<LogMembership> {
    if (this.#closed) throw new UsherError('SHUTTING_DOWN', 'the log is closed');
    if (this.#member !== null) {
      throw new UsherError('INTERNAL', 'this log has a member already; another one opens the log for itself');
    }
    const { connection, sessionTimeoutMs = 10_000, appendDeadlineMs } = this.#options;
    const joined = new Member(
      {
        client: () => kafkaClient(connection),
        link: this.#link,
        topic: this.#topic,
        shards: this.shards,
        groupId: this.#groupId,
        sessionTimeoutMs,
        readDeadlineMs: appendDeadlineMs,
        report: (level, message, details) => connection.report?.(level, message, details),
      },
      member,
    );
    this.#member = joined;
    return {
      leave: async () => {
        await joined.leave();
        if (this.#member === joined) this.#member = null;
      },
    };
  }

  async bounds(shard: number): Promise<{ readonly low: number; readonly end: number }> {
    this.#check(shard);
    return (await this.#link.bounds([shard], this.#options.appendDeadlineMs)).get(shard)!;
  }

  async readAt(shard: number, offset: number): Promise<LogRecord | null> {
    this.#check(shard);
    if (offset < 0) return null;
    return this.#link.readAt(shard, offset, this.#options.appendDeadlineMs);
  }

  async foldedTo(shard: number): Promise<number> {
    this.#check(shard);
    // A worker that starts asks for all its shards at once.
    this.#folded ??= committedOffsets(kafkaClient(this.#options.connection), this.#groupId, this.#topic).finally(() => {
      this.#folded = null;
    });
    return (await this.#folded).get(shard) ?? 0;
  }

  #check(shard: number): void {
    if (!this.#has(shard)) {
      throw new UsherError('INTERNAL', `shard ${shard} does not exist; the log has ${this.shards}`);
    }
  }

  get #groupId(): string {
    return this.#options.groupId ?? 'usher.g1';
  }

  #has(shard: number): boolean {
    return Number.isInteger(shard) && shard >= 0 && shard < this.shards;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#appends.idle();
    await this.#member?.leave();
    await this.#link.close();
    this.#client.close();
  }
}

function refusal(message: string): AppendOutcome {
  return { ok: false, code: 'LOG_UNAVAILABLE', message };
}
