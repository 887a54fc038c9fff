import { beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../src/kafka/limits.ts';
import { openKafkaLog } from '../../src/log/kafkaLog.ts';
import { until } from '../contract/contract.ts';
import { kafkaLogOptions, openKafkaLogSubject } from '../contract/kafkaSubjects.ts';
import { sharedEngine } from '../support/engines.ts';
import { asAdmin, whyNoKafka } from '../support/kafkaBroker.ts';

const reason = await whyNoKafka();
const entry = (value: string) => ({ shard: 1, key: 'u:1', value });

describe.skipIf(reason !== null)(reason === null ? 'appends' : `skipped: ${reason}`, () => {
  let address: string;
  beforeAll(async () => {
    address = await sharedEngine('kafka');
  }, 120_000);

  it('refuse a record that is too large for a batch, and take its neighbours', async () => {
    const log = await openKafkaLog(kafkaLogOptions(address));
    const largest = 'x'.repeat(limits.batchBytes - 'u:1'.length - 32);
    const outcomes = await log.append([entry('small'), entry(largest), entry(`${largest}x`), entry('small too')]);
    expect(outcomes).toMatchObject([
      { offset: 0 },
      { offset: 1 },
      { ok: false, code: 'LOG_UNAVAILABLE' },
      { offset: 2 },
    ]);
    await log.close();
  });

  it('take as many as may wait while Kafka does not answer, and refuse the next at once', async () => {
    const subject = await openKafkaLogSubject(address);
    const { log } = subject;
    await log.append([entry('before')]);
    const release = await subject.stall();
    const waiting = log.append(Array.from({ length: limits.waitingRecords }, (_, n) => entry(String(n))));
    expect(await log.append([entry('one more')])).toMatchObject([
      { ok: false, code: 'LOG_UNAVAILABLE', message: expect.stringContaining('Kafka is behind') },
    ]);
    const outcomes = await waiting;
    // One request had left; what still waited was surely never sent.
    const codes = outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.code));
    expect(codes.lastIndexOf('UNKNOWN')).toBe(limits.batchRecords - 1);
    expect(codes.slice(limits.batchRecords).every((code) => code === 'LOG_UNAVAILABLE')).toBe(true);
    await release();
    await until('appends are taken again', async () => (await log.append([entry('after')]))[0]!.ok);
    expect((await log.bounds(1)).end).toBe(1 + limits.batchRecords + 1);
    await subject.close();
  });

  it('are surely refused while no partition is there to take them, and taken when there is one again', async () => {
    const options = kafkaLogOptions(address, { appendDeadlineMs: 500 });
    const log = await openKafkaLog(options);
    expect(await log.append([entry('early')])).toMatchObject([{ ok: true, offset: 0 }]);
    await asAdmin(address, (admin) => admin.deleteTopics({ topics: [options.topic!] }));
    expect(await log.append([entry('refused')])).toMatchObject([{ ok: false, code: 'LOG_UNAVAILABLE' }]);
    await (await openKafkaLog(options)).close();
    const codes: string[] = [];
    await until('appends are taken', async () => {
      const [outcome] = await log.append([entry('late')]);
      if (!outcome!.ok) codes.push(outcome!.code);
      return outcome!.ok;
    });
    expect(codes.every((code) => code === 'LOG_UNAVAILABLE')).toBe(true);
    expect(await log.readAt(1, 0)).toMatchObject({ value: 'late' });
    expect((await log.bounds(1)).end).toBe(1);
    await log.close();
  });
});
