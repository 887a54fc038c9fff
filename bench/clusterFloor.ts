import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import kafkajs, { type Producer } from 'kafkajs';
import { type WebSocket, WebSocketServer } from 'ws';
import { guardTimers } from '../src/kafka/timerGuard.ts';
import { shardOf } from '../src/model/shard.ts';

/**
 * The floor of the loop across processes: HTTP in → Kafka (acks=-1) → one Redis write and publish → WebSocket out, without any logic, and
 * with Usher's gathering: what comes while a partition's request is in flight is its next one, what is fetched while a write is in flight
 * is the next write. A gateway process and a worker process. Arguments: gateway | worker, broker, Redis URL, topic, partitions.
 */
const [role, broker, redisUrl, topic, count] = process.argv.slice(2) as [string, string, string, string, string];
const partitions = Number(count);

guardTimers();
const kafka = new kafkajs.Kafka({ brokers: [broker], clientId: role, logLevel: kafkajs.logLevel.NOTHING });
const channel = `${topic}:changes`;
if (role === 'gateway') await serve();
else await work();

async function serve(): Promise<void> {
  const append = gathering(kafka.producer({ allowAutoTopicCreation: false }));
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
      await Promise.all(events.map((event) => append(event.visitor, JSON.stringify(event))));
      response.end('{"ok":true}');
    });
  });
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (name) => subscribers.set(String(name), socket));
  });
  server.listen(0, '127.0.0.1', () => console.log(`listens on ${(server.address() as { port: number }).port}`));
}

/** One request in flight a partition. */
function gathering(producer: Producer): (visitor: string, value: string) => Promise<void> {
  interface Waiting {
    readonly key: string;
    readonly value: string;
    readonly done: () => void;
  }
  const queues = Array.from({ length: partitions }, (): Waiting[] => []);
  const busy = new Set<number>();
  const connected = producer.connect();
  const flush = async (): Promise<void> => {
    const ready = [...queues.keys()].filter((partition) => queues[partition]!.length > 0 && !busy.has(partition));
    if (ready.length === 0) return;
    const batches = ready.map((partition) => ({ partition, waiting: queues[partition]!.splice(0) }));
    for (const { partition } of batches) busy.add(partition);
    const messages = batches.flatMap(({ partition, waiting }) =>
      waiting.map(({ key, value }) => ({ partition, key, value })),
    );
    await connected;
    await producer.send({ topic, acks: -1, messages });
    for (const { partition, waiting } of batches) {
      busy.delete(partition);
      for (const { done } of waiting) done();
    }
    void flush();
  };
  return (visitor, value) =>
    new Promise((done) => {
      queues[shardOf(visitor, partitions)]!.push({ key: visitor, value, done });
      queueMicrotask(() => void flush());
    });
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
