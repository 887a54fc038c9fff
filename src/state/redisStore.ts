import { randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { UsherError } from '../errors.ts';
import type { Commit, FailedEvent, OutboxEntry } from '../model/commit.ts';
import { noCounts, type ShardMeta } from '../model/shardMeta.ts';
import { RedisActions } from '../redis/actionTable.ts';
import { commitArguments, streamId, toOutboxEntry } from '../redis/commitArguments.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { stateFault } from '../redis/faults.ts';
import { bundleKey, type ShardKeys } from '../redis/keys.ts';
import { pack, unpack } from '../redis/packed.ts';
import { RedisProducts } from '../redis/products.ts';
import { scripts } from '../redis/scripts.ts';
import { VisitorList } from '../redis/visitorList.ts';
import type {
  ChangedVisitor,
  CommitResult,
  ProductState,
  SlotsRead,
  SnapshotNote,
  SnapshotState,
  StateStore,
  StoredVisitor,
  Wakeup,
  WakeupQuery,
} from './stateStore.ts';

/** Where bundles stand besides, for a Redis that was emptied: the log's records still name them. */
export interface BundleArchive {
  put(hash: string, text: string): Promise<void>;
  read(hash: string): Promise<string | null>;
}

/**
 * The state in Redis. What belongs to one moment is one command: a commit and taking a shard are one script each, visitors are read
 * with the meta of their shard by one MGET. A Redis that was emptied, or went back in time, is not noticed here: `own` then makes the
 * shard anew, or finds an earlier position, and the worker folds the log from there.
 */
export function redisStore(redis: RedisConnection, archive?: BundleArchive): StateStore {
  return new RedisStore(redis, archive ?? null);
}

const randomId = () => randomBytes(16).toString('hex');

class RedisStore implements StateStore, SnapshotState {
  readonly actions: RedisActions;
  readonly #redis: RedisConnection;
  readonly #archive: BundleArchive | null;
  readonly #list: VisitorList;
  readonly products: ProductState;
  /** The last slots read of each visitor, so that unchanged ones are not unpacked again. */
  readonly #slots: LRUCache<string, { readonly stored: Buffer; readonly text: string }>;
  /** The last meta read of each shard, so that an unchanged one is not parsed again. */
  readonly #metas: { text: string; meta: ShardMeta }[] = [];

  constructor(redis: RedisConnection, archive: BundleArchive | null) {
    this.#redis = redis;
    this.#archive = archive;
    this.#list = new VisitorList(redis);
    this.products = new RedisProducts(redis);
    this.actions = new RedisActions(redis);
    this.#slots = new LRUCache({ max: redis.limits.unpackedSlots });
  }

  async own(shard: number, owner: string, shards: number): Promise<ShardMeta> {
    const { settings, limits } = this.#redis;
    if (shards !== settings.shards) {
      throw new UsherError(
        'SHARDS_MISMATCH',
        `the state was made with ${settings.shards} shards, the log has ${shards}`,
      );
    }
    return this.#ask(`shard ${shard} could not be taken`, async () => {
      // Again at every turn: whoever emptied Redis has removed N too.
      await this.#redis.registerShards(shards);
      const { meta: key } = this.#keys(shard);
      const commit = randomId();
      for (let tries = 0; tries < limits.ownTries; tries++) {
        const found = this.#metaOf(shard, await this.#redis.client.get(key));
        const next: ShardMeta =
          found === null ? newShard(shard, shards, owner, commit) : { ...found, owner, epoch: found.epoch + 1, commit };
        const answer = await this.#redis.run(scripts.own, [key], [found?.commit ?? '', commit, JSON.stringify(next)]);
        if (answer === 'DONE') return next;
      }
      throw new Error(`${limits.ownTries} others took it or committed in the meantime`);
    });
  }

  get snapshots(): SnapshotState {
    return this;
  }

  async commit(commit: Commit): Promise<CommitResult> {
    const { shard } = commit.meta;
    const { keys, args } = commitArguments(commit, this.#keys(shard), this.#redis);
    return this.#ask(
      `a commit of shard ${shard} was not answered`,
      async () => (await this.#redis.run(scripts.commit, keys, args)) as CommitResult,
    );
  }

  async load(
    shard: number,
    visitors: readonly string[],
  ): Promise<{ readonly commit: string; readonly profiles: readonly (StoredVisitor | null)[] }> {
    const { readVisitors } = this.#redis.limits;
    if (visitors.length > readVisitors) {
      throw new UsherError('INTERNAL', `at most ${readVisitors} visitors are loaded at once, not ${visitors.length}`);
    }
    const keys = this.#keys(shard);
    const names = visitors.flatMap((visitor) => [keys.profiles + visitor, keys.slots + visitor]);
    const [meta, ...texts] = await this.#ask(`visitors of shard ${shard} could not be read`, () =>
      this.#redis.client.mgetBuffer(keys.meta, ...names),
    );
    return {
      commit: this.#metaOf(shard, textOf(meta))?.commit ?? '',
      profiles: visitors.map((_, i) => storedVisitor(texts[i * 2], texts[i * 2 + 1])),
    };
  }

  async readProfile(shard: number, visitor: string): Promise<StoredVisitor | null> {
    return (await this.load(shard, [visitor])).profiles[0] ?? null;
  }

  async readSlots(
    keys: readonly { readonly shard: number; readonly visitor: string }[],
  ): Promise<readonly SlotsRead[]> {
    const answers = new Array<SlotsRead>(keys.length);
    const ofShard = Map.groupBy(keys.keys(), (i) => keys[i]!.shard);
    const { readVisitors } = this.#redis.limits;
    const reads: Promise<void>[] = [];
    for (const [shard, places] of ofShard) {
      for (let from = 0; from < places.length; from += readVisitors) {
        reads.push(this.#readSlotsOf(shard, places.slice(from, from + readVisitors), keys, answers));
      }
    }
    await Promise.all(reads);
    return answers;
  }

  async #readSlotsOf(
    shard: number,
    places: readonly number[],
    keys: readonly { readonly visitor: string }[],
    answers: SlotsRead[],
  ): Promise<void> {
    const { meta: metaKey, slots } = this.#keys(shard);
    const [meta, ...texts] = await this.#ask(`slots of shard ${shard} could not be read`, () =>
      this.#redis.client.mgetBuffer(metaKey, ...places.map((i) => slots + keys[i]!.visitor)),
    );
    const read = this.#metaOf(shard, textOf(meta));
    if (read?.rebuilding) throw new UsherError('STATE_UNAVAILABLE', `shard ${shard} is being rebuilt`);
    places.forEach((i, n) => {
      answers[i] = { meta: read, slots: this.#slotsOf(keys[i]!.visitor, texts[n]) };
    });
  }

  async readMeta(shard: number): Promise<ShardMeta | null> {
    return this.#ask(`the meta of shard ${shard} could not be read`, async () =>
      this.#metaOf(shard, await this.#redis.client.get(this.#keys(shard).meta)),
    );
  }

  async wakeups(shard: number, query: WakeupQuery): Promise<readonly Wakeup[]> {
    const { timers, historic } = this.#keys(shard);
    const after = query.after === null ? [] : [query.after.at, query.after.visitor];
    const pairs = (await this.#ask(`timers of shard ${shard} could not be read`, () =>
      this.#redis.run(scripts.wakeups, [query.by === 'wall' ? timers : historic], [query.upTo, query.limit, ...after]),
    )) as string[];
    const found: Wakeup[] = [];
    for (let i = 0; i < pairs.length; i += 2) found.push({ at: Number(pairs[i + 1]), visitor: pairs[i]! });
    return found;
  }

  async nextWakeup(shard: number): Promise<number | null> {
    const [, at] = await this.#ask(`timers of shard ${shard} could not be read`, () =>
      this.#redis.client.zrange(this.#keys(shard).timers, 0, '0', 'WITHSCORES'),
    );
    return at === undefined ? null : Number(at);
  }

  async listVisitors(shard: number, after: string | null, limit: number): Promise<readonly string[]> {
    return this.#ask(`visitors of shard ${shard} could not be read`, () => this.#list.page(shard, after, limit));
  }

  async readOutbox(shard: number, after: string | null, limit: number): Promise<readonly OutboxEntry[]> {
    const from = after === null ? '-' : `(${streamId(after)}`;
    const entries = await this.#ask(`the outbox of shard ${shard} could not be read`, () =>
      this.#redis.client.xrange(this.#keys(shard).outbox, from, '+', 'COUNT', limit),
    );
    return entries.map(toOutboxEntry);
  }

  async drained(shard: number, owner: string, ids: readonly string[]): Promise<boolean> {
    const { meta, outbox } = this.#keys(shard);
    const answer = await this.#ask(`the outbox of shard ${shard} could not be changed`, () =>
      this.#redis.run(scripts.drained, [meta, outbox], [owner, ...ids.map(streamId)]),
    );
    return answer === 1;
  }

  async clear(shard: number, owner: string): Promise<boolean> {
    const { client, limits } = this.#redis;
    const keys = this.#keys(shard);
    const remove = (names: readonly string[]) => this.#redis.run(scripts.clear, [keys.meta, ...names], [owner]);
    return this.#ask(`shard ${shard} could not be cleared`, async () => {
      const { timers, historic, outbox, failed, failedOrder, changed, marker } = keys;
      let isOwner = (await remove([timers, historic, outbox, failed, failedOrder, changed, marker])) === 1;
      for (const prefix of [keys.profiles, keys.slots]) {
        let cursor = '0';
        do {
          const [next, names] = await client.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', limits.scanKeys);
          cursor = next;
          if (isOwner && names.length > 0) isOwner = (await remove(names)) === 1;
        } while (isOwner && cursor !== '0');
      }
      return isOwner;
    });
  }

  async readChanged(
    shard: number,
    limit: number,
  ): Promise<{ readonly meta: ShardMeta | null; readonly visitors: readonly ChangedVisitor[] }> {
    const keys = this.#keys(shard);
    return this.#ask(`the changed visitors of shard ${shard} could not be read`, async () => {
      const { client } = this.#redis;
      const pairs = await client.zrange(keys.changed, 0, String(limit - 1), 'WITHSCORES');
      const names: string[] = [];
      for (let i = 0; i < pairs.length; i += 2) names.push(keys.profiles + pairs[i], keys.slots + pairs[i]);
      // After the numbers: what is read of a visitor is its change of that number, or a later one.
      const [meta, ...texts] = await client.mgetBuffer(keys.meta, ...names);
      const visitors: ChangedVisitor[] = [];
      for (let i = 0; i < pairs.length; i += 2) {
        visitors.push({
          visitor: pairs[i]!,
          change: Number(pairs[i + 1]),
          stored: storedVisitor(texts[i], texts[i + 1]),
        });
      }
      return { meta: this.#metaOf(shard, textOf(meta)), visitors };
    });
  }

  async noteSnapshot(shard: number, owner: string, note: SnapshotNote): Promise<boolean> {
    const { meta, changed, marker, profiles, slots } = this.#keys(shard);
    const { written, again, change } = note;
    const isPacked = written.length <= this.#redis.limits.packedVisitors;
    const told = written.flatMap(({ stored, ...one }) => {
      const texts = isPacked && stored !== null ? [pack(stored.profile), pack(stored.slots)] : ['', ''];
      return [one.visitor, one.change, ...texts];
    });
    const keys = written.flatMap(({ visitor }) => [profiles + visitor, slots + visitor]);
    const args = [owner, note.marker ?? '', written.length, ...told, change, ...again];
    return this.#ask(`the snapshot of shard ${shard} could not be noted`, async () => {
      return (await this.#redis.run(scripts.snapshot, [meta, changed, marker, ...keys], args)) === 1;
    });
  }

  async readMarker(shard: number): Promise<string | null> {
    return this.#ask(`the snapshot of shard ${shard} could not be read`, () =>
      this.#redis.client.get(this.#keys(shard).marker),
    );
  }

  async readFailed(query: {
    readonly shard: number;
    readonly before: string | null;
    readonly limit: number;
  }): Promise<readonly FailedEvent[]> {
    const { shard, before, limit } = query;
    const { failed, failedOrder } = this.#keys(shard);
    const texts = (await this.#ask(`failed events of shard ${shard} could not be read`, () =>
      this.#redis.run(scripts.failed, [failed, failedOrder], [limit, before ?? '']),
    )) as string[];
    return texts.map((text) => JSON.parse(text) as FailedEvent);
  }

  async readFailedAt(shard: number, position: string): Promise<FailedEvent | null> {
    const text = await this.#ask(`the failed event at ${position} could not be read`, () =>
      this.#redis.client.hget(this.#keys(shard).failed, position),
    );
    return text === null ? null : (JSON.parse(text) as FailedEvent);
  }

  async putBundle(hash: string, text: string): Promise<void> {
    // The archive first: what stands in Redis is archived.
    await this.#archive?.put(hash, text);
    await this.#setBundle(hash, text);
  }

  async readBundle(hash: string): Promise<string | null> {
    const key = bundleKey(this.#redis.settings.namespace, hash);
    const text = await this.#ask(`bundle ${hash} could not be read`, () => this.#redis.client.get(key));
    if (text !== null || this.#archive === null) return text;
    const archived = await this.#archive.read(hash);
    if (archived !== null) await this.#setBundle(hash, archived);
    return archived;
  }

  async #setBundle(hash: string, text: string): Promise<void> {
    const key = bundleKey(this.#redis.settings.namespace, hash);
    await this.#ask(`bundle ${hash} could not be written`, () => this.#redis.client.set(key, text, 'NX'));
  }

  /** The connection is closed by whoever opened it. */
  async close(): Promise<void> {}

  #keys(shard: number): ShardKeys {
    const keys = this.#redis.keys[shard];
    if (keys === undefined)
      throw new UsherError('INTERNAL', `there is no shard ${shard} of ${this.#redis.keys.length}`);
    return keys;
  }

  #slotsOf(visitor: string, stored: Stored): string | null {
    if (stored === null || stored === undefined) return null;
    const last = this.#slots.get(visitor);
    if (last?.stored.equals(stored)) return last.text;
    const text = unpack(stored);
    // A copy: what was read is a piece of all that came with it.
    this.#slots.set(visitor, { stored: Buffer.from(stored), text });
    return text;
  }

  #metaOf(shard: number, text: string | null | undefined): ShardMeta | null {
    if (text === null || text === undefined) return null;
    const last = this.#metas[shard];
    if (last?.text === text) return last.meta;
    const meta = JSON.parse(text) as ShardMeta;
    this.#metas[shard] = { text, meta };
    return meta;
  }

  async #ask<T>(what: string, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw stateFault(error, what);
    }
  }
}

function newShard(shard: number, shards: number, owner: string, commit: string): ShardMeta {
  return {
    shard,
    shards,
    owner,
    epoch: 1,
    lineage: randomId(),
    commit,
    position: 0,
    outputs: 0,
    copied: 0,
    commits: 0,
    rebuilding: false,
    appendTime: 0,
    active: null,
    lastId: null,
    counters: noCounts,
    segments: {},
  };
}

function storedVisitor(profile: Stored, slots: Stored): StoredVisitor | null {
  const text = unpacked(profile);
  return text === null ? null : { profile: text, slots: unpacked(slots) ?? '' };
}

/** A value as MGET answers it. */
type Stored = Buffer | null | undefined;
const textOf = (stored: Stored) => stored?.toString();
const unpacked = (stored: Stored) => (stored === null || stored === undefined ? null : unpack(stored));
