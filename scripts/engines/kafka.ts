import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import kafkajs from 'kafkajs';
import { guardTimers } from '../../src/kafka/timerGuard.ts';
import { has, type Server, startServer, stopServer } from './server.ts';

export const kafkaVersion = '4.3.1';
/** Where the jars lie; shared by all brokers of this checkout. */
const jars = join(import.meta.dirname, '..', '..', '.engines', `kafka-${kafkaVersion}`);

/** What this machine lacks to run Kafka, as a sentence; null: nothing. */
export function kafkaNeeds(): string | null {
  const missing = [
    ...(has('java') ? [] : ['java (17 or later: apt-get install openjdk-17-jre-headless)']),
    ...(existsSync(jars) || has('mvn') ? [] : ['mvn (apt-get install maven)']),
  ];
  return missing.length === 0 ? null : `Kafka needs ${missing.join(' and ')}`;
}

/** A broker and controller in one process, on loopback, with its data and settings in `folder`. */
export async function startKafka(options: {
  readonly folder: string;
  readonly port: number;
  readonly controllerPort: number;
}): Promise<Server> {
  const { folder, port } = options;
  fetchJars();
  const data = join(folder, 'logs');
  const properties = join(folder, 'server.properties');
  mkdirSync(folder, { recursive: true });
  writeFileSync(properties, settings({ ...options, data }));
  if (!existsSync(join(data, 'meta.properties'))) {
    const id = randomBytes(16);
    // A first bit of 0 is a first letter: an id that begins with "-" would be taken for an option.
    id[0]! &= 0x7f;
    const clusterId = id.toString('base64url');
    run('java', ['-cp', join(jars, '*'), 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties]);
  }
  return startServer({
    name: 'Kafka',
    folder,
    command: 'java',
    args: ['-Xms256m', '-Xmx256m', '-cp', join(jars, '*'), 'kafka.Kafka', properties],
    address: `127.0.0.1:${port}`,
    answers: () => kafkaAnswers(`127.0.0.1:${port}`),
  });
}

export function stopKafka(folder: string, signal?: NodeJS.Signals): Promise<boolean> {
  return stopServer(folder, signal);
}

/** Whether a broker serves requests there. */
export async function kafkaAnswers(address: string): Promise<boolean> {
  guardTimers();
  const { Kafka, logLevel } = kafkajs;
  const options = { connectionTimeout: 500, requestTimeout: 2_000, retry: { retries: 0 }, logLevel: logLevel.NOTHING };
  const admin = new Kafka({ brokers: [address], clientId: 'engines', ...options }).admin();
  try {
    await admin.connect();
    return (await admin.describeCluster()).brokers.length > 0;
  } catch {
    return false;
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

/** Once a checkout. Into another folder first, so that what is there is whole. */
function fetchJars(): void {
  if (existsSync(jars)) return;
  const partly = `${jars}.${process.pid}`;
  const pom = join(import.meta.dirname, 'pom.xml');
  try {
    run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${partly}`]);
    if (!existsSync(jars)) renameSync(partly, jars);
  } finally {
    rmSync(partly, { recursive: true, force: true });
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
}

function settings(options: { data: string; port: number; controllerPort: number }): string {
  const { data, port, controllerPort } = options;
  return `${Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data,
    'auto.create.topics.enable': false,
    'log.message.timestamp.type': 'LogAppendTime',
    // One machine: one copy, few partitions of Kafka's own topics, small buffers.
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'log.cleaner.dedupe.buffer.size': 16_777_216,
    'num.network.threads': 2,
    'num.io.threads': 4,
    // A broker that was killed may come back after this, not after 9 s.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    // A group of tests need not wait for members that may still come, nor 6 s for one that is gone.
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
  })
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;
}
