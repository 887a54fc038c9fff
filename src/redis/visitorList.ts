import { compareUtf8 } from '../model/shard.ts';
import type { RedisConnection } from './connection.ts';

/** What a walk found: visitors in order; `isAll`: there was nothing beyond them. */
interface Walk {
  readonly visitors: readonly string[];
  readonly isAll: boolean;
}

/**
 * The visitors of a shard in order. Redis keeps no such list, and one of our own would cost every visitor some hundred bytes for
 * what only exports need: so all keys are walked through. The rest of a walk is kept for the page that follows.
 */
export class VisitorList {
  readonly #redis: RedisConnection;
  #rest: (Walk & { readonly shard: number; readonly after: string }) | null = null;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async page(shard: number, after: string | null, limit: number): Promise<readonly string[]> {
    const page: string[] = [];
    let last = after;
    while (page.length < limit) {
      const rest = this.#rest;
      const walk = rest !== null && rest.shard === shard && rest.after === last ? rest : await this.#walk(shard, last);
      const taken = walk.visitors.slice(0, limit - page.length);
      page.push(...taken);
      last = page.at(-1) ?? last;
      const left = walk.visitors.slice(taken.length);
      this.#rest =
        left.length === 0 || last === null ? null : { visitors: left, isAll: walk.isAll, shard, after: last };
      if (left.length === 0 && walk.isAll) break;
    }
    return page;
  }

  /** The first visitors after the given one, at most `listedVisitors`. */
  async #walk(shard: number, after: string | null): Promise<Walk> {
    const { client, keys, limits } = this.#redis;
    const prefix = keys[shard]!.profiles;
    let found = new Set<string>();
    let isAll = true;
    let cursor = '0';
    do {
      // The same key may come twice.
      const [next, names] = await client.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', limits.scanKeys);
      cursor = next;
      for (const name of names) {
        const visitor = name.slice(prefix.length);
        if (after === null || compareUtf8(visitor, after) > 0) found.add(visitor);
      }
      if (found.size >= 2 * limits.listedVisitors || (cursor === '0' && found.size > limits.listedVisitors)) {
        found = new Set(firstOf(found, limits.listedVisitors));
        isAll = false;
      }
    } while (cursor !== '0');
    return { visitors: firstOf(found, limits.listedVisitors), isAll };
  }
}

function firstOf(visitors: Iterable<string>, limit: number): readonly string[] {
  return [...visitors].sort(compareUtf8).slice(0, limit);
}
