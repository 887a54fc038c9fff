import { Redis } from 'ioredis';
import { UsherError } from '../errors.ts';
import { stateFault } from './faults.ts';
import { keysOf, type ShardKeys, shardsKey } from './keys.ts';
import { type RedisLimits, redisLimits } from './limits.ts';
import { type Argument, runScript, type Script } from './scripts.ts';

export interface RedisSettings {
  /** `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS. */
  readonly url: string;
  /** First part of every key. */
  readonly namespace: string;
  /** N; chosen once for a namespace. */
  readonly shards: number;
  /** R of semantics 4.5, ms. */
  readonly visitorRetentionMs: number;
  readonly limits?: Partial<RedisLimits>;
  /** Told when a connection is lost and when it is back; each at most once in turn. */
  readonly report?: (event: RedisEvent) => void;
}

export type RedisEvent =
  | { readonly what: 'lost'; readonly connection: string; readonly error: Error }
  | { readonly what: 'back'; readonly connection: string };

/** The connection that `redisStore` and `redisBroadcast` share, with what both must agree on. */
export interface RedisConnection {
  readonly client: Redis;
  readonly settings: RedisSettings;
  readonly limits: RedisLimits;
  /** By shard. */
  readonly keys: readonly ShardKeys[];
  run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
  /** One more connection, for subscribing; closed by whoever asked for it. */
  connect(name: string): Promise<Redis>;
  /**
   * Makes N the one of this Redis if it has none yet.
   * @throws UsherError SHARDS_MISMATCH
   */
  registerShards(shards: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Connects, and checks that this Redis is fit to hold the state.
 * @throws UsherError STATE_UNAVAILABLE when it does not answer, REDIS_UNSUITABLE, SHARDS_MISMATCH
 */
export async function openRedis(settings: RedisSettings): Promise<RedisConnection> {
  const limits: RedisLimits = { ...redisLimits, ...settings.limits };
  const client = await connect('usher', settings, limits);
  const connection: RedisConnection = {
    client,
    settings,
    limits,
    keys: keysOf(settings.namespace, settings.shards),
    run: (script, keys, args) => runScript(client, script, keys, args),
    connect: (name) => connect(name, settings, limits),
    registerShards: (shards) => registerShards(client, settings.namespace, shards),
    close: async () => client.disconnect(),
  };
  try {
    await checkSuitable(client);
    await connection.registerShards(settings.shards);
    return connection;
  } catch (error) {
    client.disconnect();
    throw stateFault(error, `Redis at ${addressOf(settings.url)}`);
  }
}

async function connect(name: string, settings: RedisSettings, limits: RedisLimits): Promise<Redis> {
  const { first, most } = limits.reconnectMs;
  const client = new Redis(settings.url, {
    connectionName: name,
    lazyConnect: true,
    protocol: 3,
    connectTimeout: limits.connectTimeoutMs,
    commandTimeout: limits.commandTimeoutMs,
    socketTimeout: limits.socketTimeoutMs,
    retryStrategy: (attempts) => Math.min(most, first * 2 ** Math.min(attempts, 16)) * (0.5 + Math.random() / 2),
    // Whoever asks while Redis is away is told so at once: gateways have fallbacks, workers their own back-off.
    enableOfflineQueue: false,
    // What was sent and not answered is rejected when the connection drops, and whoever sent it decides: a commit is repeated under its id.
    // Only `maxRetriesPerRequest: 0` rejects it; `autoResendUnfulfilledCommands: false` alone would leave it pending for ever.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // The broadcast subscribes anew by itself, to know when it hears again and what it may have missed.
    autoResubscribe: false,
    enableAutoPipelining: false,
    // A server that became a replica: the connection goes to the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  });
  // The error of `connect` itself only says that the connection is closed.
  let cause: Error | null = null;
  client.on('error', (error: Error) => {
    cause = error;
  });
  try {
    await client.connect();
  } catch (error) {
    client.disconnect();
    throw stateFault(cause ?? error, `Redis at ${addressOf(settings.url)} does not answer`);
  }
  reportChanges(client, name, settings.report);
  return client;
}

function reportChanges(client: Redis, connection: string, report: RedisSettings['report'] = () => {}): void {
  let isLost = false;
  let last = new Error('the connection was closed');
  // Without a listener ioredis prints every error; the last one tells why the connection went.
  client.on('error', (error: Error) => {
    last = error;
  });
  client.on('reconnecting', () => {
    if (!isLost) report({ what: 'lost', connection, error: last });
    isLost = true;
  });
  client.on('ready', () => {
    if (isLost) report({ what: 'back', connection });
    isLost = false;
  });
}

/** A Redis that throws keys away when memory is full would lose visitors without a word; one before 7 has no script headers. */
async function checkSuitable(client: Redis): Promise<void> {
  const info = await client.info();
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? 'unknown';
  const version = field('redis_version');
  if (!(Number.parseInt(version, 10) >= 7)) {
    throw new UsherError('REDIS_UNSUITABLE', `expected Redis 7 or later, this one is ${version}`);
  }
  const policy = field('maxmemory_policy');
  if (policy !== 'noeviction') {
    throw new UsherError('REDIS_UNSUITABLE', `expected maxmemory-policy noeviction, this Redis has ${policy}`);
  }
}

async function registerShards(client: Redis, namespace: string, shards: number): Promise<void> {
  const made = await client.set(shardsKey(namespace), String(shards), 'NX', 'GET');
  if (made !== null && made !== String(shards)) {
    throw new UsherError('SHARDS_MISMATCH', `the state was made with ${made} shards, this Usher is set to ${shards}`);
  }
}

/** Host, port and database, without the password. */
function addressOf(url: string): string {
  const { host, pathname } = URL.parse(url) ?? { host: 'an address that is no URL', pathname: '' };
  return `${host}${pathname === '/' ? '' : pathname}`;
}
