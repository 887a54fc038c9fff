import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../contract/contract.ts';
import { kafkaLogOptions } from '../contract/kafkaSubjects.ts';
import { type OwnBroker, ownBroker, whyNoKafka } from '../support/kafkaBroker.ts';
import { feedOf, joinLog, takeRecords } from '../support/kafkaLogs.ts';

const reason = await whyNoKafka();
const entry = (value: string) => ({ shard: 1, key: 'u:1', value });

describe.skipIf(reason !== null)(reason === null ? 'an outage' : `skipped: ${reason}`, () => {
  let broker: OwnBroker;
  const warnings: string[] = [];
  const unhandled: unknown[] = [];
  const onWarning = (warning: Error) => warnings.push(`${warning.name}: ${warning.message}`);
  const onUnhandled = (error: unknown) => unhandled.push(error);
  beforeAll(async () => {
    process.on('warning', onWarning);
    process.on('unhandledRejection', onUnhandled);
    broker = await ownBroker();
  }, 120_000);
  afterAll(async () => {
    process.off('warning', onWarning);
    process.off('unhandledRejection', onUnhandled);
    await broker?.close();
  });

  it('has appends answered in time, leaves the processor alone, and needs no restart when it ends', async () => {
    const deadlineMs = 1_000;
    const joined = await joinLog(kafkaLogOptions(broker.address, { appendDeadlineMs: deadlineMs }));
    const { log } = joined;
    const feed = await feedOf(joined, 1);
    await feed.open(0);
    expect(await log.append([entry('before')])).toMatchObject([{ ok: true, offset: 0 }]);
    await takeRecords(feed, 1);

    // Some are on their way when it dies.
    const cut = Array.from({ length: 50 }, (_, n) => log.append([entry(`cut ${n}`)]));
    await broker.stop('SIGKILL');
    for (const [outcome] of await Promise.all(cut)) expect(outcome!.ok || outcome!.code).not.toBe('LOG_FULL');

    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    const codes = new Set<string>();
    while (performance.now() - startedAt < 8_000) {
      const sentAt = performance.now();
      const [outcome] = await log.append([entry('during')]);
      codes.add(outcome!.ok ? 'ok' : outcome!.code);
      expect(performance.now() - sentAt).toBeLessThan(deadlineMs * 2);
    }
    const cpu = process.cpuUsage(cpuBefore);
    const cpuShare = (cpu.user + cpu.system) / 1_000 / (performance.now() - startedAt);
    expect([...codes]).toEqual(['LOG_UNAVAILABLE']);
    expect(cpuShare).toBeLessThan(0.2);
    await expect(log.bounds(1)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });

    await broker.start();
    await until('appends are taken again', async () => (await log.append([entry('after')]))[0]!.ok);
    await until('the shard is assigned again', () => joined.feeds.has(1));
    const again = await feedOf(joined, 1);
    await again.open(0);
    const values: string[] = [];
    await until('what came after is handed over', async () => {
      for (const { value } of await again.take({ records: 1_000, bytes: 1_000_000 }, 50)) values.push(value);
      return values.includes('after');
    });
    expect(values[0]).toBe('before');
    // What was refused for sure is not there.
    expect(values).not.toContain('during');
    await log.close();
    await sleep(100);
    expect(unhandled).toEqual([]);
    expect(warnings.filter((warning) => /Timeout(Negative|Overflow)Warning/.test(warning))).toEqual([]);
  }, 90_000);
});
