import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { AppendQueue } from '../../src/gateway/appendQueue.ts';
import { type IncomingEvent, Intake, type Sender } from '../../src/gateway/intake.ts';
import { limits } from '../../src/gateway/limits.ts';
import type { AppendEntry, AppendOutcome, EventLog } from '../../src/log/eventLog.ts';
import { compileFiles } from '../support/playbooks.ts';

/** A log whose appends end when the test says so: what is in flight can be looked at. */
class HandLog implements EventLog {
  readonly shards = 4;
  readonly calls: { entries: readonly AppendEntry[]; end: (outcomes?: readonly AppendOutcome[]) => void }[] = [];
  #offset = 0;
  append(entries: readonly AppendEntry[]): Promise<readonly AppendOutcome[]> {
    return new Promise((resolve) => {
      this.calls.push({
        entries,
        end: (outcomes) => resolve(outcomes ?? entries.map(() => ({ ok: true, offset: this.#offset++, stamp: 0 }))),
      });
    });
  }
  join = () => Promise.reject(new Error('not asked for'));
  bounds = () => Promise.resolve({ low: 0, end: this.#offset });
  readAt = () => Promise.resolve(null);
  close = () => Promise.resolve();
}
const entry = (shard: number, value: string) => ({ shard, key: 'v', value });
const valuesOf = (log: HandLog) => log.calls.map(({ entries }) => entries.map(({ value }) => value));

describe('the append queue', () => {
  it('sends what comes in one turn of the event loop as one append', async () => {
    const log = new HandLog();
    const queue = new AppendQueue(log, 5_000);
    const answers = [queue.append([entry(0, 'a')]), queue.append([entry(1, 'b'), entry(0, 'c')])];
    await turn();
    expect(valuesOf(log)).toEqual([['a', 'c', 'b']]);
    log.calls[0]!.end();
    expect(await Promise.all(answers)).toMatchObject([[{ offset: 0 }], [{ offset: 2 }, { offset: 1 }]]);
  });

  it('never has two appends of one shard in flight, whatever the other shards do', async () => {
    const log = new HandLog();
    const queue = new AppendQueue(log, 5_000);
    void queue.append([entry(0, 'a1')]);
    await turn();
    void queue.append([entry(0, 'a2'), entry(1, 'b1')]);
    void queue.append([entry(0, 'a3')]);
    await turn();
    expect(valuesOf(log)).toEqual([['a1'], ['b1']]);
    log.calls[1]!.end();
    await turn();
    await turn();
    expect(valuesOf(log)).toEqual([['a1'], ['b1']]);
    log.calls[0]!.end();
    await turn();
    await turn();
    expect(valuesOf(log)).toEqual([['a1'], ['b1'], ['a2', 'a3']]);
  });

  it('keeps at most two appends in flight, so that what waits becomes one larger append', async () => {
    const log = new HandLog();
    const queue = new AppendQueue(log, 5_000);
    for (const shard of [0, 1, 2, 3]) {
      void queue.append([entry(shard, `${shard}`)]);
      await turn();
    }
    expect(valuesOf(log)).toEqual([['0'], ['1']]);
    log.calls[0]!.end();
    await turn();
    await turn();
    expect(valuesOf(log)).toEqual([['0'], ['1'], ['2', '3']]);
  });

  it('cuts appends at the limit and sends the rest', async () => {
    const log = new HandLog();
    const queue = new AppendQueue(log, 5_000);
    const all = queue.append(Array.from({ length: limits.appendRecords + 1 }, (_, i) => entry(i % 2, `${i}`)));
    while (log.calls.length < 1) await turn();
    log.calls[0]!.end();
    while (log.calls.length < 2) await turn();
    expect(log.calls.map(({ entries }) => entries.length)).toEqual([limits.appendRecords, 1]);
    log.calls[1]!.end();
    expect(await all).toHaveLength(limits.appendRecords + 1);
    await queue.drained();
    expect(queue.records).toBe(0);
  });

  it('answers UNKNOWN when an adapter rejects against its promise', async () => {
    const log = new HandLog();
    log.append = () => Promise.reject(new Error('broken adapter'));
    expect(await new AppendQueue(log, 5_000).append([entry(0, 'a')])).toEqual([
      { ok: false, code: 'UNKNOWN', message: 'broken adapter' },
    ]);
  });
});

describe('the deadline of an append', () => {
  it('ends the wait of those behind an append that takes too long: they were surely not written', async () => {
    const log = new HandLog();
    const queue = new AppendQueue(log, 20);
    const sent = queue.append([entry(0, 'sent')]);
    await turn();
    const behind = queue.append([entry(0, 'behind'), entry(0, 'too')]);
    expect((await behind).map((outcome) => outcome.ok || outcome.code)).toEqual(['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE']);
    // The log's own word about what is on its way counts, if it comes in the time of grace.
    log.calls[0]!.end();
    expect(await sent).toMatchObject([{ ok: true }]);
    const next = queue.append([entry(0, 'next')]);
    while (log.calls.length < 2) await turn();
    log.calls[1]!.end();
    expect(await next).toMatchObject([{ ok: true }]);
    expect(valuesOf(log)).toEqual([['sent'], ['next']]);
  });

  it('answers UNKNOWN for what is on its way, and goes on when the log answers after all', async () => {
    const log = new HandLog();
    const queue = new AppendQueue(log, 20);
    const startedAt = performance.now();
    expect(await queue.append([entry(0, 'sent')])).toMatchObject([{ ok: false, code: 'UNKNOWN' }]);
    // Node's timers may be a millisecond early.
    expect(performance.now() - startedAt).toBeGreaterThan(20 + limits.appendGraceMs - 3);
    expect(queue.records).toBe(1);
    log.calls[0]!.end();
    await queue.drained();
    expect([queue.records, queue.endOf(0)]).toEqual([0, 1]);
  });
});

describe('intake', () => {
  const { playbook } = compileFiles({
    'playbook.yaml': 'format: 1\ncurrency: USD\ntimezone: UTC\nevents:\n  pinged: { name: Pinged, says: pinged }\n',
  });
  const sender: Sender = {
    identity: { kind: 'visitor', visitor: 'v', expiresAt: null },
    device: undefined,
    privacyControl: false,
    receivedAt: Date.now(),
    sentAt: null,
  };
  const event: IncomingEvent = { type: 'pinged' };
  function intakeOver(log: EventLog, lag = 0) {
    const queue = new AppendQueue(log, 5_000);
    const refused: string[] = [];
    const accepted: string[] = [];
    const intake = new Intake({
      queue,
      shards: log.shards,
      playbook: () => playbook!,
      maxEventAgeMs: 3_600_000,
      lagOf: () => lag,
      onAccepted: (type) => accepted.push(type),
      onRefused: (reason) => refused.push(reason),
    });
    return { queue, intake, refused, accepted };
  }

  it('answers each ending of an append in its own words', async () => {
    const log = new HandLog();
    const { intake, refused, accepted } = intakeOver(log);
    const answers = intake.track([event, event, event, event], sender);
    await turn();
    log.calls[0]!.end([
      { ok: true, offset: 7, stamp: 0 },
      { ok: false, code: 'UNKNOWN', message: 'late' },
      { ok: false, code: 'LOG_FULL', message: 'full' },
      { ok: false, code: 'LOG_UNAVAILABLE', message: 'gone' },
    ]);
    expect(await answers).toMatchObject([
      { status: 'ACCEPTED', offset: 7 },
      { status: 'UNKNOWN', error: { code: 'UNKNOWN', retryable: true } },
      { status: 'REFUSED', error: { code: 'LOG_FULL', retryable: true } },
      { status: 'REFUSED', error: { code: 'LOG_UNAVAILABLE', retryable: true } },
    ]);
    expect(accepted).toEqual(['pinged']);
    expect(refused).toEqual(['UNKNOWN', 'LOG_FULL', 'LOG_UNAVAILABLE']);
  });

  it('refuses with OVERLOADED and a time to wait when the fold is too far behind', async () => {
    const log = new HandLog();
    const { intake } = intakeOver(log, limits.lagRecords);
    expect(await intake.track([event], sender)).toMatchObject([
      { status: 'REFUSED', error: { code: 'OVERLOADED', retryable: true, retryAfterMs: limits.retryAfterMs } },
    ]);
    const nearly = intakeOver(log, limits.lagRecords - 1);
    const answer = nearly.intake.track([event], sender);
    await turn();
    log.calls[0]!.end();
    expect(await answer).toMatchObject([{ status: 'ACCEPTED' }]);
  });

  it('refuses with OVERLOADED when too much waits for the log, and takes events again when it has moved', async () => {
    const log = new HandLog();
    const { intake, queue } = intakeOver(log);
    const waiting = queue.append(Array.from({ length: limits.queuedAppends }, (_, i) => entry(i % 4, 'x')));
    expect(await intake.track([event], sender)).toMatchObject([{ error: { code: 'OVERLOADED' } }]);
    while (queue.records > 0) {
      for (const call of log.calls.splice(0)) call.end();
      await turn();
    }
    await waiting;
    const answer = intake.track([event], sender);
    await turn();
    log.calls[0]!.end();
    expect(await answer).toMatchObject([{ status: 'ACCEPTED' }]);
  });

  it('makes a time-ordered id when none came, and keeps one that came, in small letters', async () => {
    const log = new HandLog();
    const { intake } = intakeOver(log);
    void intake.track([event, { ...event, id: 'ABCDEF00-0000-4000-8000-000000000000' }], sender);
    await turn();
    const [made, given] = log.calls[0]!.entries.map(({ value }) => JSON.parse(value).id);
    expect(made).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(given).toBe('abcdef00-0000-4000-8000-000000000000');
  });

  it('writes the time of the event by its own clock', async () => {
    const log = new HandLog();
    const { intake } = intakeOver(log);
    const receivedAt = Date.UTC(2026, 10, 23, 12);
    const behind = { ...sender, receivedAt, sentAt: '2026-11-23T11:00:00.500Z' };
    void intake.track([{ ...event, occurredAt: '2026-11-23T10:59:50.500Z' }, event], behind);
    await turn();
    const records = log.calls[0]!.entries.map(({ value }) => JSON.parse(value));
    expect(records[0].at).toBe(receivedAt - 10_000);
    expect(records[1]).not.toHaveProperty('at');
  });
});
