import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { Destinations } from './actions/destinations.ts';
import { type LocalMailServer, startLocalMail } from './actions/localMail.ts';
import { type Config, isClustered } from './config.ts';
import { UsherError } from './errors.ts';
import { BundleTopic } from './kafka/bundleTopic.ts';
import type { KafkaConnection } from './kafka/client.ts';
import { KafkaInputs } from './log/kafkaInputs.ts';
import { openKafkaLog } from './log/kafkaLog.ts';
import { kafkaOutputs } from './log/kafkaOutputs.ts';
import { openKafkaSnapshots } from './log/kafkaSnapshots.ts';
import { sqliteLog } from './log/sqliteLog.ts';
import { engineProbe } from './observe/health.ts';
import { createLogger, type Logger } from './observe/logger.ts';
import { createMetrics } from './observe/metrics.ts';
import { Bundles } from './playbook/bundles.ts';
import type { Playbook } from './playbook/playbook.ts';
import { type Problem, readRightPlaybook } from './playbook/read.ts';
import { localBroadcast } from './push/localBroadcast.ts';
import { redisBroadcast } from './push/redisBroadcast.ts';
import { openRedis } from './redis/connection.ts';
import { startFront, startOperator } from './roles/front.ts';
import { messagesOf, useDestinations } from './roles/messages.ts';
import type { Engines, Parts } from './roles/parts.ts';
import { checkInputs, startInputs, startWork } from './roles/work.ts';
import { openSqlite } from './sqlite/sqlite.ts';
import { redisStore } from './state/redisStore.ts';
import { sqliteStore } from './state/sqliteStore.ts';
import type { StateStore } from './state/stateStore.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** A snapshot of a visitor outlives the visitor's retention by this. */
const snapshotGraceMs = 14 * dayMs;
/** The same warning of Kafka's client is not repeated for so long. */
const kafkaWarningEveryMs = 10_000;

/** One process of Usher: all of it, a gateway or a worker. */
export interface RunningUsher {
  readonly url: string;
  readonly port: number;
  /** Development only: the secret key with every scope, also kept in the data folder for the command line. */
  readonly devKey: string | null;
  /** Development only: the mail server of this process, whose mails the page /inbox shows. */
  readonly mailUrl: string | null;
  readonly playbook: Playbook;
  readonly problems: readonly Problem[];
  /** Resolves when all that was accepted before the call is folded, by whichever process. */
  caughtUp(): Promise<void>;
  /** Reads the playbook again and, if it is right, activates it; a broken one is reported and the last good one stays. */
  reload(): Promise<readonly Problem[]>;
  /** Stops taking requests, folds what was accepted, closes everything. */
  stop(): Promise<void>;
}

export interface ComposeOptions {
  readonly logger?: Logger;
  /** For faults in tests: what stands between the worker and the store. */
  readonly wrapStore?: (store: StateStore) => StateStore;
}

/**
 * config → a running Usher. The only place that knows adapters.
 * @throws UsherError with the codes of "starting and running" in docs/errors.md; everything opened so far is closed again
 */
export async function startUsher(config: Config, options: ComposeOptions = {}): Promise<RunningUsher> {
  const logger = options.logger ?? createLogger(config);
  const closers: (() => Promise<void>)[] = [];
  const stopping = new AbortController();
  const closeAll = async () => {
    stopping.abort(new UsherError('SHUTTING_DOWN', 'Usher is stopping'));
    for (const close of closers.reverse().splice(0)) await close();
  };
  try {
    return await compose(config, options, { logger, closers, stopping: stopping.signal, closeAll });
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function compose(
  config: Config,
  options: ComposeOptions,
  { closeAll, ...shared }: Pick<Parts, 'logger' | 'closers' | 'stopping'> & { closeAll: () => Promise<void> },
): Promise<RunningUsher> {
  // A broken playbook is told before any engine is asked.
  const own = config.role === 'gateway' ? null : await readRightPlaybook(config.playbook);
  if (own !== null) checkInputs(config, own.playbook);
  const engines = isClustered(config)
    ? await openCluster(config, options, shared)
    : await openEmbedded(config, options, shared.closers);
  const { log, store } = engines;
  const mailbox = await openMailbox(config, shared.closers);
  let listensAt: string | null = null;
  const destinations = own === null ? null : openDestinations(config, engines, mailbox, shared.closers);
  const messages =
    destinations === null ? null : messagesOf(config, own!.playbook, destinations, () => listensAt, shared.logger);
  const parts: Parts = {
    ...shared,
    config,
    engines,
    ...(mailbox && { mailbox }),
    ...(messages && { messages }),
    metrics: createMetrics(),
    bundles: new Bundles((hash) => store.readBundle(hash)),
    engineFaults: engineProbe({ 'the log': () => log.bounds(0), 'the state': () => store.readMeta(0) }),
  };
  const work = own === null ? null : await startWork(parts, own);
  const front = config.role === 'worker' ? await startOperator(parts, work!) : await startFront(parts, work);
  listensAt = front.url;
  work?.listeners.add((event) => {
    if (event.what === 'changed') useDestinations(destinations!, event.playbook, shared.logger);
  });
  if (config.watch) work?.watch();
  await work?.published;
  if (work !== null) startInputs(parts, work);

  const stop = async () => {
    // The log keeps what was accepted either way; folding it now spares the next start the work.
    await front.stop();
    await work?.worker.caughtUp(AbortSignal.timeout(config.stopDeadlineMs / 2)).catch(() => {});
    await closeAll();
  };
  let stopped: Promise<void> | null = null;
  return {
    url: front.url,
    port: front.port,
    devKey: front.devKey,
    mailUrl: mailbox?.url ?? null,
    playbook: front.playbook(),
    problems: own?.problems ?? [],
    caughtUp: () => allFolded(engines, parts.stopping),
    reload: async () => (await work?.publisher.reload()) ?? [],
    stop: () => (stopped ??= stop()),
  };
}

/** In development mail needs no configuring: it goes to this process, and the page /inbox shows it. */
async function openMailbox(config: Config, closers: Parts['closers']): Promise<LocalMailServer | null> {
  const hasServer = config.smtpUrl.some((entry) => /^smtps?:/.test(entry));
  if (config.mode !== 'development' || config.role === 'gateway' || hasServer) return null;
  const mailbox = await startLocalMail();
  closers.push(() => mailbox.close());
  return mailbox;
}

/** Where messages go. Closed after the worker, which ends its attempts first. */
function openDestinations(
  config: Config,
  { outputs }: Engines,
  mailbox: LocalMailServer | null,
  closers: Parts['closers'],
): Destinations {
  const smtpUrl = mailbox === null ? config.smtpUrl : [...config.smtpUrl, mailbox.url];
  const destinations = new Destinations({ ...config, smtpUrl, outputs: outputs?.outputs ?? null });
  closers.push(() => destinations.close());
  return destinations;
}

async function openEmbedded(config: Config, options: ComposeOptions, closers: Parts['closers']): Promise<Engines> {
  const file = await openSqlite({
    folder: config.data,
    shards: config.shards,
    appendDeadlineMs: config.appendDeadlineMs,
    retention: { ageMs: config.logRetentionDays * dayMs, bytes: config.logRetentionMb * 1_000_000 },
  });
  closers.push(() => file.close());
  const broadcast = localBroadcast();
  const log = sqliteLog(file);
  closers.push(() => log.close());
  const store = sqliteStore(file, broadcast);
  return { log, store: options.wrapStore?.(store) ?? store, broadcast, ended: () => file.writer.ended };
}

async function openCluster(
  config: Config,
  options: ComposeOptions,
  { logger, closers }: Pick<Parts, 'logger' | 'closers'>,
): Promise<Engines> {
  const { namespace, kafkaReplication: replication, kafkaMinInsync: minInsyncReplicas, appendDeadlineMs } = config;
  if (config.mode === 'production' && replication < 2) {
    logger.warn({ kafkaReplication: replication }, 'topics are made with one copy: losing a broker loses events');
  }
  const redis = await openRedis({
    url: config.redisUrl!,
    namespace,
    shards: config.shards,
    visitorRetentionMs: Math.max(config.visitorRetentionDays * dayMs, config.visitTokenHours * hourMs),
    report: ({ connection, ...event }) =>
      event.what === 'lost'
        ? logger.warn({ connection, err: event.error }, 'the connection to Redis is lost; it is tried again')
        : logger.info({ connection }, 'the connection to Redis is back'),
  });
  closers.push(() => redis.close());
  const connection = kafkaConnection(config, logger);
  const topics = { connection, replication, minInsyncReplicas };
  const log = await openKafkaLog({
    ...topics,
    topic: `${namespace}.g1.events`,
    groupId: `${namespace}.g1`,
    shards: config.shards,
    appendDeadlineMs,
    sessionTimeoutMs: config.sessionTimeoutMs,
    retentionMs: config.logRetentionDays * dayMs,
  });
  closers.push(() => log.close());
  const archive = await BundleTopic.open({ ...topics, topic: `${namespace}.g1.bundles`, deadlineMs: appendDeadlineMs });
  closers.push(() => archive.close());
  const outputs = kafkaOutputs({
    ...topics,
    namespace,
    partitions: config.outputPartitions,
    retentionMs: config.logRetentionDays * dayMs,
    deadlineMs: appendDeadlineMs,
  });
  closers.push(() => outputs.close());
  const snapshots = config.outputs.includes('profiles')
    ? await openKafkaSnapshots({
        ...topics,
        topic: `${namespace}.profiles`,
        shards: config.shards,
        retentionMs: config.visitorRetentionDays * dayMs + snapshotGraceMs,
        deadlineMs: appendDeadlineMs,
      })
    : null;
  if (snapshots !== null) closers.push(() => snapshots.close());
  const broadcast = await redisBroadcast(redis, (error) =>
    logger.error({ err: error }, 'a listener of commits failed'),
  );
  closers.push(() => broadcast.close());
  const store = redisStore(redis, archive);
  return {
    log,
    store: options.wrapStore?.(store) ?? store,
    broadcast,
    outputs: { outputs, copiedTypes: config.outputEvents, ...(snapshots && { snapshots }) },
    ...(config.inputs.length > 0 && { inputs: kafkaInputs(connection, config, logger) }),
    ended: () => null,
  };
}

function kafkaInputs(connection: KafkaConnection, config: Config, logger: Logger): KafkaInputs {
  return new KafkaInputs({
    connection,
    topics: config.inputs.map(({ topic }) => topic),
    groupId: `${config.namespace}.g1.inputs`,
    sessionTimeoutMs: config.sessionTimeoutMs,
    report: (level, message, details) => logger[level](details, message),
  });
}

function kafkaConnection(config: Config, logger: Logger): KafkaConnection {
  const { kafkaSasl: mechanism, kafkaUser: username, kafkaPassword: password } = config;
  return {
    brokers: config.kafkaBrokers,
    clientId: `${config.namespace}-${config.role}`,
    ...(config.kafkaTls ? { ssl: {} } : {}),
    ...(mechanism === 'none'
      ? {}
      : { sasl: { mechanism, username, password } as NonNullable<KafkaConnection['sasl']> }),
    report: kafkaReporter(logger),
  };
}

/** Its errors are attempts that are repeated many times a second; what fails for good is told by whoever asked. */
function kafkaReporter(logger: Logger): NonNullable<KafkaConnection['report']> {
  const last = new LRUCache<string, true>({ max: 100, ttl: kafkaWarningEveryMs });
  return (_level, message, details) => {
    if (last.has(message)) return;
    last.set(message, true);
    logger.warn({ kafka: details }, `Kafka: ${message}`);
  };
}

/** Waits until every shard is folded as far as its log goes now, whoever folds it. */
async function allFolded({ log, store }: Engines, signal: AbortSignal): Promise<void> {
  for (let shard = 0; shard < log.shards; shard++) {
    const { end } = await log.bounds(shard);
    while (((await store.readMeta(shard))?.position ?? 0) < end) await sleep(5, undefined, { signal });
  }
}
