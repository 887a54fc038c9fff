import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readRecord } from '../../src/fold/record.ts';
import type { InputRecord } from '../../src/log/inputs.ts';
import type { InputMapping } from '../../src/model/inputs.ts';
import type { Playbook } from '../../src/playbook/playbook.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { inputEvent } from '../../src/worker/inputEvent.ts';

const now = Date.UTC(2026, 10, 23);
let playbook: Playbook;
beforeAll(async () => {
  playbook = (await readPlaybook(join(import.meta.dirname, '../../playbooks/demo-store'))).playbook!;
});

const searches: InputMapping = { topic: 'crm.searches', type: 'search_performed' };
const rows: InputMapping = { ...searches, user: 'customer', at: 'when', id: 'row' };
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

function made(value: unknown, mapping = searches, more: Partial<InputRecord> = {}) {
  const input = { offset: 7, key: bytes('u:anna'), timestamp: now - 1_000, value: bytes(value), ...more };
  const event = inputEvent(input, mapping, 2, { playbook, maxEventAgeMs: 86_400_000, now });
  // Whatever it became is a record that the fold can read.
  const read = readRecord({ shard: 0, offset: 0, stamp: 0, key: event.visitor, value: event.value });
  expect(read.failure?.reason ?? null).toBe(event.rejected ? 'INPUT_INVALID' : null);
  expect(read.visitor).toBe(event.visitor);
  expect(Buffer.byteLength(event.value)).toBeLessThanOrEqual(32_000);
  return { ...event, record: JSON.parse(event.value), detail: read.failure?.detail };
}

describe('a record of an input topic', () => {
  it('is an event of the visitor that its key names, at the time of the record', () => {
    const { record } = made({ query: 'boots' });
    expect(record).toEqual({
      v: 1,
      kind: 'event',
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8/),
      visitor: 'u:anna',
      type: 'search_performed',
      properties: { query: 'boots' },
      at: now - 1_000,
    });
  });

  it('has the id of its place, the same each time it is read, and of no other place', () => {
    const id = (mapping = searches, more: Partial<InputRecord> = {}) =>
      made({ query: 'boots' }, mapping, more).record.id;
    expect(id()).toBe(id());
    expect(new Set([id(), id(searches, { offset: 8 }), id({ ...searches, topic: 'other' })]).size).toBe(3);
  });

  it('gives user, time and id by the members that its mapping names; the others are properties', () => {
    const row = { customer: 42, when: '2026-11-22T23:00:00+01:00', row: 'r1', query: 'boots' };
    const { record } = made(row, rows, { key: null });
    expect(record).toMatchObject({ visitor: 'u:42', at: Date.UTC(2026, 10, 22, 22), properties: { query: 'boots' } });
    expect(made({ ...row, query: 'tents' }, rows, { offset: 9 }).record.id).toBe(record.id);
    expect(made({ ...row, row: 'r2' }, rows).record.id).not.toBe(record.id);
    expect(made(row, { ...rows, topic: 'other' }).record.id).not.toBe(record.id);
    const uuid = '6F1B4C1E-0000-4000-8000-00000000000A';
    expect(made({ ...row, row: uuid, when: now - 5 }, rows).record).toMatchObject({
      id: uuid.toLowerCase(),
      at: now - 5,
    });
    expect(made({ who: 'dev:bo', query: 'x' }, { ...searches, visitor: 'who' }, { key: null }).visitor).toBe('dev:bo');
    // A database has null for a time that is not known.
    expect(made({ ...row, when: null }, rows).record.at).toBe(now - 1_000);
  });

  it('is taken out of the envelope of Kafka Connect', () => {
    expect(made({ schema: { type: 'struct' }, payload: { query: 'boots' } }).record.properties).toEqual({
      query: 'boots',
    });
    expect(made({ schema: null, payload: 'text' }).detail).toContain('payload: expected a JSON object');
  });
});

describe('a wrong record of an input topic', () => {
  it.each<[what: string, value: unknown, mapping: InputMapping, more: Partial<InputRecord>, detail: string]>([
    ['no value', null, searches, { value: null }, 'the record has no value'],
    ['an empty value', '', searches, {}, 'expected a JSON object in UTF-8'],
    ['no JSON', '{"query":', searches, {}, 'expected a JSON object in UTF-8'],
    ['no UTF-8', null, searches, { value: Buffer.from([0x7b, 0xff, 0x7d]) }, 'expected a JSON object in UTF-8'],
    ['a list', '[1]', searches, {}, 'expected a JSON object; came a list'],
    ['null', 'null', searches, {}, 'expected a JSON object; came "null"'],
    ['a megabyte', `{"query":"${'x'.repeat(1_000_000)}"}`, searches, {}, 'expected at most 32000 bytes'],
    [
      'more than an event may be',
      { query: 'é'.repeat(1_000), more: 'x'.repeat(40_000) },
      searches,
      {},
      'properties.more',
    ],
    ['a wrong property', { query: 5 }, searches, {}, 'properties.query: must be string'],
    ['a missing property', {}, searches, {}, 'properties.query: is missing'],
    ['a property of prototypes', '{"query":"x","__proto__":{"a":1}}', searches, {}, '__proto__'],
    ['lists without end', `{"query":${'['.repeat(15_000)}${']'.repeat(15_000)}}`, searches, {}, 'crm.searches:2:7: '],
    ['half a surrogate', '{"query":"\\ud800"}', searches, {}, 'surrogate'],
    ['a type that the plan dropped', { query: 'x' }, { ...searches, type: 'gone' }, {}, '"gone" is not a type'],
    ['a time that is none', { customer: 1, row: 1, when: 'noon', query: 'x' }, rows, {}, 'when: expected RFC 3339'],
    [
      'an old time',
      { customer: 1, row: 1, when: '2026-11-01T00:00:00Z', query: 'x' },
      rows,
      {},
      'it happened 528.0 h ago',
    ],
    ['an id that is none', { customer: 1, row: {}, query: 'x' }, rows, {}, 'row: expected a text or a whole number'],
  ])('is rejected with its visitor if that can be told: %s', (_what, value, mapping, more, detail) => {
    const { rejected, visitor, record, detail: told } = made(value, mapping, more);
    expect([rejected, visitor]).toEqual([true, mapping.user === undefined ? 'u:anna' : 'u:1']);
    expect(told).toContain(detail);
    expect(record).toMatchObject({ kind: 'rejected', topic: 'crm.searches', partition: 2, offset: 7 });
  });

  it.each<[what: string, value: unknown, mapping: InputMapping, more: Partial<InputRecord>]>([
    ['no key', { query: 'x' }, searches, { key: null }],
    ['an empty key', { query: 'x' }, searches, { key: bytes('') }],
    ['a key with a line break', { query: 'x' }, searches, { key: bytes('a\nb') }],
    ['a key that is no UTF-8', { query: 'x' }, searches, { key: Buffer.from([0xff]) }],
    ['a key of 129 bytes', { query: 'x' }, searches, { key: bytes('x'.repeat(129)) }],
    ['no user', { query: 'x', row: 1 }, rows, {}],
    ['a user that is a map', { query: 'x', row: 1, customer: {} }, rows, {}],
  ])('is nobody’s when its visitor cannot be told: %s', (_what, value, mapping, more) => {
    const { rejected, visitor, record } = made(value, mapping, more);
    expect([rejected, visitor]).toEqual([true, null]);
    expect(record.properties).toEqual({ query: 'x' });
  });

  it('keeps what could be read, so that it can be corrected and retried, or else the text', () => {
    expect(made({ query: 5, page: 1 }).record).toMatchObject({ properties: { query: 5, page: 1 }, at: now - 1_000 });
    expect(made('{"query":').record.value).toBe('{"query":');
    expect(made(`{"query":"${'x'.repeat(1_000_000)}"}`).record.value).toHaveLength(8_000);
  });

  it('has the id of its place, not the one it gives: its producer may write it again, mended, under that', () => {
    const row = { customer: 1, row: 'r1', query: 'boots' };
    expect(made({ ...row, query: 5 }, rows).record.id).not.toBe(made(row, rows).record.id);
    expect(made({ ...row, query: 5 }, rows).record.id).toBe(made({ ...row, query: 5 }, rows).record.id);
  });
});
