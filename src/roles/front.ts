import { join } from 'node:path';
import { FollowedPlaybook } from '../gateway/followedPlaybook.ts';
import { startGateway } from '../gateway/gateway.ts';
import { readSecrets } from '../gateway/secrets.ts';
import { lagReasons, readinessOf } from '../observe/health.ts';
import { startOperatorServer } from '../observe/operatorServer.ts';
import type { Catalog, Playbook } from '../playbook/playbook.ts';
import { Hub } from '../push/hub.ts';
import { thisMachine } from '../worker/machine.ts';
import { rebuildShard } from '../worker/rebuild.ts';
import type { Worker } from '../worker/worker.ts';
import type { Engines, Parts } from './parts.ts';
import type { Work } from './work.ts';

/** How often a worker without a gateway asks the log how far it is behind. */
const lagEveryMs = 2_000;

/** What answers on the port. */
export interface Front {
  readonly url: string;
  readonly port: number;
  readonly devKey: string | null;
  playbook(): Playbook;
  stop(): Promise<void>;
}

/** A worker without a gateway: its health and figures. */
export async function startOperator(parts: Parts, { worker, publisher }: Work): Promise<Front> {
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
export async function startFront(parts: Parts, work: Work | null): Promise<Front> {
  const { config, logger, metrics, engines, bundles, engineFaults, closers, stopping, mailbox } = parts;
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
    ...(mailbox && { mailbox }),
    playbookFolder: config.playbook,
    assetsFolder: join(import.meta.dirname, '..', '..', 'dist', 'web'),
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

function workerFaults(engines: Engines, worker: Worker): readonly string[] {
  const ended = engines.ended();
  return ended === null
    ? worker.faults()
    : [`nothing can be written until Usher is restarted: ${ended}`, ...worker.faults()];
}
