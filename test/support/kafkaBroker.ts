import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafkajs, { type Admin } from 'kafkajs';
import { kafkaAnswers, kafkaNeeds, startKafka, stopKafka } from '../../scripts/engines/kafka.ts';
import { enginePorts } from '../../scripts/engines/ports.ts';
import { guardTimers } from '../../src/kafka/timerGuard.ts';
import { endWithRun } from './endWithRun.ts';
import { freePorts } from './ports.ts';

/** A broker of the test's own, which may be stopped and started again. */
export interface OwnBroker {
  readonly address: string;
  stop(signal: NodeJS.Signals): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Why this machine cannot run what needs Kafka; null: it can. With CI=true that is a failure, not a reason to skip. */
export async function whyNoKafka(): Promise<string | null> {
  const needs = kafkaNeeds();
  if (needs === null || (await kafkaAnswers(`127.0.0.1:${enginePorts.kafka}`))) return null;
  if (process.env['CI'] === 'true') throw new Error(`CI must run these tests: ${needs}`);
  return needs;
}

export async function ownBroker(): Promise<OwnBroker> {
  const folder = mkdtempSync(join(tmpdir(), 'usher-kafka-'));
  endWithRun(folder);
  const [port, controllerPort] = (await freePorts(2)) as [number, number];
  const start = async () => void (await startKafka({ folder, port, controllerPort }));
  const stop = async (signal: NodeJS.Signals) => void (await stopKafka(folder, signal));
  await start();
  return {
    address: `127.0.0.1:${port}`,
    start,
    stop,
    async close() {
      await stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Does something with Kafka's own tools, as an operator or another program would. */
export async function asAdmin<Answer>(address: string, work: (admin: Admin) => Promise<Answer>): Promise<Answer> {
  guardTimers();
  const { Kafka, logLevel } = kafkajs;
  const admin = new Kafka({ brokers: [address], clientId: 'test', logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** No two tests share a topic, also not with those of an earlier run. */
export const freshTopic = () => `test.${crypto.randomUUID()}`;
