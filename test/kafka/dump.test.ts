import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openKafkaLog } from '../../src/log/kafkaLog.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { kafkaLogOptions } from '../contract/kafkaSubjects.ts';
import { sharedEngine } from '../support/engines.ts';
import { asAdmin, whyNoKafka } from '../support/kafkaBroker.ts';
import { dumpTopic } from '../support/topicDump.ts';

const reason = await whyNoKafka();

describe.skipIf(reason !== null)(reason === null ? 'a dump of a topic' : `skipped: ${reason}`, () => {
  let address: string;
  let folder: string;
  beforeAll(async () => {
    address = await sharedEngine('kafka');
    folder = await mkdtemp(join(tmpdir(), 'usher-dump-'));
  }, 120_000);
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  const dumpGroups = async () => {
    const { groups } = await asAdmin(address, (admin) => admin.listGroups());
    return groups.map(({ groupId }) => groupId).filter((id) => id.startsWith('dump.'));
  };

  it('has every record once, each shard in order, and leaves no group behind', async () => {
    const options = kafkaLogOptions(address, { shards: 3 });
    const log = await openKafkaLog(options);
    const entries = Array.from({ length: 3_000 }, (_, n) => ({
      // The third shard stays empty.
      shard: n % 2,
      key: n % 5 === 0 ? null : `dev:ü${n}`,
      value: `{"n":${n},"text":"ä 🏔"}`,
    }));
    const outcomes = await log.append(entries);
    await log.close();
    const path = join(folder, 'topic.jsonl');
    const before = await dumpGroups();
    expect(await dumpTopic(address, options.topic!, path)).toBe(entries.length);

    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    const records = lines.map((line) => JSON.parse(line) as LogRecord);
    for (const shard of [0, 1]) {
      const appended = entries
        .map((entry, i) => ({ ...entry, ...outcomes[i] }))
        .filter((entry) => entry.shard === shard);
      expect(records.filter((record) => record.shard === shard)).toEqual(
        appended.map((entry) => {
          if (!('offset' in entry)) throw new Error('an append failed');
          const { offset, stamp, key, value } = entry;
          return { shard, offset, stamp, key, value };
        }),
      );
    }
    expect(await dumpGroups()).toEqual(before);
  }, 60_000);

  it('of an empty topic is empty', async () => {
    const options = kafkaLogOptions(address);
    await (await openKafkaLog(options)).close();
    expect(await dumpTopic(address, options.topic!, join(folder, 'empty.jsonl'))).toBe(0);
  });
});
