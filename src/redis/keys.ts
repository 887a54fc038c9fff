import { tagsOf } from './tags.ts';

/** g1, the generation: another number of shards makes the next one (semantics 1.2). */
const prefixOf = (namespace: string) => `${namespace}:g1:`;

/** N, written once by whoever comes first. */
export function shardsKey(namespace: string): string {
  return `${prefixOf(namespace)}shards`;
}

export function bundleKey(namespace: string, hash: string): string {
  return `${prefixOf(namespace)}bundle:${hash}`;
}

/** Keys of imported products, which belong to no shard. One tag, so one script may use them together. */
export interface ProductKeys {
  /** Hash: id → text. */
  readonly products: string;
  /** Sorted set: member id, score the revision of its last change. */
  readonly revisions: string;
  /** String: what is published. */
  readonly published: string;
}

export function productKeysOf(namespace: string): ProductKeys {
  const of = (name: string) => `${prefixOf(namespace)}{catalog}:${name}`;
  return { products: of('products'), revisions: of('revisions'), published: of('published') };
}

/** The keys of one shard. All carry its tag, so one script may use them together on a cluster too. */
export interface ShardKeys {
  /** String: ShardMeta as JSON. */
  readonly meta: string;
  /** Sorted sets: member visitor; score wakeAt, or historicDue. */
  readonly timers: string;
  readonly historic: string;
  /** Stream: id `<offset + 1>-<n>`, because 0-0 is no stream id; fields topic, key, value. */
  readonly outbox: string;
  /** Hash: position → FailedEvent as JSON. */
  readonly failed: string;
  /** Sorted set: member position, score the number of its writing. */
  readonly failedOrder: string;
  /** Sorted set: member visitor, score the commit that changed it last; until the snapshot has it (semantics 4.7). */
  readonly changed: string;
  /** String: the newest marker of the snapshot, JSON. */
  readonly marker: string;
  /** Hash: id → state, drives, destination and StoredAction as JSON, or nothing of one that is over. */
  readonly actions: string;
  /** Set of ids: somebody has still to do something. */
  readonly actionsPending: string;
  /** Sorted sets: member id, score when it came to be dead, or done. */
  readonly actionsDead: string;
  readonly actionsDone: string;
  /** Channel of the shard's commits. */
  readonly changes: string;
  /** String, before the visitor's id: the profile. */
  readonly profiles: string;
  /** String, before the visitor's id: the slots. */
  readonly slots: string;
}

/** @returns the keys by shard */
export function keysOf(namespace: string, shards: number): readonly ShardKeys[] {
  return tagsOf(shards).map((tag) => {
    const of = (name: string) => `${prefixOf(namespace)}{${tag}}:${name}`;
    return {
      meta: of('meta'),
      timers: of('timers'),
      historic: of('historic'),
      outbox: of('outbox'),
      failed: of('failed'),
      failedOrder: of('failed:order'),
      changed: of('changed'),
      marker: of('marker'),
      actions: of('actions'),
      actionsPending: of('actions:pending'),
      actionsDead: of('actions:dead'),
      actionsDone: of('actions:done'),
      changes: of('changes'),
      profiles: of('v:'),
      slots: of('s:'),
    };
  });
}
