import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import kafkajs from 'kafkajs';
import { type WebSocket, WebSocketServer } from 'ws';
import { guardTimers } from '../src/kafka/timerGuard.ts';
import { openKafkaLog } from '../src/log/kafkaLog.ts';
import { shardOf } from '../src/model/shard.ts';

/**
 * The floor of the loop across processes: HTTP in → Kafka (acks=-1) → one Redis write and publish → WebSocket out, without any logic, and
 * with Usher's gathering: what is fetched while a write is in flight is the next write, and what comes while a partition's request is in
 * flight is its next one. For that it appends as Usher does, by kafkajs below its producer: the producer itself stood still for seconds at
 * a time under this load. A gateway process and a worker process. Arguments: gateway | worker, broker, Redis URL, topic, partitions.
 */
const [role, broker, redisUrl, topic, count] = process.argv.slice(2) as [string, string, string, string, string];
const partitions = Number(count);

guardTimers();
const kafka = new kafkajs.Kafka({ brokers: [broker], clientId: role, logLevel: kafkajs.logLevel.NOTHING });
const channel = `${topic}:changes`;
if (role === 'gateway') await serve();
else await work();

async function serve(): Promise<void> {
  const log = await openKafkaLog({
    connection: { brokers: [broker], clientId: role },
    topic,
    shards: partitions,
    replication: 1,
    minInsyncReplicas: 1,
    appendDeadlineMs: 10_000,
  });
  const subscribers = new Map<string, WebSocket>();
  const subscriber = new Redis(redisUrl);
  await subscriber.subscribe(channel);
  subscriber.on('message', (_, text: string) => {
    for (const value of JSON.parse(text) as string[]) {
      subscribers.get((JSON.parse(value) as { visitor: string }).visitor)?.send(value);
    }
  });
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', async () => {
      const events = JSON.parse(Buffer.concat(parts).toString()) as { visitor: string }[];
      const entryOf = ({ visitor: key }: (typeof events)[number], i: number) => {
        return { shard: shardOf(key, partitions), key, value: JSON.stringify(events[i]) };
      };
      const outcomes = await log.append(events.map(entryOf));
      if (outcomes.some(({ ok }) => !ok)) throw new Error(`the log did not take all: ${JSON.stringify(outcomes)}`);
      response.end('{"ok":true}');
    });
  });
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (name) => subscribers.set(String(name), socket));
  });
  server.listen(0, '127.0.0.1', () => console.log(`listens on ${(server.address() as { port: number }).port}`));
}

async function work(): Promise<void> {
  const redis = new Redis(redisUrl);
  const consumer = kafka.consumer({
    groupId: topic,
    maxWaitTimeInMs: 200,
    minBytes: 1,
    allowAutoTopicCreation: false,
  });
  consumer.on(consumer.events.GROUP_JOIN, () => console.log('has joined'));
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const waiting = Array.from({ length: partitions }, (): string[] => []);
  const busy = new Set<number>();
  const write = async (partition: number): Promise<void> => {
    if (busy.has(partition)) return;
    busy.add(partition);
    while (waiting[partition]!.length > 0) {
      const values = waiting[partition]!.splice(0);
      const step = redis.multi();
      for (const value of values) step.set(`floor:${(JSON.parse(value) as { visitor: string }).visitor}`, value);
      await step.publish(channel, JSON.stringify(values)).exec();
    }
    busy.delete(partition);
  };
  await consumer.run({
    autoCommitInterval: 5_000,
    eachBatch: async ({ batch }) => {
      for (const { value } of batch.messages) waiting[batch.partition]!.push(String(value));
      void write(batch.partition);
    },
  });
}
