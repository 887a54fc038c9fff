import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GraphqlClient } from '../../../src/cli/client.ts';
import { BundleTopic } from '../../../src/kafka/bundleTopic.ts';
import type { ShardCounters } from '../../../src/model/shardMeta.ts';
import { openRedis, type RedisConnection } from '../../../src/redis/connection.ts';
import { redisStore } from '../../../src/state/redisStore.ts';
import type { StateStore } from '../../../src/state/stateStore.ts';
import type { OwnBroker } from '../../support/kafkaBroker.ts';
import type { RedisServer } from '../../support/redisServer.ts';
import { Load } from './load.ts';
import { freePort, Node, usherMain } from './node.ts';
import { visitorNamed } from './shoppers.ts';
import { Subscriber } from './subscriber.ts';

export interface FaultEngines {
  readonly broker: OwnBroker;
  readonly redis: RedisServer;
}

export const shards = 8;
export const sessionTimeoutMs = 3_000;
export const appendDeadlineMs = 3_000;
const slotsDeadlineMs = 500;
const perSecond = 200;
const visitors = 500;
const subscribers = 20;
const readEveryMs = 200;
/** What a reply may come after its deadline on a machine whose two cores do everything. */
export const lateMs = 2_000;

const slotsDocument = `query ($visitor: VisitorRef!) {
  personalizedSlots(visitor: $visitor, names: ["home_hero", "cart_banner"]) { name stale content { id } }
}`;

export interface ClusterOptions {
  /** What to run instead of Usher's own entry, and the mistake or the end that it plants. */
  readonly main?: string;
  readonly plant?: string;
  /** Where processes reach Redis, if not at its own port. */
  readonly redisUrl?: string;
}

/** Settings of the processes of one cluster; nothing else of this process's environment reaches them. */
export function clusterEnv(of: {
  readonly engines: FaultEngines;
  readonly namespace: string;
  readonly folder: string;
  readonly key: string;
}): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return {
    PATH,
    HOME,
    USHER_KAFKA_BROKERS: of.engines.broker.address,
    USHER_REDIS_URL: of.engines.redis.url,
    USHER_NAMESPACE: of.namespace,
    USHER_SHARDS: String(shards),
    USHER_SESSION_TIMEOUT_MS: String(sessionTimeoutMs),
    USHER_APPEND_DEADLINE_MS: String(appendDeadlineMs),
    USHER_SLOTS_DEADLINE_MS: String(slotsDeadlineMs),
    USHER_SECRET_KEYS: `${of.key}=write+read+import+operate`,
    USHER_DATA: of.folder,
    USHER_WATCH: 'false',
    LOG_LEVEL: 'debug',
  };
}

/** Two workers and two gateways in processes of their own, under load, with pages open; all of it in a namespace of its own. */
export class Cluster {
  readonly engines: FaultEngines;
  /** The state as anybody may read it, past any proxy. */
  readonly store: StateStore;
  readonly namespace: string;
  readonly workers: readonly Node[];
  readonly gateways: readonly Node[];
  readonly load: Load;
  readonly subscribers: readonly Subscriber[];
  readonly key: string;
  /** Answers of slots: how many, how many of them by what was last known, and the longest time one took. */
  readonly reads = { answered: 0, stale: 0, slowestMs: 0 };
  readonly #state: { readonly redis: RedisConnection; readonly archive: BundleTopic };
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #options: ClusterOptions;
  readonly #extra: Node[] = [];
  #reading: NodeJS.Timeout | null = null;
  readonly #readers: readonly GraphqlClient[];

  static async start(engines: FaultEngines, options: ClusterOptions = {}): Promise<Cluster> {
    await engines.redis.flush();
    const namespace = `f-${randomBytes(6).toString('hex')}`;
    const redis = await openRedis({ url: engines.redis.url, namespace, shards, visitorRetentionMs: 90 * 86_400_000 });
    // A Redis that was emptied has its bundles back when a worker asks for them.
    const archive = await BundleTopic.open({
      connection: { brokers: [engines.broker.address], clientId: 'faults' },
      topic: `${namespace}.g1.bundles`,
      replication: 1,
      minInsyncReplicas: 1,
      deadlineMs: 10_000,
    });
    const folder = await mkdtemp(join(tmpdir(), 'usher-faults-'));
    const cluster = new Cluster(engines, { redis, archive }, options, folder, [await freePort(), await freePort()]);
    try {
      await Promise.all(cluster.nodes.map((node) => node.start()));
      cluster.#open();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    engines: FaultEngines,
    state: { readonly redis: RedisConnection; readonly archive: BundleTopic },
    options: ClusterOptions,
    folder: string,
    ports: readonly number[],
  ) {
    this.engines = engines;
    this.#state = state;
    this.store = redisStore(state.redis, state.archive);
    this.namespace = state.redis.settings.namespace;
    this.#folder = folder;
    this.#options = options;
    this.key = `usk_${randomBytes(16).toString('hex')}`;
    const { namespace } = state.redis.settings;
    this.#env = {
      ...clusterEnv({ engines, namespace, folder, key: this.key }),
      ...(options.redisUrl === undefined ? {} : { USHER_REDIS_URL: options.redisUrl }),
      ...(options.plant === undefined ? {} : { USHER_TEST_PLANT: options.plant }),
    };
    this.workers = [this.#node('worker', 0), this.#node('worker', 0)];
    this.gateways = ports.map((port) => this.#node('gateway', port));
    const urls = this.gateways.map(({ url }) => url);
    const seed = Number(process.env['USHER_TEST_SEED'] ?? 20_191_001);
    this.load = new Load({ urls, key: this.key, perSecond, visitors, seed });
    this.#readers = urls.map((url) => new GraphqlClient(url, this.key, 4));
    this.subscribers = Array.from({ length: subscribers }, (_, n) => new Subscriber(visitorNamed(n), urls, n));
  }

  get nodes(): readonly Node[] {
    return [...this.workers, ...this.gateways, ...this.#extra];
  }

  /** One more worker, not started yet. It is no part of what is healed. */
  extraWorker(): Node {
    const node = this.#node('worker', 0);
    this.#extra.push(node);
    return node;
  }

  /** Lines of this kind in the logs of all processes that ever lived. */
  count(message: string): number {
    return this.nodes.reduce((sum, node) => sum + node.count(message), 0);
  }

  /** How often a shard was taken, the first time apart. */
  get handovers(): number {
    return this.count('shard owned') - shards;
  }

  /** Records that the state has folded, of all shards. */
  async folded(): Promise<number> {
    let sum = 0;
    for (let shard = 0; shard < shards; shard++) sum += (await this.store.readMeta(shard))?.position ?? 0;
    return sum;
  }

  /**
   * A visitor logs in, four devices to a user, by whichever gateway answers; no page of the subscribers is one of them.
   * @returns whether it was written down, for all that its device knows
   */
  async identify(n: number): Promise<boolean> {
    const visitor = subscribers + (n % (visitors - subscribers));
    const document =
      'mutation ($token: String!) { identify(input: { token: $token }) { visit { token } error { code } } }';
    const client = new GraphqlClient(this.gateways[n % this.gateways.length]!.url, visitorNamed(visitor), 1);
    try {
      const variables = { token: `dev:user${Math.floor(visitor / 4)}` };
      const answer = await client.ask<{ identify: { visit: object | null } }>(document, variables);
      return answer.kind === 'data' && answer.data.identify.visit !== null;
    } finally {
      client.close();
    }
  }

  /** A counter of all shards. */
  async counted(name: keyof ShardCounters): Promise<number> {
    let sum = 0;
    for (let shard = 0; shard < shards; shard++) sum += (await this.store.readMeta(shard))?.counters[name] ?? 0;
    return sum;
  }

  #node(role: Node['role'], port: number): Node {
    return new Node({ role, port, main: this.#options.main ?? usherMain, env: this.#env });
  }

  #open(): void {
    this.load.begin();
    let turn = 0;
    this.#reading = setInterval(() => {
      turn++;
      const reader = turn % this.#readers.length;
      // Nobody waits at a gateway that is not there.
      if (this.gateways[reader]!.isUp) void this.#read(this.#readers[reader]!, visitorNamed(turn % visitors));
    }, readEveryMs);
  }

  async #read(client: GraphqlClient, visitorId: string): Promise<void> {
    const startedAt = performance.now();
    const answer = await client.ask<{ personalizedSlots: { stale: boolean }[] }>(slotsDocument, {
      visitor: { visitorId },
    });
    this.reads.slowestMs = Math.max(this.reads.slowestMs, performance.now() - startedAt);
    if (answer.kind === 'unreached') return;
    this.reads.answered++;
    if (answer.kind === 'data' && answer.data.personalizedSlots.some(({ stale }) => stale)) this.reads.stale++;
    // Whose visitor has logged in reads no more by its name.
    if (answer.kind === 'errors' && answer.code !== 'TOKEN_SUPERSEDED')
      this.problems.push(`a page was answered ${answer.code}: ${answer.message}`);
  }

  /** What must never be, noticed while it ran. */
  readonly problems: string[] = [];

  /** No more events come, all is started again, and all that was sent is settled. */
  async heal(): Promise<void> {
    this.load.end();
    for (const node of this.workers) node.signal('SIGCONT');
    await Promise.all([...this.workers, ...this.gateways].map((node) => node.start()));
    await this.load.settled(60_000);
    if (this.#reading !== null) clearInterval(this.#reading);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.load.close();
    if (this.#reading !== null) clearInterval(this.#reading);
    for (const reader of this.#readers) reader.close();
    await Promise.all(this.subscribers.map((subscriber) => subscriber.close()));
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.#state.redis.close();
    await this.#state.archive.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export const topicOf = (cluster: Cluster, name: string) => `${cluster.namespace}.${name}`;
