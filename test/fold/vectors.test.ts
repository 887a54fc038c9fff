import { describe, expect, it } from 'vitest';
import { hashId } from '../../src/fold/recentIds.ts';
import { eventTime } from '../../src/fold/step.ts';
import { toMinor } from '../../src/model/money.ts';
import type { EventRecord } from '../../src/model/record.ts';
import { murmur2 } from '../../src/model/shard.ts';
import { type Cut, wholeLog } from '../support/foldShard.ts';
import { type FoldCase, readVectors, runCase } from '../support/foldVectors.ts';

interface Rows<T> {
  readonly rows: readonly T[];
}

describe('hashing', () => {
  it.each(readVectors<Rows<{ text: string; hash: number }>>('murmur2.json').rows)(
    'murmur2 of "$text" is what Kafka computes (1.1)',
    ({ text, hash }) => expect(murmur2(new TextEncoder().encode(text))).toBe(hash),
  );
  it.each(readVectors<Rows<{ text: string; hash: string }>>('fnv1a64.json').rows)(
    'the hash of the id "$text" is 64-bit FNV-1a (2.4)',
    ({ text, hash }) => expect(Buffer.from(hashId(text), 'base64url').toString('hex')).toBe(hash),
  );
});

describe('money', () => {
  it.each(readVectors<Rows<{ amount: number; digits: number; minor: number | null }>>('money.json').rows)(
    '$amount has $minor minor units at $digits digits (10.1)',
    ({ amount, digits, minor }) => {
      if (minor === null) expect(() => toMinor(amount, digits)).toThrow(RangeError);
      else expect(toMinor(amount, digits)).toBe(minor);
    },
  );
});

describe('event time', () => {
  const { rows, maxEventAgeMs } = readVectors<
    Rows<{ at: number | null; appendTime: number; imported: boolean; eventTime: number }> & { maxEventAgeMs: number }
  >('eventTime.json');
  it.each(rows)('of at $at, appended at $appendTime, imported $imported, is $eventTime (3.2)', (row) => {
    const { at, appendTime, imported } = row;
    const record = { ...(at === null ? {} : { at }), ...(imported ? { imported } : {}) } as EventRecord;
    expect(eventTime({ record, appendTime }, maxEventAgeMs)).toBe(row.eventTime);
  });
});

const oneByOne: Cut = { batch: 1, timers: 1, page: 1, keep: 0 };
const cuts: readonly [name: string, cut: Cut][] = [
  ['folded at once', wholeLog],
  ['one at a time, from the store', oneByOne],
];

describe.each(['sequence', 'retries', 'time', 'slots', 'shop', 'deciding', 'outputs', 'identity'])(
  'the log of a shard: %s',
  (file) => {
    for (const [cutName, cut] of cuts) {
      describe(cutName, () => {
        it.each(readVectors<readonly FoldCase[]>(`fold/${file}.json`))('$name ($semantics)', (given) => {
          runCase(given, cut, (expected, came, where) => expect(came, where).toMatchObject(expected));
        });
      });
    }
  },
);
