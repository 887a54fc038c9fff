import type { CommitMessage } from '../../src/model/commit.ts';
import type { Broadcast } from '../../src/push/broadcast.ts';
import { openRedis, type RedisConnection, type RedisSettings } from '../../src/redis/connection.ts';
import { redisSettings } from '../contract/redisSubjects.ts';

/** Connections of one test, closed after it. */
export class Connections {
  readonly #open: (() => Promise<void>)[] = [];

  async redis(url: string, more: Partial<RedisSettings> = {}): Promise<RedisConnection> {
    return this.add(await openRedis(redisSettings(url, more)));
  }

  add<T extends { close(): Promise<void> }>(one: T): T {
    this.#open.push(() => one.close());
    return one;
  }

  async close(): Promise<void> {
    for (const close of this.#open.splice(0).reverse()) await close();
  }
}

/** What a listener of one shard heard: positions, and 'gap'. */
export async function hear(broadcast: Broadcast, shard: number): Promise<(number | 'gap')[]> {
  const heard: (number | 'gap')[] = [];
  await broadcast.subscribe(shard, {
    onMessage: (message: CommitMessage) => void heard.push(message.position),
    onGap: () => void heard.push('gap'),
  });
  return heard;
}

/** Asks again, as a worker does, until the state answers. */
export async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  const end = performance.now() + 10_000;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isAway = error instanceof Error && 'code' in error && error.code === 'STATE_UNAVAILABLE';
      if (!isAway || performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
