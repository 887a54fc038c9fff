import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { kafkaAnswers, kafkaNeeds, startKafka, stopKafka } from './engines/kafka.ts';
import { enginePorts } from './engines/ports.ts';
import { redisAnswers, redisNeeds, startRedis, stopRedis } from './engines/redis.ts';

/**
 * `npm run engines`, `engines:stop`, `engines:reset`: a Kafka and a Redis for development and tests, without Docker.
 * They run on after this command; their data lies in `.engines/data`, their output in the file `log` of their folders there.
 */
const data = join(import.meta.dirname, '..', '.engines', 'data');
const folders = { kafka: join(data, 'kafka'), redis: join(data, 'redis') };
const { kafka, controller, redis } = enginePorts;

async function start(): Promise<void> {
  const up = { kafka: await kafkaAnswers(`127.0.0.1:${kafka}`), redis: await redisAnswers(redis) };
  const missing = [up.kafka ? null : kafkaNeeds(), up.redis ? null : redisNeeds()].filter((need) => need !== null);
  if (missing.length > 0) {
    console.error(missing.join('\n'));
    process.exitCode = 1;
    return;
  }
  await Promise.all([
    up.kafka || startKafka({ folder: folders.kafka, port: kafka, controllerPort: controller }),
    up.redis || startRedis({ folder: folders.redis, port: redis }),
  ]);
  console.log(`Kafka  127.0.0.1:${kafka}${up.kafka ? '  (was up)' : ''}`);
  console.log(`Redis  127.0.0.1:${redis}${up.redis ? '  (was up)' : ''}`);
  console.log(`data   ${data}`);
}

async function stop(): Promise<void> {
  const [kafkaStopped, redisStopped] = await Promise.all([stopKafka(folders.kafka), stopRedis(folders.redis)]);
  console.log(
    `Kafka ${kafkaStopped ? 'stopped' : 'was not running'}, Redis ${redisStopped ? 'stopped' : 'was not running'}`,
  );
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
