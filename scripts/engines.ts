import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { kafkaAnswers, kafkaNeeds, startKafka, stopKafka } from './engines/kafka.ts';
import { enginePorts } from './engines/ports.ts';
import { redisAnswers, redisNeeds, startRedis, stopRedis } from './engines/redis.ts';
import { isTaken, runningIn } from './engines/server.ts';

/**
 * `npm run engines`, `engines:stop`, `engines:reset`: a Kafka and a Redis for development and tests, without Docker.
 * They run on after this command; their data lies in `.engines/data`, their output in the file `log` of their folders there.
 * The ports are the same for all checkouts: who finds them up uses them, and only who started them stops them.
 */
const data = process.env['USHER_TEST_ENGINE_DATA'] ?? join(import.meta.dirname, '..', '.engines', 'data');
const { controller } = enginePorts;

interface Engine {
  readonly name: string;
  readonly folder: string;
  readonly port: number;
  /** Its others, which must be free too. */
  readonly ports: readonly number[];
  needs(): string | null;
  answers(): Promise<boolean>;
  start(): Promise<unknown>;
  stop(): Promise<boolean>;
}

const engines: readonly Engine[] = [kafka(), redis()];

function kafka(): Engine {
  const folder = join(data, 'kafka');
  const port = enginePorts.kafka;
  return {
    ...{ name: 'Kafka', folder, port, ports: [port, controller], needs: kafkaNeeds },
    answers: () => kafkaAnswers(`127.0.0.1:${port}`),
    start: () => startKafka({ folder, port, controllerPort: controller }),
    stop: () => stopKafka(folder),
  };
}

function redis(): Engine {
  const folder = join(data, 'redis');
  const port = enginePorts.redis;
  return {
    ...{ name: 'Redis', folder, port, ports: [port], needs: redisNeeds },
    answers: () => redisAnswers(port),
    start: () => startRedis({ folder, port }),
    stop: () => stopRedis(folder),
  };
}

/** A line that tells where it is, or why it cannot be. */
async function started(engine: Engine): Promise<{ readonly line: string; readonly isUp: boolean }> {
  const { name, folder, port, ports, needs } = engine;
  const line = (how: string) => `${name}  127.0.0.1:${port}${how}`;
  if (await engine.answers()) {
    const whose = runningIn(folder) === null ? 'was up; started by another checkout or program' : 'was up';
    return { isUp: true, line: line(`  (${whose})`) };
  }
  const lack = needs();
  if (lack !== null) return { isUp: false, line: lack };
  for (const each of ports) {
    if (await isTaken(each)) {
      return {
        isUp: false,
        line: `port ${each}, which ${name} needs, is taken by a program that does not answer as ${name}`,
      };
    }
  }
  await engine.start();
  return { isUp: true, line: line('') };
}

async function start(): Promise<void> {
  const lines = await Promise.all(engines.map(started));
  for (const { line, isUp } of lines) (isUp ? console.log : console.error)(line);
  if (!lines.every(({ isUp }) => isUp)) process.exitCode = 1;
  console.log(`data   ${data}`);
}

async function stop(): Promise<void> {
  const lines = await Promise.all(
    engines.map(async (engine) => {
      if (await engine.stop()) return `${engine.name} stopped`;
      const other = (await engine.answers()) ? '; another one answers there, and is left alone' : '';
      return `${engine.name} was not running here${other}`;
    }),
  );
  console.log(lines.join('\n'));
}

const commands: Readonly<Record<string, () => Promise<void>>> = {
  start,
  stop,
  async reset() {
    await stop();
    rmSync(data, { recursive: true, force: true });
    console.log('their data is removed');
  },
};

const name = process.argv[2] ?? 'start';
const command = commands[name];
if (command === undefined) {
  console.error(`engines: expected start, stop or reset, got ${name}`);
  process.exitCode = 1;
} else {
  await command();
}
