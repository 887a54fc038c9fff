import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { UsherError } from './errors.ts';
import { defaultFoldSettings } from './fold/work.ts';
import { startGateway } from './gateway/gateway.ts';
import { parseSecretKeys, type SecretKey } from './gateway/tokens.ts';
import { sqliteLog } from './log/sqliteLog.ts';
import { createLogger, type Logger } from './observe/logger.ts';
import { createMetrics } from './observe/metrics.ts';
import { Bundles } from './playbook/bundles.ts';
import type { Playbook } from './playbook/playbook.ts';
import { type Problem, readPlaybook } from './playbook/read.ts';
import { watchPlaybook } from './playbook/watch.ts';
import { Hub } from './push/hub.ts';
import { localBroadcast } from './push/localBroadcast.ts';
import { openSqlite } from './sqlite/sqlite.ts';
import { sqliteStore } from './state/sqliteStore.ts';
import type { StateStore } from './state/stateStore.ts';
import { activate } from './worker/activate.ts';
import { thisMachine } from './worker/machine.ts';
import { type ShardEvent, workerLimits } from './worker/shard.ts';
import { Worker } from './worker/worker.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** A whole Usher in this process. */
export interface RunningUsher {
  readonly url: string;
  readonly port: number;
  /** Development only: the secret key with every scope, also kept in the data folder for the command line. */
  readonly devKey: string | null;
  readonly playbook: Playbook;
  readonly problems: readonly Problem[];
  /** Resolves when all that was accepted before the call is folded. */
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
  const closeAll = async () => {
    for (const close of closers.reverse().splice(0)) await close();
  };
  try {
    return await compose(config, logger, options, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function compose(
  config: Config,
  logger: Logger,
  options: ComposeOptions,
  closers: (() => Promise<void>)[],
  closeAll: () => Promise<void>,
): Promise<RunningUsher> {
  const first = await readPlaybook(config.playbook);
  if (first.playbook === null || first.catalog === null) throw brokenPlaybook(config.playbook, first.problems);
  let published: Playbook = first.playbook;
  let bundle = first;

  const file = await openSqlite({
    folder: config.data,
    shards: config.shards,
    appendDeadlineMs: config.appendDeadlineMs,
    retention: { ageMs: config.logRetentionDays * dayMs, bytes: config.logRetentionMb * 1_000_000 },
  });
  closers.push(() => file.close());
  const secrets = readSecrets(config);
  const broadcast = localBroadcast();
  const log = sqliteLog(file);
  const plainStore = sqliteStore(file, broadcast);
  const store = options.wrapStore?.(plainStore) ?? plainStore;
  closers.push(() => log.close());

  const metrics = createMetrics();
  const bundles = new Bundles((hash) => store.readBundle(hash));
  const hub = new Hub({ broadcast, store, shards: config.shards });
  await hub.start();
  closers.push(() => hub.stop());

  const worker = new Worker({
    log,
    store,
    bundles,
    fold: {
      ...defaultFoldSettings,
      maxEventAgeMs: config.maxEventAgeHours * hourMs,
      visitorRetentionMs: config.visitorRetentionDays * dayMs,
    },
    limits: workerLimits,
    machine: thisMachine,
    report: (shard, event) => reportShard(logger, metrics, shard, event),
  });
  await worker.start();
  closers.push(() => worker.stop());

  const stopping = new AbortController();
  const isActive = (
    meta: { active: { playbook: string; catalog: string } | null },
    hashes: { playbook: string; catalog: string },
  ) => meta.active?.playbook === hashes.playbook && meta.active.catalog === hashes.catalog;
  const hashesOf = (read: typeof first) => ({ playbook: read.playbook!.version, catalog: read.catalog!.version });
  const publish = async () => {
    await worker.caughtUp(stopping.signal);
    const behind = [...worker.states()]
      .filter(([, { meta }]) => meta !== null && !isActive(meta, hashesOf(bundle)))
      .map(([shard]) => shard);
    if (behind.length > 0) await activate({ log, store }, bundle, behind);
    await worker.caughtUp(stopping.signal);
  };

  // The first start of all: an event that came before any playbook would decide nothing. Later starts answer at once, and fold what
  // is behind meanwhile.
  await worker.until(() => true, stopping.signal);
  if ([...worker.states().values()].some(({ meta }) => meta?.active === null)) await publish();

  const gateway = await startGateway({
    config,
    log,
    store,
    hub,
    bundles,
    playbook: () => published,
    catalog: () => bundle.catalog!,
    playbookFolder: config.playbook,
    assetsFolder: join(import.meta.dirname, '..', 'dist', 'web'),
    logger,
    metrics,
    secrets,
    workerReady: () => {
      const reasons: string[] = [];
      const { ended } = file.writer;
      if (ended !== null) reasons.push(`nothing can be written until Usher is restarted: ${ended}`);
      for (const [shard, { meta, stopped }] of worker.states()) {
        if (stopped !== null) reasons.push(`shard ${shard} stopped: ${stopped.code}: ${stopped.message}`);
        else if (meta === null) reasons.push(`shard ${shard} is not owned yet`);
        else if (meta.active === null) reasons.push(`shard ${shard} has no active playbook yet`);
      }
      return reasons;
    },
  });
  closers.push(() => gateway.stop());

  const activated = publish().catch((error: Error) => {
    if (!stopping.signal.aborted) logger.error({ err: error }, 'the playbook could not be activated');
  });

  const reload = async (): Promise<readonly Problem[]> => {
    const read = await readPlaybook(config.playbook);
    if (read.playbook === null || read.catalog === null) {
      logger.error(
        { problems: read.problems.map(formatProblem) },
        'the playbook has mistakes; the last good one stays',
      );
      return read.problems;
    }
    if (isActive({ active: hashesOf(read) }, hashesOf(bundle))) return read.problems;
    bundle = read;
    published = read.playbook;
    gateway.schemaReload(read.playbook);
    await publish();
    // Visitors who only listen are decided anew now, not at the next recheck.
    await hub.recheck();
    logger.info({ playbook: read.playbook.version, rules: read.playbook.rules.size }, 'playbook reloaded');
    return read.problems;
  };
  if (config.watch) {
    const watcher = watchPlaybook(
      config.playbook,
      () => void reload().catch((error: Error) => logger.error({ err: error }, 'reload failed')),
    );
    closers.push(async () => watcher.close());
  }
  await activated;

  let stopped: Promise<void> | null = null;
  const stop = async () => {
    // The log keeps what was accepted either way; folding it now spares the next start the work.
    await gateway.stop();
    await worker.caughtUp(AbortSignal.timeout(config.stopDeadlineMs / 2)).catch(() => {});
    stopping.abort(new UsherError('SHUTTING_DOWN', 'Usher is stopping'));
    await closeAll();
  };
  return {
    url: gateway.url,
    port: gateway.port,
    devKey: secrets.devKey,
    playbook: first.playbook,
    problems: first.problems,
    caughtUp: () => worker.caughtUp(stopping.signal),
    reload,
    stop: () => (stopped ??= stop()),
  };
}

function reportShard(
  logger: Logger,
  metrics: ReturnType<typeof createMetrics>,
  shard: number,
  event: ShardEvent,
): void {
  if (event.what === 'committed') metrics.committed(event);
  else if (event.what === 'owned')
    logger.debug({ shard, position: event.meta.position, epoch: event.meta.epoch }, 'shard owned');
  else if (event.what === 'fenced') logger.warn({ shard }, 'another process took the shard');
  else if (event.what === 'retrying')
    logger.warn({ shard, err: event.error, afterMs: Math.round(event.afterMs) }, 'shard tries again');
  else logger.error({ shard, code: event.error.code, help: event.error.help }, event.error.message);
}

/** `file:line:column: message`, as editors and people read it. */
export function formatProblem(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
}

function brokenPlaybook(folder: string, problems: readonly Problem[]): UsherError {
  const errors = problems.filter((problem) => problem.severity === 'error');
  return new UsherError(
    'PLAYBOOK_INVALID',
    `the playbook ${folder} has ${errors.length} mistake${errors.length === 1 ? '' : 's'}:\n${errors.map((problem) => `  ${formatProblem(problem)}`).join('\n')}`,
  );
}

/** Production brings its secrets; development makes them once and keeps them in the data folder, readable by its user alone. */
function readSecrets(config: Config): { visitSecret: string; keys: readonly SecretKey[]; devKey: string | null } {
  const given = parseSecretKeys(config.secretKeys);
  if (config.mode === 'production') {
    if (config.secret === undefined) {
      throw new UsherError(
        'CONFIG_INVALID',
        'secret (USHER_SECRET) is not set; production needs one of at least 32 characters',
      );
    }
    return { visitSecret: config.secret, keys: given, devKey: null };
  }
  const devKey = keepSecret(config.data, 'dev-key', () => `usk_dev_${randomBytes(16).toString('hex')}`);
  const visitSecret = config.secret ?? keepSecret(config.data, 'dev-secret', () => randomBytes(32).toString('hex'));
  return { visitSecret, keys: [...given, ...parseSecretKeys([`${devKey}=write+read+import+operate`])], devKey };
}

function keepSecret(folder: string, name: string, make: () => string): string {
  const path = join(folder, name);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    const value = make();
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, `${value}\n`, { mode: 0o600 });
    return value;
  }
}
