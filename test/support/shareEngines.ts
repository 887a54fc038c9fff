import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { kafkaAnswers, startKafka, stopKafka } from '../../scripts/engines/kafka.ts';
import { enginePorts } from '../../scripts/engines/ports.ts';
import { redisAnswers, startRedis, stopRedis } from '../../scripts/engines/redis.ts';
import { endWithRun } from './endWithRun.ts';
import { freePorts } from './ports.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of this pair of adapters are the tests of `test/contract` and `test/flow`. */
    adapters: 'embedded' | 'clustered';
    /** Where test files ask for the engines of the run. */
    enginesUrl: string;
  }
}

/** An engine for all files of a run, and how it is ended if it was started for them. */
interface SharedEngine {
  readonly address: string;
  stop(): Promise<void>;
}

/**
 * vitest's global setup: one Kafka and one Redis for all files. Those of `npm run engines` if they are up; else each is started when the
 * first file asks, so that a run that needs none starts none, and stopped when the run ends. Files are processes of their own: they ask
 * by HTTP.
 */
export default async function shareEngines(project: TestProject): Promise<() => Promise<void>> {
  const open: Readonly<Record<string, () => Promise<SharedEngine>>> = { '/kafka': openKafka, '/redis': openRedis };
  const engines = new Map<string, Promise<SharedEngine>>();
  const server = createServer((request, response) => {
    const path = request.url!;
    if (!engines.has(path)) engines.set(path, open[path]!());
    engines.get(path)!.then(
      ({ address }) => response.end(address),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  project.provide('enginesUrl', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    server.close();
    for (const { status, value } of (await Promise.allSettled(
      engines.values(),
    )) as PromiseFulfilledResult<SharedEngine>[]) {
      if (status === 'fulfilled') await value.stop();
    }
  };
}

async function openKafka(): Promise<SharedEngine> {
  const address = `127.0.0.1:${enginePorts.kafka}`;
  if (await kafkaAnswers(address)) return { address, stop: async () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'usher-kafka-'));
  endWithRun(folder);
  const [port, controllerPort] = (await freePorts(2)) as [number, number];
  await startKafka({ folder, port, controllerPort });
  return { address: `127.0.0.1:${port}`, stop: () => removed(folder, stopKafka(folder, 'SIGKILL')) };
}

async function openRedis(): Promise<SharedEngine> {
  if (await redisAnswers(enginePorts.redis)) return { address: `127.0.0.1:${enginePorts.redis}`, stop: async () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'usher-redis-'));
  endWithRun(folder);
  const [port] = (await freePorts(1)) as [number];
  await startRedis({ folder, port });
  return { address: `127.0.0.1:${port}`, stop: () => removed(folder, stopRedis(folder)) };
}

async function removed(folder: string, stopped: Promise<unknown>): Promise<void> {
  await stopped;
  rmSync(folder, { recursive: true, force: true });
}
