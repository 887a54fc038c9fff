import { compareUtf8 } from '../model/shard.ts';
import type { RedisConnection } from './connection.ts';

/**
 * The visitors of a shard in order. Redis keeps no such list, and one of our own would cost every visitor some hundred bytes for
 * what only exports need: so all keys are walked through. The rest of a walk is kept for the page that follows.
 */
export class VisitorList {
  readonly #redis: RedisConnection;
  #walked: { readonly shard: number; readonly last: string; readonly rest: readonly string[] } | null = null;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async page(shard: number, after: string | null, limit: number): Promise<readonly string[]> {
    const walked = this.#walked;
    const goesOn = walked !== null && walked.shard === shard && walked.last === after && walked.rest.length > 0;
    const found = goesOn ? walked.rest : await this.#walk(shard, after);
    const page = found.slice(0, limit);
    this.#walked = page.length < found.length ? { shard, last: page.at(-1) ?? '', rest: found.slice(limit) } : null;
    return page;
  }

  /** The first visitors after the given one, at most `listedVisitors`. */
  async #walk(shard: number, after: string | null): Promise<readonly string[]> {
    const { client, keys, limits } = this.#redis;
    const prefix = keys[shard]!.profiles;
    let found = new Set<string>();
    let cursor = '0';
    do {
      // The same key may come twice.
      const [next, names] = await client.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', limits.scanKeys);
      cursor = next;
      for (const name of names) {
        const visitor = name.slice(prefix.length);
        if (after === null || compareUtf8(visitor, after) > 0) found.add(visitor);
      }
      if (found.size >= 2 * limits.listedVisitors) found = new Set(firstOf(found, limits.listedVisitors));
    } while (cursor !== '0');
    return firstOf(found, limits.listedVisitors);
  }
}

function firstOf(visitors: Iterable<string>, limit: number): readonly string[] {
  return [...visitors].sort(compareUtf8).slice(0, limit);
}
