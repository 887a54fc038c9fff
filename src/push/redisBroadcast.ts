import type { Redis } from 'ioredis';
import { UsherError } from '../errors.ts';
import type { CommitMessage } from '../model/commit.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { stateFault } from '../redis/faults.ts';
import { decodeMessage, encodeMessage } from '../redis/message.ts';
import type { Broadcast, BroadcastListener } from './broadcast.ts';

/**
 * A broadcast over Redis pub/sub: one channel a shard, on a connection of its own. Redis keeps nothing for a subscriber that is
 * away, so after each reconnect, once every channel is subscribed again, all listeners hear of a gap.
 * @param report gets what a listener threw, and messages that are none of ours
 */
export async function redisBroadcast(
  redis: RedisConnection,
  report: (error: unknown) => void = (error) => console.error('a listener of commits failed:', error),
): Promise<Broadcast> {
  return new RedisBroadcast(redis, await redis.connect('usher-subscriber'), report);
}

/** One call of `subscribe`; it hears from the moment when Redis has confirmed the channel until it leaves. */
interface Subscription {
  readonly listener: BroadcastListener;
  isActive: boolean;
}

class RedisBroadcast implements Broadcast {
  readonly #redis: RedisConnection;
  readonly #subscriber: Redis;
  readonly #report: (error: unknown) => void;
  readonly #channels = new Map<string, Set<Subscription>>();
  readonly #ping: NodeJS.Timeout;
  #isClosed = false;

  constructor(redis: RedisConnection, subscriber: Redis, report: (error: unknown) => void) {
    this.#redis = redis;
    this.#subscriber = subscriber;
    this.#report = report;
    subscriber.on('message', (channel: string, text: string) => this.#onMessage(channel, text));
    subscriber.on('ready', () => void this.#subscribeAgain());
    // A half-open connection brings nothing and no error; the socket timeout needs a command that waits for its answer.
    this.#ping = setInterval(() => subscriber.ping().catch(() => {}), redis.limits.pingEveryMs).unref();
  }

  publish(message: CommitMessage): void {
    const { head, slots } = encodeMessage(message, this.#redis.limits.messageBytes);
    // What is not sent is as a message lost on its way: whoever listens compares versions (semantics 7.2).
    this.#redis.client.publish(this.#channelOf(message.shard), head + slots.join('')).catch(this.#report);
  }

  async subscribe(shard: number, listener: BroadcastListener): Promise<() => Promise<void>> {
    const channel = this.#channelOf(shard);
    const subscription: Subscription = { listener, isActive: false };
    const ofChannel = this.#channels.get(channel) ?? new Set();
    this.#channels.set(channel, ofChannel);
    ofChannel.add(subscription);
    try {
      // Also for a channel that is subscribed already: the answer comes behind all messages from before this call.
      await this.#subscriber.subscribe(channel);
    } catch (error) {
      await this.#leave(channel, subscription);
      throw stateFault(error, `commits of shard ${shard} cannot be heard`);
    }
    subscription.isActive = ofChannel.has(subscription);
    return () => this.#leave(channel, subscription);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#ping);
    for (const ofChannel of this.#channels.values())
      for (const subscription of ofChannel) subscription.isActive = false;
    this.#channels.clear();
    this.#subscriber.disconnect();
  }

  #channelOf(shard: number): string {
    const keys = this.#redis.keys[shard];
    if (keys === undefined)
      throw new UsherError('INTERNAL', `there is no shard ${shard} of ${this.#redis.keys.length}`);
    return keys.changes;
  }

  async #leave(channel: string, subscription: Subscription): Promise<void> {
    subscription.isActive = false;
    const ofChannel = this.#channels.get(channel);
    if (!ofChannel?.delete(subscription) || ofChannel.size > 0) return;
    this.#channels.delete(channel);
    // Without a connection there is no subscription that could be given up.
    await this.#subscriber.unsubscribe(channel).catch(() => {});
  }

  #onMessage(channel: string, text: string): void {
    const ofChannel = this.#channels.get(channel);
    if (ofChannel === undefined) return;
    let message: CommitMessage | null = null;
    let isCut = true;
    try {
      ({ message, isCut } = decodeMessage(text));
    } catch (error) {
      this.#report(error);
    }
    // Over a copy: whoever subscribes during the call was not there when the message was published.
    for (const subscription of [...ofChannel]) {
      if (message !== null) this.#tell(subscription, (listener) => listener.onMessage(message));
      if (isCut) this.#tell(subscription, (listener) => listener.onGap());
    }
  }

  /** The gap is told when the channels stand again: what is read after that, and the messages from then on, leave nothing out. */
  async #subscribeAgain(): Promise<void> {
    const channels = [...this.#channels.keys()];
    try {
      if (channels.length > 0) await this.#subscriber.subscribe(...channels);
    } catch {
      // The next connection tries again; this one would stay deaf.
      if (!this.#isClosed) this.#subscriber.disconnect(true);
      return;
    }
    for (const ofChannel of [...this.#channels.values()]) {
      for (const subscription of [...ofChannel]) this.#tell(subscription, (listener) => listener.onGap());
    }
  }

  #tell(subscription: Subscription, call: (listener: BroadcastListener) => void): void {
    if (!subscription.isActive) return;
    try {
      call(subscription.listener);
    } catch (error) {
      this.#report(error);
    }
  }
}
