import { createServer } from 'node:http';
import type { Config } from '../config.ts';
import type { EventLog } from '../log/eventLog.ts';
import type { LocalMailbox } from '../model/localMail.ts';
import { lagReasons, type Readiness, readinessOf } from '../observe/health.ts';
import { listen } from '../observe/listen.ts';
import type { Logger } from '../observe/logger.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Bundles } from '../playbook/bundles.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';
import type { Hub } from '../push/hub.ts';
import type { StateStore } from '../state/stateStore.ts';
import { AppendQueue } from './appendQueue.ts';
import { Origins } from './cors.ts';
import { Execution } from './execution.ts';
import { IdentityTokens } from './identityTokens.ts';
import { Intake } from './intake.ts';
import { limits } from './limits.ts';
import { NewestProducts } from './newestProducts.ts';
import { Routes } from './routes.ts';
import type { Secrets } from './secrets.ts';
import type { Services } from './services.ts';
import { SlotReader } from './slotReader.ts';
import { SlotReads } from './slotReads.ts';
import { serveSockets } from './sockets.ts';
import { Tokens } from './tokens.ts';

export interface GatewayOptions {
  readonly config: Config;
  readonly log: EventLog;
  readonly store: StateStore;
  readonly hub: Hub;
  readonly bundles: Bundles;
  /** The newest published one: tracking plan and slot definitions. */
  readonly playbook: () => Playbook;
  /** Its products; without it the start page's shop has none. */
  readonly catalog?: () => Catalog;
  /** Mail that this process keeps in development; absent: it goes to another server. */
  readonly mailbox?: LocalMailbox;
  /** Its `images` are served under /playbook/images. */
  readonly playbookFolder: string;
  /** The built web files: index.html, usher.js, … */
  readonly assetsFolder: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly secrets: Secrets;
  /** Has a shard's state made anew by whoever serves it. */
  readonly rebuildShard: (shard: number) => Promise<void>;
  /** What keeps the worker of this process from being ready; absent: there is none. */
  readonly workerFaults?: () => readonly string[];
  /** Which engines do not answer. */
  readonly engineFaults: () => Promise<readonly string[]>;
  /** Wall clock, ms with fractions. */
  readonly now?: () => number;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  ready(): Promise<Readiness>;
  /** Takes the tracking plan of another playbook for requests from now on. */
  schemaReload(playbook: Playbook): void;
  /** Takes no more requests, finishes those under way, ends streams and sockets. Calling again waits for the same end. */
  stop(): Promise<void>;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/**
 * HTTP, server-sent events and WebSocket on one port.
 * @throws UsherError PORT_IN_USE, CONFIG_INVALID
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, log, store, hub, bundles, playbook, logger, metrics, secrets } = options;
  const now = options.now ?? (() => performance.timeOrigin + performance.now());
  const development = config.mode === 'development';
  const queue = new AppendQueue(log, config.appendDeadlineMs);
  const lagOf = (shard: number) => Math.max(0, queue.endOf(shard) - (hub.view(shard)?.position ?? 0));
  const lag = () => new Map(Array.from({ length: log.shards }, (_, shard) => [shard, lagOf(shard)]));
  const streams = new Set<() => void>();
  const catalog = () => options.catalog?.() ?? null;
  const products = new NewestProducts(store, catalog);
  const services: Services = {
    config,
    log,
    store,
    hub,
    bundles,
    playbook,
    catalog,
    products,
    logger,
    metrics,
    tokens: new Tokens({ ...secrets, development, lifeMs: config.visitTokenHours * hourMs, now }),
    identityTokens: new IdentityTokens(config, now),
    linkSecret: secrets.visitSecret,
    queue,
    intake: new Intake({
      queue,
      shards: log.shards,
      playbook,
      maxEventAgeMs: config.maxEventAgeHours * hourMs,
      lagOf,
      onAccepted: metrics.eventAccepted,
      onRefused: metrics.eventRefused,
    }),
    slots: new SlotReader({ config, log, hub, bundles, products, playbook, queue, metrics, now }),
    reads: new SlotReads(store, log.shards),
    rebuildShard: options.rebuildShard,
    renewableMs: config.visitorRetentionDays * dayMs,
    closing(end) {
      streams.add(end);
      return () => streams.delete(end);
    },
    now,
  };
  metrics.readLag(lag);
  metrics.readQueue(() => queue.records);

  for (let shard = 0; shard < log.shards; shard++) queue.noteEnd(shard, (await log.bounds(shard)).end);
  const execution = new Execution(services, playbook());
  const origins = new Origins({ allowed: config.corsOrigins, development });
  let stopping = false;
  const ready = async () => {
    const reasons = stopping ? ['the process is stopping'] : [];
    const behind = lagReasons(lag());
    const faults = await options.engineFaults();
    // Whose workers are elsewhere answers as well as any other gateway does.
    return options.workerFaults === undefined
      ? readinessOf(reasons, [...faults, ...behind])
      : readinessOf([...reasons, ...options.workerFaults(), ...behind], faults);
  };
  const routes = new Routes({ ...options, services, execution, origins, ready, isStopping: () => stopping });
  const server = createServer((request, response) => routes.answer(request, response));
  server.maxConnections = limits.connections;
  server.headersTimeout = limits.headersMs;
  server.requestTimeout = limits.requestMs;
  server.keepAliveTimeout = limits.idleConnectionMs;
  const sockets = serveSockets(server, { execution, services, origins, isStopping: () => stopping });
  const { url, port } = await listen(server, config);

  async function stop(): Promise<void> {
    stopping = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    services.slots.close();
    for (const end of [...streams]) end();
    await sockets.stop();
    await queue.drained();
    server.closeIdleConnections();
    await closed;
  }
  let stopped: Promise<void> | null = null;
  return {
    url,
    port,
    ready,
    schemaReload: (next) => execution.reload(next),
    stop: () => (stopped ??= stop()),
  };
}
