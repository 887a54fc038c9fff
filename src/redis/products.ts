import type { ChangedProduct, ProductChange, ProductStatus, ProductText } from '../model/products.ts';
import type { RedisConnection } from './connection.ts';
import { stateFault } from './faults.ts';
import { type ProductKeys, productKeysOf } from './keys.ts';
import { scripts } from './scripts.ts';

/** Imported products in Redis: the ProductState of the state's port. */
export class RedisProducts {
  readonly #redis: RedisConnection;
  readonly #keys: ProductKeys;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.#keys = productKeysOf(redis.settings.namespace);
  }

  async put(products: readonly ProductText[]): Promise<readonly ProductChange[]> {
    const { products: texts, revisions } = this.#keys;
    const args = products.flatMap(({ id, text }) => [id, text]);
    return this.#ask('products could not be written', async () => {
      return (await this.#redis.run(scripts.putProducts, [texts, revisions], args)) as ProductChange[];
    });
  }

  async read(ids: readonly string[]): Promise<readonly (string | null)[]> {
    if (ids.length === 0) return [];
    return this.#ask('products could not be read', () => this.#redis.client.hmget(this.#keys.products, ...ids));
  }

  async readChanged(after: number, limit: number): Promise<readonly ChangedProduct[]> {
    const { client } = this.#redis;
    const { products, revisions } = this.#keys;
    return this.#ask('changed products could not be read', async () => {
      const pairs = await client.zrange(revisions, `(${after}`, '+inf', 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES');
      const ids = pairs.filter((_, i) => i % 2 === 0);
      // After the revisions: what is read of a product is its change of that revision, or a later one.
      const texts = ids.length === 0 ? [] : await client.hmget(products, ...ids);
      return ids.flatMap((id, i) => {
        const text = texts[i];
        return text == null ? [] : [{ id, revision: Number(pairs[i * 2 + 1]), text }];
      });
    });
  }

  async status(): Promise<ProductStatus> {
    const { client } = this.#redis;
    const { products, revisions, published } = this.#keys;
    return this.#ask('the state of products could not be read', async () => {
      const [count, last, text] = await Promise.all([
        client.hlen(products),
        client.zrange(revisions, 0, '0', 'REV', 'WITHSCORES'),
        client.get(published),
      ]);
      return { products: count, revision: Number(last[1] ?? 0), published: text };
    });
  }

  async publish(previous: string | null, next: string): Promise<boolean> {
    return this.#ask('what is published could not be replaced', async () => {
      const { published } = this.#keys;
      return (await this.#redis.run(scripts.publish, [published], [previous ?? '', next])) === 1;
    });
  }

  async #ask<T>(what: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw stateFault(error, what);
    }
  }
}
