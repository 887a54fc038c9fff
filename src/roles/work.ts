import type { Config } from '../config.ts';
import { UsherError } from '../errors.ts';
import { defaultFoldSettings } from '../fold/work.ts';
import { nearest } from '../model/nearest.ts';
import type { Playbook } from '../playbook/playbook.ts';
import type { RightPlaybook } from '../playbook/read.ts';
import { watchPlaybook } from '../playbook/watch.ts';
import { InputIntake } from '../worker/inputIntake.ts';
import { thisMachine } from '../worker/machine.ts';
import { type PublishEvent, Publisher } from '../worker/publisher.ts';
import { workerLimits } from '../worker/shard.ts';
import { Worker } from '../worker/worker.ts';
import type { Parts } from './parts.ts';
import { reportInput, reportPublishing, reportShard } from './reports.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** The worker of this process, and what has the shards run its playbook. */
export interface Work {
  readonly worker: Worker;
  readonly publisher: Publisher;
  /** Resolves when the shards of this process run the playbook. */
  readonly published: Promise<void>;
  readonly listeners: Set<(event: PublishEvent) => void>;
  watch(): void;
}

export async function startWork(parts: Parts, own: RightPlaybook): Promise<Work> {
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
      aliasRetentionMs: config.visitTokenHours * hourMs,
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

/** Takes other programs' topics in. Only when the shards run a playbook: what came before would decide nothing. */
export function startInputs(parts: Parts, { publisher }: Work): void {
  const { config, logger, metrics, closers } = parts;
  const { log, inputs } = parts.engines;
  if (inputs === undefined) return;
  const intake = new InputIntake({
    inputs,
    log,
    mappings: config.inputs,
    playbook: () => publisher.playbook,
    maxEventAgeMs: config.maxEventAgeHours * hourMs,
    machine: thisMachine,
    report: (event) => reportInput(logger, metrics, event),
  });
  intake.start();
  closers.push(() => intake.stop());
}

/** @throws UsherError CONFIG_INVALID when a topic is mapped to what the tracking plan does not have */
export function checkInputs({ inputs }: Config, { events }: Playbook): void {
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
