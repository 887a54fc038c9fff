import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { readRecord } from '../../src/fold/record.ts';
import type { AppendOutcome, EventLog } from '../../src/log/eventLog.ts';
import { KafkaInputs } from '../../src/log/kafkaInputs.ts';
import { openKafkaLog } from '../../src/log/kafkaLog.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { InputIntake, type InputReport } from '../../src/worker/inputIntake.ts';
import { thisMachine } from '../../src/worker/machine.ts';
import { until } from '../contract/contract.ts';
import { sharedEngine } from '../support/engines.ts';
import { asAdmin, whyNoKafka } from '../support/kafkaBroker.ts';
import { otherProgram } from '../support/kafkaLogs.ts';
import { hasRedisServer, type RedisServer, startRedis } from '../support/redisServer.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const reason = hasRedisServer ? await whyNoKafka() : 'no redis-server';
const shards = 4;
const partitions = 3;
const sessionTimeoutMs = 3_000;

interface Message {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly partition?: number;
}
const search = (visitor: string, query: string): Message => ({ key: visitor, value: JSON.stringify({ query }) });

describe.skipIf(reason !== null)(reason === null ? 'input topics' : `skipped: ${reason}`, () => {
  let address: string;
  let redis: RedisServer;
  beforeAll(async () => {
    [address, redis] = await Promise.all([sharedEngine('kafka'), startRedis()]);
  }, 120_000);
  afterAll(async () => {
    await redis?.close();
  });

  /** Names that no other test has. */
  function names() {
    const tag = randomUUID().slice(0, 8);
    return { namespace: `t${tag}`, topic: `crm.${tag}` };
  }
  const createTopic = (topic: string) =>
    asAdmin(address, (admin) =>
      admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true }),
    );
  async function produce(topic: string, messages: readonly Message[], compression = 0): Promise<void> {
    const producer = otherProgram(address).producer();
    await producer.connect();
    await producer.send({ topic, messages: [...messages], compression });
    await producer.disconnect();
  }
  /** How many records of the topic the group has left behind it. */
  async function committed(namespace: string, topic: string): Promise<number> {
    const [offsets] = await asAdmin(address, (admin) =>
      admin.fetchOffsets({ groupId: `${namespace}.g1.inputs`, topics: [topic] }),
    );
    return offsets!.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0);
  }
  async function usherOf(namespace: string, inputs: readonly { topic: string; type: string }[]): Promise<TestUsher> {
    const usher = await startTestUsher({
      kafkaBrokers: [address],
      redisUrl: redis.url,
      namespace,
      shards,
      sessionTimeoutMs,
      inputs,
    });
    onTestFinished(() => usher[Symbol.asyncDispose]());
    return usher;
  }
  async function ask(usher: TestUsher, document: string): Promise<ReturnType<JSON['parse']>> {
    const { data, errors } = await usher.query(document, {}, usher.devKey!);
    expect(errors).toBeUndefined();
    return data;
  }
  async function countsOf(usher: TestUsher, id: string) {
    const { visitor } = await ask(
      usher,
      `{ visitor(ref: { visitorId: "${id}" }) { counts { folded duplicate failed } } }`,
    );
    return visitor?.counts ?? null;
  }
  async function failedIn(usher: TestUsher) {
    const all = [];
    for (let shard = 0; shard < shards; shard++) {
      const page = await ask(
        usher,
        `{ failedEvents(shard: ${shard}) { position reason detail visitorId type record } }`,
      );
      all.push(...page.failedEvents);
    }
    return all;
  }
  /** An intake of its own, as another process has, over whatever stands before its log. */
  async function startIntake(namespace: string, topic: string, wrap: (log: EventLog) => EventLog = (log) => log) {
    const connection = { brokers: [address], clientId: 'usher-test' };
    const log = await openKafkaLog({
      connection,
      shards,
      replication: 1,
      minInsyncReplicas: 1,
      appendDeadlineMs: 5_000,
      topic: `${namespace}.g1.events`,
    });
    const { playbook } = await readPlaybook('playbooks/demo-store');
    const reports: InputReport[] = [];
    const intake = new InputIntake({
      inputs: new KafkaInputs({
        connection,
        topics: [topic],
        groupId: `${namespace}.g1.inputs`,
        sessionTimeoutMs,
        report: () => {},
      }),
      log: wrap(log),
      mappings: [{ topic, type: 'search_performed' }],
      playbook: () => playbook!,
      maxEventAgeMs: 86_400_000,
      machine: thisMachine,
      report: (event) => reports.push(event),
    });
    intake.start();
    const stop = async () => {
      await intake.stop();
      await log.close();
    };
    return {
      log,
      stop,
      reports,
      taken: () => reports.reduce((sum, event) => sum + (event.what === 'taken' ? event.events : 0), 0),
    };
  }
  /** All events of the log, in its order. */
  async function eventsOf(log: EventLog): Promise<{ id: string; visitor: string; query: string }[]> {
    const found = [];
    for (let shard = 0; shard < shards; shard++) {
      const { low, end } = await log.bounds(shard);
      for (let offset = low; offset < end; offset++) {
        const stored = await log.readAt(shard, offset);
        const record = stored === null ? null : readRecord(stored).record;
        if (record?.kind !== 'event') continue;
        found.push({ id: record.id, visitor: record.visitor, query: String(record.properties['query']) });
      }
    }
    return found;
  }

  it('are folded as events of their type; what is none becomes a failed event, and stops nothing', async () => {
    const { namespace, topic } = names();
    await createTopic(topic);
    const poison: Message[] = [
      { key: 'u:bad', value: null },
      { key: 'u:bad', value: '' },
      { key: 'u:bad', value: 'no JSON' },
      { key: 'u:bad', value: Buffer.from([0x7b, 0xff, 0xfe, 0x7d]) },
      { key: 'u:bad', value: JSON.stringify({ query: 7 }) },
      { key: 'u:bad', value: `{"query":"${'x'.repeat(900_000)}"}` },
      { key: 'u:bad', value: `{"query":${'['.repeat(15_000)}${']'.repeat(15_000)}}` },
      { key: null, value: JSON.stringify({ query: 'x' }), partition: 0 },
      { key: Buffer.from([0xff]), value: JSON.stringify({ query: 'x' }), partition: 0 },
    ];
    await produce(topic, [
      search('u:anna', 'boots'),
      search('u:bad', 'before'),
      ...poison,
      search('u:bad', 'after'),
      search('u:anna', 'tents'),
    ]);
    await produce(topic, [search('u:anna', 'in a gzip batch')], 1);
    const usher = await usherOf(namespace, [{ topic, type: 'search_performed' }]);
    await until('all are in the log', async () => (await committed(namespace, topic)) === poison.length + 5, 30);
    await usher.caughtUp();

    expect(await countsOf(usher, 'u:anna')).toEqual({ folded: 3, duplicate: 0, failed: 0 });
    expect(await countsOf(usher, 'u:bad')).toEqual({ folded: 2, duplicate: 0, failed: 7 });
    const failed = await failedIn(usher);
    expect(failed.map(({ reason, type, visitorId }) => `${reason} ${type} ${visitorId}`).sort()).toEqual([
      ...Array(2).fill('INPUT_INVALID search_performed null'),
      ...Array(7).fill('INPUT_INVALID search_performed u:bad'),
    ]);
    for (const { detail } of failed) expect(detail).toMatch(new RegExp(`^${topic}:\\d:\\d+: `));

    const { position } = failed.find(({ detail }) => detail.endsWith('properties.query: must be string'));
    const { retryFailedEvents } = await ask(
      usher,
      `mutation { retryFailedEvents(input: { events: [{ position: "${position}", properties: { query: "seven" } }] }) { outcomes { status } } }`,
    );
    expect(retryFailedEvents.outcomes).toEqual([{ status: 'ACCEPTED' }]);
    await usher.caughtUp();
    expect(await countsOf(usher, 'u:bad')).toEqual({ folded: 3, duplicate: 0, failed: 7 });
    expect(await failedIn(usher)).toHaveLength(8);
  }, 120_000);

  it('count once what is appended twice, because a process died before it committed the offsets', async () => {
    const { namespace, topic } = names();
    await createTopic(topic);
    const usher = await usherOf(namespace, []);
    const messages = Array.from({ length: 60 }, (_, n) => search(`u:v${n % 6}`, `q${n}`));
    messages.push({ key: 'u:v0', value: 'no JSON' });
    await produce(topic, messages);
    let appended = 0;
    // It has appended, and is gone before it hears of that.
    const dying = await startIntake(namespace, topic, (log) => ({
      ...wrapped(log),
      append: async (entries) => {
        await log.append(entries);
        appended += entries.length;
        return new Promise<readonly AppendOutcome[]>(() => {});
      },
    }));
    await until('all are appended', () => appended >= messages.length);
    expect(await committed(namespace, topic)).toBe(0);
    const gone = dying.stop();
    const next = await startIntake(namespace, topic);
    await until('all are committed', async () => (await committed(namespace, topic)) === messages.length);
    await usher.caughtUp();
    expect(next.taken()).toBe(60);
    for (let n = 1; n < 6; n++) {
      expect(await countsOf(usher, `u:v${n}`)).toEqual({ folded: 10, duplicate: 10, failed: 0 });
    }
    expect(await countsOf(usher, 'u:v0')).toEqual({ folded: 10, duplicate: 11, failed: 1 });
    expect(await failedIn(usher)).toHaveLength(1);
    await Promise.all([next.stop(), gone]);
  }, 120_000);

  it('are shared by processes that come and go; nothing is lost, and the order of each visitor is kept', async () => {
    const { namespace, topic } = names();
    await createTopic(topic);
    const usher = await usherOf(namespace, []);
    const visitors = Array.from({ length: 30 }, (_, n) => `u:${n}`);
    const rounds = async (from: number, to: number) => {
      for (let n = from; n < to; n++)
        await produce(
          topic,
          visitors.map((visitor) => search(visitor, `q${n}`)),
        );
    };
    const first = await startIntake(namespace, topic);
    await rounds(0, 5);
    const second = await startIntake(namespace, topic);
    await until('the second has partitions', async () => {
      await produce(topic, [search('u:probe', 'x'), search('u:probe2', 'x'), search('u:probe3', 'x')]);
      return second.taken() > 0;
    });
    await rounds(5, 10);
    await first.stop();
    await rounds(10, 15);
    await until('all have come', async () => {
      const events = await eventsOf(second.log);
      return (
        new Set(events.filter(({ visitor }) => visitors.includes(visitor)).map(({ id }) => id)).size ===
        15 * visitors.length
      );
    });
    const events = await eventsOf(second.log);
    for (const visitor of visitors) {
      const own = events.filter((event) => event.visitor === visitor);
      expect([...new Set(own.map(({ query }) => query))]).toEqual(Array.from({ length: 15 }, (_, n) => `q${n}`));
    }
    expect(first.taken()).toBeGreaterThan(0);
    await usher.caughtUp();
    for (const visitor of visitors) expect(await countsOf(usher, visitor)).toMatchObject({ folded: 15, failed: 0 });
    await second.stop();
  }, 120_000);

  it('wait for the log, and lose nothing meanwhile', async () => {
    const { namespace, topic } = names();
    await createTopic(topic);
    const usher = await usherOf(namespace, []);
    let refusing = true;
    const intake = await startIntake(namespace, topic, (log) => ({
      ...wrapped(log),
      append: async (entries) => {
        if (!refusing) return log.append(entries);
        // The first of them may be written although it is not known.
        await log.append(entries.slice(0, 1));
        return entries.map((): AppendOutcome => ({ ok: false, code: 'UNKNOWN', message: 'a planted fault' }));
      },
    }));
    await produce(topic, [search('u:anna', 'one'), search('u:anna', 'two')]);
    // Longer than a session: heartbeats keep the partitions.
    const startedAt = performance.now();
    await until('it has tried for longer than a session', () => performance.now() - startedAt > 2 * sessionTimeoutMs);
    expect(intake.reports.every(({ what }) => what === 'retrying')).toBe(true);
    expect(intake.reports.length).toBeGreaterThan(1);
    expect(await committed(namespace, topic)).toBe(0);
    const { groups } = await asAdmin(address, (admin) => admin.describeGroups([`${namespace}.g1.inputs`]));
    expect(groups[0]?.members).toHaveLength(1);
    refusing = false;
    await until('all are committed', async () => (await committed(namespace, topic)) === 2);
    await usher.caughtUp();
    expect(await countsOf(usher, 'u:anna')).toMatchObject({ folded: 2, failed: 0 });
    await intake.stop();
  }, 120_000);

  it('are waited for while they are not there, and keep no other waiting', async () => {
    const { namespace, topic } = names();
    const missing = `${topic}.later`;
    await createTopic(topic);
    const told: string[] = [];
    const connection = { brokers: [address], clientId: 'usher-test' };
    const inputs = new KafkaInputs({
      connection,
      topics: [topic, missing],
      groupId: `${namespace}.g1.inputs`,
      sessionTimeoutMs,
      report: (_level, message, details) => told.push(`${message} ${JSON.stringify(details)}`),
    });
    const taken: string[] = [];
    inputs.start({ take: async (batch) => void taken.push(...batch.records.map(() => batch.topic)) });
    await produce(topic, [search('u:anna', 'one')]);
    await until('what is there is read', () => taken.includes(topic));
    expect(told.filter((line) => line.includes('are not there'))).toEqual([
      `input topics are not there; they are waited for {"missing":["${missing}"]}`,
    ]);
    await createTopic(missing);
    await produce(missing, [search('u:anna', 'two')]);
    await until('what came is read too', () => taken.includes(missing), 60);
    await inputs.stop();
  }, 120_000);
});

/** The log with its methods as members, so that one can be replaced. */
function wrapped(log: EventLog): EventLog {
  return {
    shards: log.shards,
    append: (entries) => log.append(entries),
    join: (member) => log.join(member),
    bounds: (shard) => log.bounds(shard),
    readAt: (shard, offset) => log.readAt(shard, offset),
    close: () => log.close(),
  };
}

describe('the setting inputs', () => {
  const cluster = { kafkaBrokers: 'localhost:1', redisUrl: 'redis://localhost:1' };
  const read = (inputs: unknown, more: object = {}) =>
    loadConfig({ flags: { ...cluster, inputs, ...more } }).config.inputs;

  it('is topic=type in a variable, and a map with rows in the file', () => {
    expect(read('a.b=page_viewed, c=search_performed')).toEqual([
      { topic: 'a.b', type: 'page_viewed' },
      { topic: 'c', type: 'search_performed' },
    ]);
    const row = { type: 'order_completed', user: 'customer', at: 'when', id: 'row' };
    expect(read({ pages: 'page_viewed', orders: row })).toEqual([
      { topic: 'pages', type: 'page_viewed' },
      { topic: 'orders', ...row },
    ]);
  });

  it.each([
    ['nothing but a topic', 'a'],
    ['two types', 'a=b=c'],
    ['a topic twice', 'a=b,a=c'],
    ['a topic that Kafka would not take', 'a b=c'],
    ['no type', { a: {} }],
    ['a member that nobody knows', { a: { type: 'b', visitr: 'x' } }],
    ['visitor and user', { a: { type: 'b', visitor: 'x', user: 'y' } }],
    ['a list', ['a=b']],
    ['a topic of Usher itself', 'usher.events.page_viewed=page_viewed'],
  ])('refuses %s', (_what, inputs) => {
    expect(() => read(inputs)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  it('needs a cluster', () => {
    expect(() => loadConfig({ flags: { inputs: 'a=page_viewed' } })).toThrow(/inputs are topics of Kafka/);
  });

  it('refuses at the start a type that the tracking plan does not have, before any engine is asked', async () => {
    const inputs = [{ topic: 'a', type: 'page_viewd' }];
    await expect(
      startTestUsher({ kafkaBrokers: ['127.0.0.1:1'], redisUrl: 'redis://127.0.0.1:1', inputs }),
    ).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('did you mean page_viewed') });
  });
});
