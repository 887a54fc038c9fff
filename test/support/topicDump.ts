import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import kafkajs from 'kafkajs';
import { registerCodecs } from '../../src/kafka/codecs.ts';
import { guardTimers } from '../../src/kafka/timerGuard.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { recordTable } from '../../src/sqlite/schema.ts';

/** A log in a file, as the oracle reads it: a record a line, each shard's in offset order. @returns how many */
export async function dumpRecords(
  records: Iterable<LogRecord> | AsyncIterable<LogRecord>,
  path: string,
): Promise<number> {
  let count = 0;
  async function* lines(): AsyncGenerator<string> {
    for await (const { shard, offset, stamp, key, value } of records) {
      count++;
      yield `${JSON.stringify({ shard, offset, stamp, key, value })}\n`;
    }
  }
  await pipeline(Readable.from(lines()), createWriteStream(path));
  return count;
}

/** The log of an embedded Usher's data folder, which may be running. */
export async function dumpFolder(folder: string, shards: number, path: string): Promise<number> {
  const db = new DatabaseSync(join(folder, 'usher.db'), { readOnly: true });
  try {
    return await dumpRecords(recordsOfFile(db, shards), path);
  } finally {
    db.close();
  }
}

function* recordsOfFile(db: DatabaseSync, shards: number): Generator<LogRecord> {
  for (let shard = 0; shard < shards; shard++) {
    const rows = db.prepare(`select offset, stamp, key, value from ${recordTable(shard)} order by offset`).iterate();
    for (const row of rows) yield { shard, ...(row as unknown as Omit<LogRecord, 'shard'>) };
  }
}

const stuckMs = 30_000;

/** All that a topic holds now, read in a group of its own, which goes with it: a member of ours would take shards from Usher. */
export async function dumpTopic(address: string, topic: string, path: string): Promise<number> {
  guardTimers();
  registerCodecs();
  const { Kafka, logLevel } = kafkajs;
  const kafka = new Kafka({ brokers: [address], clientId: 'dump', logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const groupId = `dump.${crypto.randomUUID()}`;
  try {
    const left = new Map<number, number>();
    for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
      if (Number(low) < Number(high)) left.set(partition, Number(high));
    }
    const records = left.size === 0 ? [] : await readTo(left, kafka, groupId, topic);
    return await dumpRecords(records, path);
  } finally {
    await admin.deleteGroups([groupId]).catch(() => {});
    await admin.disconnect();
  }
}

/** Reads each partition up to the offset that `left` names. */
async function readTo(
  left: Map<number, number>,
  kafka: kafkajs.Kafka,
  groupId: string,
  topic: string,
): Promise<LogRecord[]> {
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 });
  const records: LogRecord[] = [];
  await consumer.connect();
  try {
    await consumer.subscribe({ topic, fromBeginning: true });
    await new Promise<void>((resolve, reject) => {
      const fail = () => reject(new Error(`no record came for ${stuckMs} ms; wanted: ${[...left].join(' ')}`));
      let stuck = setTimeout(fail, stuckMs);
      const eachBatch: kafkajs.EachBatchHandler = async ({ batch }) => {
        clearTimeout(stuck);
        const { partition, messages } = batch;
        const end = left.get(partition) ?? 0;
        for (const { offset, timestamp, key, value } of messages) {
          if (Number(offset) < end)
            records.push({
              shard: partition,
              offset: Number(offset),
              stamp: Number(timestamp),
              key: key?.toString() ?? null,
              value: value?.toString() ?? '',
            });
        }
        if (Number(batch.lastOffset()) + 1 >= end) left.delete(partition);
        if (left.size === 0) resolve();
        else stuck = setTimeout(fail, stuckMs);
      };
      consumer.run({ autoCommit: false, eachBatch }).catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
  return records;
}
