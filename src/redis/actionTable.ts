import { type DeadQuery, isOver, isPending, type StoredAction } from '../model/storedAction.ts';
import type { RedisConnection } from './connection.ts';
import { stateFault } from './faults.ts';
import type { ShardKeys } from './keys.ts';
import { scripts } from './scripts.ts';

/** A shard's actions in Redis. Each change is one script. */
export class RedisActions {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  accept(shard: number, owner: string, actions: readonly StoredAction[]): Promise<readonly string[] | null> {
    return this.#change('accept', shard, owner, actions);
  }

  async write(shard: number, owner: string, actions: readonly StoredAction[]): Promise<boolean> {
    return (await this.#change('write', shard, owner, actions)) !== null;
  }

  #change(
    how: 'accept' | 'write',
    shard: number,
    owner: string,
    actions: readonly StoredAction[],
  ): Promise<readonly string[] | null> {
    const { limits, keys: all } = this.#redis;
    const { meta, actions: texts, actionsPending, actionsDead, actionsDone } = all[shard]!;
    const told = actions.flatMap((action) => {
      const { order, state, changedAt } = action;
      const text = isOver(action) ? '' : JSON.stringify(action);
      return [order.id, state, order.redriven, order.destination, changedAt, isPending(action) ? 1 : 0, text];
    });
    return this.#ask(shard, async () => {
      const keys = [meta, texts, actionsPending, actionsDead, actionsDone];
      const args = [owner, how, limits.deadLetters, limits.doneActions, ...told];
      const answer = await this.#redis.run(scripts.actions, keys, args);
      return Array.isArray(answer) ? (answer as string[]) : null;
    });
  }

  async readPending(shard: number, after: string | null, limit: number): Promise<readonly StoredAction[]> {
    const { actions, actionsPending } = this.#keys(shard);
    return this.#ask(shard, async () => {
      const ids = (await this.#redis.client.smembers(actionsPending)).sort();
      const page = ids.filter((id) => after === null || id > after).slice(0, limit);
      if (page.length === 0) return [];
      const texts = await this.#redis.client.hmget(actions, ...page);
      return texts.filter((text) => text !== null).map(actionOf);
    });
  }

  async readDead({ shard, destination, before, limit }: DeadQuery): Promise<readonly StoredAction[]> {
    const { actions, actionsDead } = this.#keys(shard);
    const from = before === null ? [] : [before.changedAt, before.id];
    return this.#ask(shard, async () => {
      const args = [limit, destination ?? '', ...from];
      const texts = (await this.#redis.run(scripts.deadLetters, [actions, actionsDead], args)) as string[];
      return texts.map((text) => JSON.parse(text) as StoredAction);
    });
  }

  async readDeadOf(shard: number, id: string): Promise<StoredAction | null> {
    const text = await this.#ask(shard, () => this.#redis.client.hget(this.#keys(shard).actions, id));
    return text?.startsWith('dead ') ? actionOf(text) : null;
  }

  #keys(shard: number): ShardKeys {
    return this.#redis.keys[shard]!;
  }

  async #ask<T>(shard: number, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw stateFault(error, `the actions of shard ${shard} could not be read or written`);
    }
  }
}

/** After state, drives and destination. */
function actionOf(text: string): StoredAction {
  return JSON.parse(text.slice(text.indexOf('{'))) as StoredAction;
}
