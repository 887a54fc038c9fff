import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { type Config, isClustered } from './config.ts';
import { UsherError } from './errors.ts';
import { defaultFoldSettings } from './fold/work.ts';
import { FollowedPlaybook } from './gateway/followedPlaybook.ts';
import { startGateway } from './gateway/gateway.ts';
import { readSecrets } from './gateway/secrets.ts';
import { BundleTopic } from './kafka/bundleTopic.ts';
import type { KafkaConnection } from './kafka/client.ts';
import type { EventLog } from './log/eventLog.ts';
import { KafkaInputs } from './log/kafkaInputs.ts';
import { openKafkaLog } from './log/kafkaLog.ts';
import { kafkaOutputs } from './log/kafkaOutputs.ts';
import { openKafkaSnapshots } from './log/kafkaSnapshots.ts';
import { sqliteLog } from './log/sqliteLog.ts';
import { nearest } from './model/nearest.ts';
import { engineProbe, lagReasons, readinessOf } from './observe/health.ts';
import { createLogger, type Logger } from './observe/logger.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { startOperatorServer } from './observe/operatorServer.ts';
import { Bundles } from './playbook/bundles.ts';
import type { Catalog, Playbook } from './playbook/playbook.ts';
import { formatProblem, type Problem, type RightPlaybook, readRightPlaybook } from './playbook/read.ts';
import { watchPlaybook } from './playbook/watch.ts';
import type { Broadcast } from './push/broadcast.ts';
import { Hub } from './push/hub.ts';
import { localBroadcast } from './push/localBroadcast.ts';
import { redisBroadcast } from './push/redisBroadcast.ts';
import { openRedis } from './redis/connection.ts';
import { openSqlite } from './sqlite/sqlite.ts';
import { redisStore } from './state/redisStore.ts';
import { sqliteStore } from './state/sqliteStore.ts';
import type { StateStore } from './state/stateStore.ts';
import { InputIntake, type InputReport } from './worker/inputIntake.ts';
import type { OutputEvent } from './worker/lanes.ts';
import { thisMachine } from './worker/machine.ts';
import type { CopiesLost, OutputServices } from './worker/outputWriters.ts';
import { type PublishEvent, Publisher } from './worker/publisher.ts';
import { rebuildShard } from './worker/rebuild.ts';
import { type ShardEvent, workerLimits } from './worker/shard.ts';
import type { SnapshotEvent } from './worker/snapshotWriter.ts';
import { Worker } from './worker/worker.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** A snapshot of a visitor outlives the visitor's retention by this. */
const snapshotGraceMs = 14 * dayMs;
/** The same warning of Kafka's client is not repeated for so long. */
const kafkaWarningEveryMs = 10_000;
/** How often a worker without a gateway asks the log how far it is behind. */
const lagEveryMs = 2_000;

/** One process of Usher: all of it, a gateway or a worker. */
export interface RunningUsher {
  readonly url: string;
  readonly port: number;
  /** Development only: the secret key with every scope, also kept in the data folder for the command line. */
  readonly devKey: string | null;
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

/** The log, the state and the news of it, over whichever engines. */
interface Engines {
  readonly log: EventLog;
  readonly store: StateStore;
  readonly broadcast: Broadcast;
  /** Topics for other systems; embedded there are none. */
  readonly outputs?: OutputServices;
  /** Why nothing can be written until this process is restarted; null: it can. */
  ended(): string | null;
}

/** What the parts of one process share. */
interface Parts {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly engines: Engines;
  readonly bundles: Bundles;
  /** Which engines do not answer. */
  readonly engineFaults: () => Promise<readonly string[]>;
  /** Aborted at the end of a stop: what still waits then waits for nothing. */
  readonly stopping: AbortSignal;
  /** Called in reverse order, after a failed start too. */
  readonly closers: (() => Promise<void>)[];
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
  const parts: Parts = {
    ...shared,
    config,
    engines,
    metrics: createMetrics(),
    bundles: new Bundles((hash) => store.readBundle(hash)),
    engineFaults: engineProbe({ 'the log': () => log.bounds(0), 'the state': () => store.readMeta(0) }),
  };
  const work = own === null ? null : await startWork(parts, own);
  const front = config.role === 'worker' ? await startOperator(parts, work!) : await startFront(parts, work);
  if (config.watch) work?.watch();
  await work?.published;
  if (work !== null && config.inputs.length > 0) startInputs(parts, work);

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
    playbook: front.playbook(),
    problems: own?.problems ?? [],
    caughtUp: () => allFolded(engines, parts.stopping),
    reload: async () => (await work?.publisher.reload()) ?? [],
    stop: () => (stopped ??= stop()),
  };
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
    visitorRetentionMs: config.visitorRetentionDays * dayMs,
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
    ended: () => null,
  };
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

/** The worker of this process, and what has the shards run its playbook. */
interface Work {
  readonly worker: Worker;
  readonly publisher: Publisher;
  /** Resolves when the shards of this process run the playbook. */
  readonly published: Promise<void>;
  readonly listeners: Set<(event: PublishEvent) => void>;
  watch(): void;
}

async function startWork(parts: Parts, own: RightPlaybook): Promise<Work> {
  const { config, logger, metrics, engines, bundles, closers, stopping } = parts;
  const { log, store, outputs } = engines;
  const worker = new Worker({
    log,
    store,
    ...(outputs === undefined ? {} : { outputs }),
    bundles,
    fold: {
      ...defaultFoldSettings,
      maxEventAgeMs: config.maxEventAgeHours * hourMs,
      visitorRetentionMs: config.visitorRetentionDays * dayMs,
      outputs: outputs === undefined ? [] : config.outputs.filter((output) => output !== 'profiles'),
    },
    limits: workerLimits,
    // Several workers of one machine differ by their ports.
    machine: { ...thisMachine, name: `${thisMachine.name}:${config.port}` },
    report: (shard, event) => reportShard(logger, metrics, shard, event),
  });
  await worker.start();
  closers.push(() => worker.stop());
  const listeners: Work['listeners'] = new Set();
  const publisher = new Publisher(own, {
    folder: config.playbook,
    log,
    store,
    worker,
    signal: stopping,
    report: (event) => {
      reportPublishing(logger, event);
      for (const listener of listeners) listener(event);
    },
  });
  const published = publisher.publish().catch((error: Error) => {
    if (!stopping.aborted) throw error;
  });
  // The first start of all: an event that came before any playbook would decide nothing. Later starts answer at once, and fold what
  // is behind meanwhile.
  if ((await store.readMeta(0))?.active == null) await published;
  return {
    worker,
    publisher,
    published,
    listeners,
    watch() {
      const watcher = watchPlaybook(config.playbook, () => {
        publisher.reload().catch((error: Error) => logger.error({ err: error }, 'reload failed'));
      });
      closers.push(async () => watcher.close());
    },
  };
}

/** What answers on the port. */
interface Front {
  readonly url: string;
  readonly port: number;
  readonly devKey: string | null;
  playbook(): Playbook;
  stop(): Promise<void>;
}

/** A worker without a gateway: its health and figures. */
async function startOperator(parts: Parts, { worker, publisher }: Work): Promise<Front> {
  const { config, logger, metrics, engineFaults, closers } = parts;
  let lag: ReadonlyMap<number, number> = new Map();
  const measure = async () => {
    lag = await worker.lag();
  };
  const timer = setInterval(() => {
    measure().catch((error: Error) => logger.debug({ err: error }, 'the log does not tell how far it goes'));
  }, lagEveryMs).unref();
  closers.push(async () => clearInterval(timer));
  metrics.readLag(() => lag);
  const server = await startOperatorServer({
    ...config,
    metrics,
    ready: async () => readinessOf([...(await engineFaults()), ...worker.faults(), ...lagReasons(lag)]),
  });
  return { ...server, devKey: null, playbook: () => publisher.playbook, stop: () => server.close() };
}

/** The gateway, with the playbook of this process's worker, or that of the others' when it has none. */
async function startFront(parts: Parts, work: Work | null): Promise<Front> {
  const { config, logger, metrics, engines, bundles, engineFaults, closers, stopping } = parts;
  const { log, store, broadcast } = engines;
  const hub = new Hub({ broadcast, store, shards: config.shards });
  await hub.start();
  closers.push(() => hub.stop());
  const followed =
    work === null
      ? await FollowedPlaybook.first(store, bundles, stopping, () =>
          logger.warn('no playbook is active yet: start a worker, which publishes one'),
        )
      : null;
  const current = (): { playbook: Playbook; catalog: Catalog } => followed ?? work!.publisher;
  const secrets = readSecrets(config);
  const gateway = await startGateway({
    config,
    log,
    store,
    hub,
    bundles,
    playbook: () => current().playbook,
    catalog: () => current().catalog,
    playbookFolder: config.playbook,
    assetsFolder: join(import.meta.dirname, '..', 'dist', 'web'),
    logger,
    metrics,
    secrets,
    engineFaults,
    rebuildShard: (shard) => {
      const snapshots = engines.outputs?.snapshots;
      return rebuildShard(shard, { log, store, machine: thisMachine, ...(snapshots && { snapshots }) });
    },
    ...(work === null ? {} : { workerFaults: () => workerFaults(engines, work.worker) }),
  });
  closers.push(() => gateway.stop());
  const changed = (playbook: Playbook) => gateway.schemaReload(playbook);
  followed?.follow(changed, (error) => logger.warn({ err: error }, 'the active playbook could not be read'));
  closers.push(async () => followed?.stop());
  work?.listeners.add((event) => {
    if (event.what === 'changed') changed(event.playbook);
    // Visitors who only listen are decided anew now, not at the next recheck.
    if (event.what === 'published') void hub.recheck();
  });
  return { ...gateway, devKey: secrets.devKey, playbook: () => current().playbook };
}

/** @throws UsherError CONFIG_INVALID when a topic is mapped to what the tracking plan does not have */
function checkInputs({ inputs }: Config, { events }: Playbook): void {
  for (const { topic, type } of inputs) {
    if (events.has(type)) continue;
    const near = nearest(type, events.keys());
    const hint = near === null ? '' : `; did you mean ${near}?`;
    throw new UsherError(
      'CONFIG_INVALID',
      `inputs: ${topic} is mapped to ${type}, which is not a type of the tracking plan${hint}`,
    );
  }
}

/** Takes other programs' topics in. Only when the shards run a playbook: what came before would decide nothing. */
function startInputs(parts: Parts, { publisher }: Work): void {
  const { config, logger, metrics, engines, closers } = parts;
  const inputs = new KafkaInputs({
    connection: kafkaConnection(config, logger),
    topics: config.inputs.map(({ topic }) => topic),
    groupId: `${config.namespace}.g1.inputs`,
    sessionTimeoutMs: config.sessionTimeoutMs,
    report: (level, message, details) => logger[level](details, message),
  });
  const intake = new InputIntake({
    inputs,
    log: engines.log,
    mappings: config.inputs,
    playbook: () => publisher.playbook,
    maxEventAgeMs: config.maxEventAgeHours * hourMs,
    machine: thisMachine,
    report: (event) => reportInput(logger, metrics, event),
  });
  intake.start();
  closers.push(() => intake.stop());
}

function reportInput(logger: Logger, metrics: Metrics, event: InputReport): void {
  if (event.what === 'taken') metrics.inputTaken(event.topic, event.events, event.rejected);
  else
    logger.warn({ ...event, afterMs: Math.round(event.afterMs) }, 'the log does not take input records; tried again');
}

function workerFaults(engines: Engines, worker: Worker): readonly string[] {
  const ended = engines.ended();
  return ended === null
    ? worker.faults()
    : [`nothing can be written until Usher is restarted: ${ended}`, ...worker.faults()];
}

/** Waits until every shard is folded as far as its log goes now, whoever folds it. */
async function allFolded({ log, store }: Engines, signal: AbortSignal): Promise<void> {
  for (let shard = 0; shard < log.shards; shard++) {
    const { end } = await log.bounds(shard);
    while (((await store.readMeta(shard))?.position ?? 0) < end) await sleep(5, undefined, { signal });
  }
}

function reportShard(logger: Logger, metrics: Metrics, shard: number, event: ShardEvent): void {
  if (event.what === 'owned' || event.what === 'fenced' || event.what === 'retrying') metrics.shardHeld(event.what);
  if (event.what === 'committed') metrics.committed(event);
  else if (event.what === 'owned')
    logger.debug({ shard, position: event.meta.position, epoch: event.meta.epoch }, 'shard owned');
  else if (event.what === 'fenced') logger.warn({ shard }, 'another process took the shard');
  else if (event.what === 'retrying')
    logger.warn({ shard, err: event.error, afterMs: Math.round(event.afterMs) }, 'shard tries again');
  else if (event.what === 'stopped')
    logger.error({ shard, code: event.error.code, help: event.error.help }, event.error.message);
  else if (event.what === 'rolledBack')
    logger.error({ shard, from: event.from, to: event.to }, 'the state went back in time; it is folded on from there');
  else if (event.what === 'rebuilding')
    logger.warn(
      { shard, from: event.from, to: event.to },
      'the state is made anew; nobody reads it before it is whole',
    );
  else reportOutputs(logger, metrics, shard, event);
}

function reportOutputs(
  logger: Logger,
  metrics: Metrics,
  shard: number,
  event: OutputEvent | SnapshotEvent | CopiesLost,
): void {
  if (event.what === 'copiesLost') {
    logger.error(
      { shard, from: event.from, to: event.to },
      'records left the log before they were copied to their topics',
    );
    return;
  }
  if (event.what === 'snapshotWritten') {
    metrics.outputsWritten('profiles', event.visitors);
    return;
  }
  if (event.what === 'snapshotReach') {
    metrics.snapshotMissing(shard, event.missing);
    if (event.missing > 0)
      logger.error(
        { shard, snapshotUpTo: event.upTo, logFrom: event.low },
        'the log no longer reaches back to the snapshot: a state that is lost now is lost for good',
      );
    return;
  }
  if (event.what === 'snapshotFailing') {
    logger.warn({ shard, err: event.error, afterMs: Math.round(event.afterMs) }, 'the snapshot is written again');
    return;
  }
  metrics.outputsWaiting(shard, event.queue, event.waiting);
  if (event.what === 'outputsWritten') metrics.outputsWritten(event.topic, event.entries);
  else if (event.what === 'outputsFull')
    logger.warn({ shard, waiting: event.waiting }, 'the shard waits for topics to take its outputs');
  else
    logger.warn(
      { shard, topic: event.topic, err: event.error, afterMs: Math.round(event.afterMs) },
      'an output is written again',
    );
}

function reportPublishing(logger: Logger, event: PublishEvent): void {
  if (event.what === 'broken') {
    const problems = event.problems.map(formatProblem);
    logger.error({ problems }, 'the playbook has mistakes; the last good one stays');
  } else if (event.what === 'retrying') {
    logger.warn({ err: event.error }, 'the playbook could not be activated; it is tried again');
  } else if (event.what === 'published') {
    const { version, rules } = event.playbook;
    logger.info({ playbook: version, rules: rules.size }, 'playbook published');
  }
}
