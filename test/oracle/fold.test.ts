import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultFoldSettings, type FoldSettings } from '../../src/fold/settings.ts';
import { actionsTopic } from '../../src/model/action.ts';
import { logTopic, movesTopic } from '../../src/model/commit.ts';
import { type FoldedPart, failedPart, metaPart } from '../support/canonical.ts';
import { FoldShard, wholeLog } from '../support/foldShard.ts';
import { type Expected, type FoldCase, logOf, readVectors } from '../support/foldVectors.ts';
import { bundles, busyLogs, foldLog, type GeneratedRecord, logs, smallSettings, visitors } from '../support/logs.ts';
import { compareParts, type OracleLook, type PlainBundles, plainBundle, StandingOracle } from '../support/oracle.ts';

/** All but outputs.json, which tells what other systems hear of a fold: the oracle says what it is. */
const vectorFiles = ['sequence', 'retries', 'time', 'slots', 'shop', 'deciding', 'identity'];
const vectors = vectorFiles.flatMap((file) => readVectors<readonly FoldCase[]>(`fold/${file}.json`));

let oracle: StandingOracle;
beforeAll(async () => {
  const plain: Record<string, PlainBundles[string]> = {};
  for (const { texts } of [bundles, ...vectors.map((given) => logOf(given).bundles)]) {
    for (const [hash, text] of texts) plain[hash] ??= plainBundle(text);
  }
  oracle = await StandingOracle.start(plain);
});
afterAll(() => oracle.stop());

describe('the oracle of the fold', () => {
  it.each(vectors)('$name ($semantics)', async (given) => {
    const { lines, settings, shards } = logOf(given);
    const records = lines.map((line, offset) => ({
      shard: 0,
      offset,
      stamp: given.records[offset]!.stamp,
      value: typeof line === 'string' ? line : JSON.stringify(line),
    }));
    const looks = given.records.flatMap(({ then }, place) => (then === undefined ? [] : [place]));
    const seen = await oracle.fold({ records, shards, settings, looks });
    const expected = [...looks.map((place) => given.records[place]!.then!), given.expect ?? {}];
    expected.forEach((each, i) => {
      expect(seenAs(seen[i]!, each), i < looks.length ? `after record ${looks[i]}` : 'at the end').toMatchObject(each);
    });
  });
});

/** What the oracle saw, as far as the expectation names it. */
function seenAs({ lines, facts, folded, fired, appended, sent }: OracleLook, expected: Expected): object {
  const meta = lines.find((part) => 'meta' in part)!.meta;
  const failed = lines.flatMap((part) => ('failed' in part ? part.failed : []));
  const all: Record<string, unknown> = {
    $folded: folded,
    $fired: fired,
    $appended: appended,
    $sent: sent,
    $failed: failed.map(({ position, reason }) => [position, reason]).sort(),
    $counters: meta.counters,
    $appendTime: meta.appendTime,
  };
  return Object.fromEntries(
    Object.keys(expected).map((subject) => {
      if (subject.startsWith('$')) return [subject, all[subject]];
      const visitor = lines
        .flatMap((part) => ('visitor' in part ? [part.visitor] : []))
        .find(({ id }) => id === subject);
      if (visitor === undefined) return [subject, null];
      const slots = Object.fromEntries(
        Object.entries(visitor.slots).map(([name, { candidates }]) => [name, candidates]),
      );
      return [
        subject,
        { ...visitor, slots, facts: facts[subject], timers: inExpectedOrder(visitor.timers, expected[subject]) },
      ];
    }),
  );
}

/** The vectors name timers in the order they were set, which says nothing: the order of ids is the oracle's. */
function inExpectedOrder(timers: readonly object[], expected: unknown): readonly object[] {
  const named = (expected as { timers?: readonly object[] } | null)?.timers ?? [];
  const place = (timer: object) =>
    named.findIndex((each) =>
      Object.entries(each).every(
        ([key, value]) => JSON.stringify((timer as Record<string, unknown>)[key]) === JSON.stringify(value),
      ),
    );
  return [...timers].sort((a, b) => place(a) - place(b));
}

const settings = fc.constantFrom(smallSettings, defaultFoldSettings);

describe('any log', () => {
  it('folds to what the oracle says', async () => {
    await fc.assert(fc.asyncProperty(logs(60).map(withRetries), settings, agrees), { numRuns: 150 });
  });

  it('folds to what the oracle says when one visitor does more than its state keeps', async () => {
    await fc.assert(fc.asyncProperty(busyLogs(400), fc.constant(defaultFoldSettings), agrees), {
      numRuns: 12,
      endOnFailure: true,
    });
  });
});

describe('any log in which visitors become known users', () => {
  it('folds to what the oracle says', async () => {
    const choices = fc.array(fc.nat(0xffff), { minLength: 20, maxLength: 60 });
    const known = fc
      .tuple(logs(60), choices, settings)
      .map(([log, each, limits]) => [withIdentities(log, each, limits), limits] as const);
    let merged = 0;
    await fc.assert(
      fc.asyncProperty(known, async ([log, limits]) => {
        merged += await agree(log, limits);
      }),
      { numRuns: 100, endOnFailure: true },
    );
    expect(merged).toBeGreaterThan(100);
  }, 300_000);
});

/** The log with visitors that become known in between, with what users do, and with what is sent to them: late, and some of it again. */
function withIdentities(
  log: readonly GeneratedRecord[],
  choices: readonly number[],
  limits: FoldSettings,
): readonly GeneratedRecord[] {
  const shard = new FoldShard(bundles, { settings: limits });
  const all: GeneratedRecord[] = [];
  const append = (value: object | string, stamp: number) => {
    all.push({ value, stamp });
    shard.append(value, stamp);
    shard.fold();
  };
  let delivered = 0;
  const deliver = (place: number, stamp: number) => {
    const moves = sentBy(shard);
    if (place < moves.length) append(moves[place]!, stamp);
    return place < moves.length;
  };
  log.forEach(({ value, stamp }, i) => {
    append(value, stamp);
    const choice = choices[i % choices.length]! + i;
    const user = ['u:ada', 'u:bob'][choice % 2]!;
    const what = choice % 7;
    if (what === 0) {
      const visitor = [...visitors, 'u:bob'][(choice >> 3) % 5]!;
      append({ v: 1, kind: 'identified', id: `i${i}`, visitor, user }, stamp);
    } else if (what <= 3) {
      if (deliver(delivered, stamp)) delivered++;
    } else if (what === 4) {
      deliver(choice % (delivered + 1), stamp);
    } else if (what === 5 && typeof value === 'object' && (value as { kind: string }).kind === 'event') {
      const {
        source: _source,
        sequence: _sequence,
        skipped: _skipped,
        imported: _imported,
        ...event
      } = value as Record<string, unknown>;
      append({ ...event, visitor: user, id: `u${i}` }, stamp);
    }
  });
  while (deliver(delivered, all.at(-1)!.stamp)) delivered++;
  return all;
}

const agrees = async (log: readonly GeneratedRecord[], limits: FoldSettings) => void (await agree(log, limits));

/** @returns how many visitors were merged */
async function agree(log: readonly GeneratedRecord[], limits: FoldSettings): Promise<number> {
  const [end] = await oracle.fold({ records: recordsOf(log), shards: 1, settings: limits, looks: [] });
  const shard = foldLog(log, limits, wholeLog);
  const { first } = compareParts(partsOf(shard), end!.lines);
  expect(first).toBeNull();
  expect(outputsOf(shard, logTopic)).toEqual(end!.appended);
  expect(outputsOf(shard, actionsTopic)).toEqual(end!.ordered);
  expect(sentBy(shard).map(withoutProfile)).toEqual(end!.sent.map(withoutProfile));
  return shard.meta.counters.merged;
}

/** What is in it shows when it is merged; here numbers may differ in their last digit. */
function withoutProfile({ profile, ...move }: Record<string, unknown>): object {
  return { ...move, has: Object.keys((profile as object | undefined) ?? {}).sort() };
}

function sentBy(shard: FoldShard): Record<string, unknown>[] {
  return shard.outbox.filter(({ topic }) => topic === movesTopic).map(({ value }) => JSON.parse(value));
}

/** Makes retries of some events, and refused records of an input topic of some others. */
function withRetries(log: readonly GeneratedRecord[]): readonly GeneratedRecord[] {
  return log.map(({ stamp, value }, place) => {
    const record = value as { readonly kind?: string; readonly source?: string };
    if (record.kind !== 'event' || record.source !== undefined || place % 3 === 0) return { stamp, value };
    if (place % 7 !== 0) return { stamp, value: { ...record, retryOf: `0:${place - (place % 11)}` } };
    const from = { topic: 'orders', partition: 0, offset: place, detail: 'expected JSON' };
    return { stamp, value: { ...record, kind: 'rejected', ...from } };
  });
}

function recordsOf(log: readonly GeneratedRecord[]) {
  return log.map(({ stamp, value }, offset) => ({
    shard: 0,
    offset,
    stamp,
    value: typeof value === 'string' ? value : JSON.stringify(value),
  }));
}

/** Events that rules appended, and messages that they sent, in order (9.1, 9.2). */
function outputsOf(shard: FoldShard, wanted: string): unknown[] {
  return shard.outbox.filter(({ topic }) => topic === wanted).map(({ value }) => JSON.parse(value));
}

function partsOf(shard: FoldShard): FoldedPart[] {
  const visitors = [...shard.stored.keys()].map((id) => ({ shard: 0, visitor: shard.visitor(id)! }));
  return [...visitors, failedPart(0, shard.failed), metaPart(shard.meta)];
}
