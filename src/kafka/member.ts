import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import { stickyAssignor } from './assignor.ts';
import { consumerSettings, type KafkaClient } from './client.ts';
import { type FeedHost, KafkaFeed } from './feed.ts';
import type { FilteredBatch } from './internals.ts';
import { timings } from './limits.ts';
import { backoffMs, type Link, messageOf, recordOf, within } from './link.ts';

/** Who is told of shards; has the shape of the log port's member. */
interface Listener {
  assigned(feed: KafkaFeed): void;
  revoked(shard: number): void;
}

export interface MemberOptions {
  /** A client of its own for each attempt: kafkajs shares committed offsets between the consumers of one. */
  readonly client: () => KafkaClient;
  readonly link: Link;
  readonly topic: string;
  readonly shards: number;
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  readonly readDeadlineMs: number;
  readonly report: (level: 'warn' | 'error', message: string, details: object) => void;
}

/** One consumer of kafkajs, from its making to its end. */
interface Session {
  readonly client: KafkaClient;
  readonly consumer: Consumer;
  /** When something last came from the group or the broker. */
  lastSign: number;
  /** The name Kafka gave it; another one after it had been taken for dead. */
  memberId: string;
  /** Kafka has taken it into the group. */
  readonly joined: PromiseWithResolvers<void>;
  ended: boolean;
}

/**
 * Takes part in the consumer group. kafkajs ends a consumer for good on some errors and restarts it without bound on others (K5, K7);
 * here every end is the same: the shards are given back, and a new consumer joins after a back-off.
 */
export class Member implements FeedHost {
  readonly #options: MemberOptions;
  readonly #listener: Listener;
  readonly #left = new AbortController();
  readonly #running: Promise<void>;
  readonly #feeds = new Map<number, KafkaFeed>();
  readonly #folded = new Map<number, number>();
  readonly #committed = new Map<number, number>();
  #session: Session | null = null;
  #failures = 0;
  #leaving = false;
  /** When the newest heartbeat that succeeded had been sent, and who waits for one, ms since the epoch (kafkajs's clock). */
  #heartbeatSentAt = 0;
  /** When Kafka last took this for a member, by a heartbeat or a join. */
  #confirmedAt = 0;
  #confirming: { readonly since: number; readonly resolve: () => void }[] = [];

  constructor(options: MemberOptions, listener: Listener) {
    this.#options = options;
    this.#listener = listener;
    this.#running = this.#run();
  }

  /** Gives the shards back, tells Kafka how far they are folded, and leaves. */
  async leave(): Promise<void> {
    if (this.#left.signal.aborted) return this.#running;
    const folded = new Map(this.#folded);
    this.#leaving = true;
    this.#revokeAll();
    await within(timings.leaveMs / 2, () => this.#commit(folded)).catch(() => {});
    // Who leaves while it joins is a member all the same, for the others until its session times out: first it must have joined.
    await within(timings.leaveMs / 2, async () => {
      await this.#session?.joined.promise;
      // kafkajs notes only then that it has, and would leave nothing.
      await nextTurn();
    }).catch(() => {});
    this.#left.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#left;
    while (!signal.aborted) {
      const why = await this.#serve();
      this.#revokeAll();
      if (signal.aborted) return;
      const afterMs = Math.round(backoffMs(this.#failures++));
      this.#options.report('warn', 'left the group, joins again', { why, afterMs });
      await sleep(afterMs, undefined, { signal }).catch(() => {});
    }
  }

  /** One consumer until it ends; answers why. */
  async #serve(): Promise<string> {
    const { client: makeClient, topic, groupId, shards, sessionTimeoutMs } = this.#options;
    const client = makeClient();
    const consumer = client.kafka.consumer({
      ...consumerSettings(groupId, sessionTimeoutMs),
      partitionAssigners: [
        stickyAssignor(topic, shards, () => ({ holds: [...this.#feeds.keys()], confirmedAt: this.#confirmedAt })),
      ],
    });
    const session: Session = {
      client,
      consumer,
      lastSign: performance.now(),
      memberId: '',
      joined: Promise.withResolvers(),
      ended: false,
    };
    const ended = this.#end(session);
    this.#session = session;
    const keeping = this.#keep(session);
    try {
      await Promise.race([ended, this.#start(session)]);
      return await ended;
    } catch (error) {
      return messageOf(error);
    } finally {
      session.ended = true;
      this.#session = null;
      clearInterval(keeping.commits);
      clearInterval(keeping.checks);
      await within(timings.leaveMs, () => consumer.disconnect()).catch(() => {});
      client.close();
    }
  }

  async #start({ consumer }: Session): Promise<void> {
    await consumer.connect();
    await consumer.subscribe({ topics: [this.#options.topic], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#take(payload),
    });
  }

  /** Resolves with the reason when the consumer has crashed, hangs, or this member leaves. */
  #end(session: Session): Promise<string> {
    const { consumer } = session;
    const { CRASH, GROUP_JOIN, HEARTBEAT, REQUEST } = consumer.events;
    const { sessionTimeoutMs } = this.#options;
    // A join may take as long as the slowest member has time for; everything else is answered sooner.
    const hangMs = sessionTimeoutMs + timings.requestMs * 2;
    return new Promise<string>((resolve) => {
      const watch = setInterval(() => {
        if (performance.now() - session.lastSign > hangMs) end(`nothing came from Kafka for ${hangMs} ms`);
      }, 1_000);
      const end = (why: string) => {
        clearInterval(watch);
        this.#left.signal.removeEventListener('abort', onLeave);
        resolve(why);
      };
      const onLeave = () => end('leaving');
      this.#left.signal.addEventListener('abort', onLeave);
      consumer.on(CRASH, ({ payload }) => end(payload.error.message));
      // kafkajs calls listeners at once, before it fetches: what is paused here is not fetched from a wrong offset.
      consumer.on(GROUP_JOIN, ({ payload }) => {
        session.lastSign = performance.now();
        session.joined.resolve();
        if (session.ended || this.#leaving) return;
        this.#joined(session, payload.memberId, payload.memberAssignment[this.#options.topic] ?? []);
      });
      let heartbeatSentAt = 0;
      consumer.on(REQUEST, ({ payload }) => {
        session.lastSign = performance.now();
        if (payload.apiName === 'Heartbeat') heartbeatSentAt = payload.sentAt;
      });
      consumer.on(HEARTBEAT, () => this.#heartbeat(heartbeatSentAt));
    });
  }

  #joined(session: Session, memberId: string, shards: readonly number[]): void {
    const { topic } = this.#options;
    this.#failures = 0;
    this.#confirmedAt = Date.now();
    if (shards.length > 0) session.consumer.pause([{ topic, partitions: [...shards] }]);
    // Kafka had given it up: others may have had any of its shards since.
    if (session.memberId !== memberId) this.#revokeAll();
    session.memberId = memberId;
    const given = new Set(shards);
    for (const [shard, feed] of this.#feeds) if (!given.has(shard)) this.#revoke(feed);
    for (const shard of given) {
      const kept = this.#feeds.get(shard);
      if (kept === undefined) {
        const feed = new KafkaFeed(shard, this);
        this.#feeds.set(shard, feed);
        this.#listener.assigned(feed);
      } else if (kept.expected !== null) {
        // kafkajs forgets positions with each join. Had another member the shard meanwhile, the state's fence tells.
        this.fetchFrom(shard, kept.expected);
        if (kept.full) this.pause(shard);
      }
    }
  }

  #revoke(feed: KafkaFeed): void {
    this.#feeds.delete(feed.shard);
    this.#folded.delete(feed.shard);
    this.#committed.delete(feed.shard);
    feed.revoke();
    this.#listener.revoked(feed.shard);
  }

  #revokeAll(): void {
    for (const feed of [...this.#feeds.values()]) this.#revoke(feed);
  }

  /** kafkajs's fetcher waits for this: it only copies. */
  async #take({ batch, resolveOffset, isRunning, isStale }: EachBatchPayload): Promise<void> {
    const shard = batch.partition;
    const feed = this.#feeds.get(shard);
    if (feed === undefined) {
      this.pause(shard);
      return;
    }
    if (!isRunning() || isStale()) return;
    const { fetchedOffset, messages } = batch as unknown as FilteredBatch;
    const last = batch.lastOffset();
    const outcome = await feed.push({
      from: Number(fetchedOffset),
      next: Number(last) + 1,
      records: messages.map((message) => recordOf(shard, message)),
    });
    // Not resolved, the same is fetched again, unless the shard is paused or sought.
    if (outcome === 'taken') resolveOffset(last);
  }

  /** What repeats for as long as a consumer lives. */
  #keep(session: Session): { commits: NodeJS.Timeout; checks: NodeJS.Timeout } {
    const quietly = (what: string, work: () => Promise<void>) => () =>
      void work().catch((error: unknown) => {
        if (!session.ended) this.#options.report('warn', what, { why: messageOf(error) });
      });
    return {
      commits: setInterval(
        quietly('Kafka was not told how far the shards are folded', () => this.#commit()),
        timings.commitMs,
      ),
      checks: setInterval(
        quietly('the bounds of the log could not be read', () => this.#checkBounds()),
        timings.boundsCheckMs,
      ),
    };
  }

  async #commit(folded: ReadonlyMap<number, number> = this.#folded): Promise<void> {
    const changed = [...folded].filter(([shard, offset]) => this.#committed.get(shard) !== offset);
    if (changed.length === 0 || this.#session === null) return;
    const { topic } = this.#options;
    await this.#session.consumer.commitOffsets(
      changed.map(([partition, offset]) => ({ topic, partition, offset: String(offset) })),
    );
    for (const [shard, offset] of changed) this.#committed.set(shard, offset);
  }

  async #checkBounds(): Promise<void> {
    const open = [...this.#feeds.values()].filter((feed) => feed.expected !== null);
    if (open.length === 0) return;
    const positions = open.map((feed) => feed.expected);
    const bounds = await this.#options.link.bounds(
      open.map(({ shard }) => shard),
      this.#options.readDeadlineMs,
    );
    for (const [i, feed] of open.entries()) {
      // Who moved meanwhile is well, and what was read of its shard is old.
      if (feed.expected === positions[i]) feed.check(bounds.get(feed.shard)!);
    }
  }

  #heartbeat(sentAt: number): void {
    this.#heartbeatSentAt = sentAt;
    this.#confirmedAt = Date.now();
    const waiting = this.#confirming;
    this.#confirming = waiting.filter(({ since }) => since > sentAt);
    for (const { since, resolve } of waiting) if (since <= sentAt) resolve();
  }

  async confirmed(signal: AbortSignal): Promise<void> {
    const since = Date.now();
    if (this.#heartbeatSentAt > since) return;
    await new Promise<void>((resolve) => {
      this.#confirming.push({ since, resolve });
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  async bounds(shard: number): Promise<{ readonly low: number; readonly end: number }> {
    return (await this.#options.link.bounds([shard], this.#options.readDeadlineMs)).get(shard)!;
  }

  fetchFrom(shard: number, offset: number): void {
    this.#withConsumer((consumer, topic) => {
      consumer.seek({ topic, partition: shard, offset: String(offset) });
      consumer.resume([{ topic, partitions: [shard] }]);
    });
  }

  pause(shard: number): void {
    this.#withConsumer((consumer, topic) => consumer.pause([{ topic, partitions: [shard] }]));
  }

  resume(shard: number): void {
    this.#withConsumer((consumer, topic) => consumer.resume([{ topic, partitions: [shard] }]));
  }

  folded(shard: number, offset: number): void {
    if (this.#feeds.has(shard)) this.#folded.set(shard, offset);
  }

  #withConsumer(act: (consumer: Consumer, topic: string) => void): void {
    if (this.#session === null || this.#session.ended) return;
    try {
      act(this.#session.consumer, this.#options.topic);
    } catch {
      // kafkajs refuses between the end of a consumer and the news of it; the feeds are revoked with that.
    }
  }
}
