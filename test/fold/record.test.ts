import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRecord } from '../../src/fold/record.ts';

const schema = JSON.parse(readFileSync(new URL('../../schema/record.v1.json', import.meta.url), 'utf8'));
const fitsSchema = new Ajv2020({ strict: false }).compile(schema);

function read(value: unknown) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return readRecord({ shard: 0, offset: 7, stamp: 1000, key: null, value: text });
}
const event = { v: 1, kind: 'event', id: 'e', visitor: 'v', type: 'page_viewed', properties: {} };
const numbered = { ...event, source: 's', sequence: 2 };
const identified = { v: 1, kind: 'identified', id: 'i', visitor: 'v', user: 'u:ada' };
const forwarded = {
  v: 1,
  kind: 'forwarded',
  id: 'f',
  visitor: 'u:ada',
  from: 'v',
  origin: { shard: 3, output: '17-0' },
  event: { ...event, source: 's', sequence: 4 },
};
const cause = { offset: 3, eventId: 'e', eventType: 'page_viewed', at: 5, says: 'viewed a page' };
const candidate = { rule: 'r', entry: 0, content: 'c', priority: 5, playbook: 'p', cause, facts: [], expiresAt: null };
const timer = { what: 'slot', key: ['s', 'r', 'for'], due: 9, wallDue: 9, skew: 0, setAt: 3 };
const profile = {
  historic: false,
  now: 5,
  lastAppend: 6,
  counts: {
    folded: 1,
    duplicate: 0,
    late: 0,
    held: 0,
    skipped: 0,
    beyondWindow: 0,
    failed: 0,
    refusedTimers: 0,
    sessions: 1,
  },
  traits: { visitor_page_views: 1 },
  session: { number: 1, startedAt: 5, campaign: null, traits: {} },
  rules: {},
  segments: { new_here: 5 },
  slots: { s: [candidate] },
  timers: [timer],
};
const { event: _event, ...move } = forwarded;
const merged = { ...move, kind: 'visitor_merged', profile };
const mergedWith = (change: object) => ({ ...merged, profile: { ...profile, ...change } });
const rejectedInput = {
  v: 1,
  kind: 'rejected',
  id: 'r',
  visitor: 'v',
  type: 'page_viewed',
  topic: 'crm.pages',
  partition: 3,
  offset: 17,
  detail: 'expected JSON',
};

/** One member that is wrong, or two that do not go together. */
const wrong: readonly [what: string, record: object][] = [
  ['another record version', { ...event, v: 2 }],
  ['no kind', { ...event, kind: undefined }],
  ['a kind that is no text', { ...event, kind: 5 }],
  ['no id', { ...event, id: undefined }],
  ['an id of 129 characters', { ...event, id: 'x'.repeat(129) }],
  ['no visitor', { ...event, visitor: undefined }],
  ['an empty visitor', { ...event, visitor: '' }],
  ['a visitor with a line break', { ...event, visitor: 'a\nb' }],
  ['no type', { ...event, type: undefined }],
  ['properties that are a list', { ...event, properties: [] }],
  ['properties that are null', { ...event, properties: null }],
  ['a time with a fraction', { ...event, at: 1.5 }],
  ['a time before the epoch', { ...event, at: -1 }],
  ['a time of 2^53', { ...event, at: 2 ** 53 }],
  ['a source without a sequence', { ...event, source: 's' }],
  ['a sequence without a source', { ...event, sequence: 1 }],
  ['sequence 0', { ...numbered, sequence: 0 }],
  ['skipped without a source', { ...event, skipped: [1] }],
  ['17 skipped numbers', { ...numbered, skipped: Array.from({ length: 17 }, (_, i) => i + 1) }],
  ['a skipped number that is none', { ...numbered, skipped: ['1'] }],
  ['imported: false', { ...numbered, at: 5, imported: false }],
  ['an import without a time', { ...numbered, imported: true }],
  ['an import without a number', { ...event, at: 5, imported: true }],
  ['a retry with a number', { ...numbered, retryOf: '0:4' }],
  ['a context that is a text', { ...event, context: 'x' }],
  ['a context whose url is a number', { ...event, context: { url: 5 } }],
  ['a touch of nobody', { v: 1, kind: 'touched', id: 't' }],
  ['an activation without a catalog', { v: 1, kind: 'activate', id: 'a', playbook: 'p', foldVersion: 1 }],
  [
    'an activation with fold version 0',
    { v: 1, kind: 'activate', id: 'a', playbook: 'p', catalog: 'c', foldVersion: 0 },
  ],
  ['a rejected record without a topic', { ...rejectedInput, topic: undefined }],
  ['a rejected record of offset -1', { ...rejectedInput, offset: -1 }],
  ['a rejected record that does not say why', { ...rejectedInput, detail: '' }],
  ['a rejected record of an empty visitor', { ...rejectedInput, visitor: '' }],
  ['an identity that is no known user', { ...identified, user: 'ada' }],
  ['an identity of nobody', { ...identified, visitor: undefined }],
  ['a forward to an anonymous visitor', { ...forwarded, visitor: 'w' }],
  ['a forward of a known user', { ...forwarded, from: 'u:bob' }],
  ['a forward from nowhere', { ...forwarded, origin: undefined }],
  ['a forward whose output is no offset and number', { ...forwarded, origin: { shard: 3, output: '17' } }],
  ['a forward of no event', { ...forwarded, event: undefined }],
  ['a forward of a tick', { ...forwarded, event: { v: 1, kind: 'tick', id: 't' } }],
  ['a forward of an event without a type', { ...forwarded, event: { ...event, type: undefined } }],
  ['a merge of two known users', { ...merged, from: 'u:bob' }],
  ['a merge without a profile', { ...merged, profile: undefined }],
  ['a merge that does not say when the visitor was', mergedWith({ now: undefined })],
  ['a merge with a count of -1', mergedWith({ counts: { ...profile.counts, folded: -1 } })],
  ['a merge with a list of traits', mergedWith({ traits: [] })],
  ['a merge with session 0', mergedWith({ session: { ...profile.session, number: 0 } })],
  ['a merge with a segment entered by nobody knows when', mergedWith({ segments: { new_here: 'today' } })],
  ['a merge with a candidate without a cause', mergedWith({ slots: { s: [{ ...candidate, cause: null }] } })],
  ['a merge with a fact that is no name and value', mergedWith({ slots: { s: [{ ...candidate, facts: [['a']] }] } })],
  ['a merge with a hold', mergedWith({ timers: [{ ...timer, what: 'hold' }] })],
  ['a merge with a timer that is never due', mergedWith({ timers: [{ ...timer, due: null }] })],
  ['an advance to nowhere', { v: 1, kind: 'advance', id: 'a' }],
];
const right: readonly [what: string, record: object][] = [
  ['the least event', event],
  ['a numbered event', numbered],
  ['16 skipped numbers', { ...numbered, skipped: Array.from({ length: 16 }, (_, i) => i + 1) }],
  ['an import', { ...numbered, at: 5, imported: true }],
  ['a retry', { ...event, retryOf: '0:4' }],
  ['an import that corrects a failed one', { ...event, at: 5, imported: true, retryOf: '0:4' }],
  [
    'an event with all there is',
    { ...numbered, at: 5, depth: 1, context: { url: 'u', device: 'mobile' }, receivedAt: 1.5 },
  ],
  ['members that nobody knows', { ...event, since: 'later' }],
  ['an identity', identified],
  ['a forward', forwarded],
  ['a forward of an import', { ...forwarded, event: { ...numbered, at: 5, imported: true } }],
  ['a merge', merged],
  ['a merge of a visitor without a session', mergedWith({ session: null, slots: {}, timers: [] })],
  ['a touch', { v: 1, kind: 'touched', id: 't', visitor: 'v' }],
  ['an activation', { v: 1, kind: 'activate', id: 'a', playbook: 'p', catalog: 'c', foldVersion: 3 }],
  ['an advance', { v: 1, kind: 'advance', id: 'a', to: 0 }],
  ['a tick', { v: 1, kind: 'tick', id: 't' }],
];

describe('reading a record', () => {
  it.each(right)('takes %s, as the schema does', (_what, record) => {
    expect(read(record)).toMatchObject({ record, failure: null });
    expect(fitsSchema(record)).toBe(true);
  });

  it.each(wrong)('refuses %s, as the schema does', (_what, record) => {
    const { record: taken, failure } = read(record);
    expect(taken).toBeNull();
    expect(failure?.reason).toBe('UNREADABLE');
    expect(fitsSchema(JSON.parse(JSON.stringify(record)))).toBe(false);
  });

  it('agrees with the schema on whatever JSON may come', () => {
    const members = fc.record(
      {
        v: fc.constantFrom(1, 1, 1, 2),
        kind: fc.constantFrom('event', 'touched', 'advance', 'tick', 'activate', 'erase', 5),
        id: fc.constantFrom('x', '', null),
        visitor: fc.constantFrom('v', '', 7),
        type: fc.constantFrom('page_viewed', ''),
        properties: fc.constantFrom({}, [], 'p'),
        at: fc.constantFrom(1, -1, 0.5, 'now'),
        source: fc.constantFrom('s', ''),
        sequence: fc.constantFrom(1, 0, 2.5),
        skipped: fc.constantFrom([], [1], [0]),
        imported: fc.constantFrom(true, false),
        retryOf: fc.constantFrom('0:1', ''),
        context: fc.constantFrom({}, { url: 1 }, null),
        to: fc.constantFrom(0, -1),
      },
      { requiredKeys: ['v', 'kind', 'id'] },
    );
    fc.assert(
      fc.property(members, (record) => {
        expect(read(record).failure?.reason === 'UNREADABLE').toBe(!fitsSchema(record));
      }),
      { numRuns: 2000 },
    );
  });

  it('says what it expected and what came', () => {
    expect(read({ ...event, at: 'noon' }).failure?.detail).toBe('at: expected ms since the epoch; came "noon"');
    expect(read('{"v":1').failure?.detail).toMatch(/^expected JSON; /);
    expect(read('7').failure?.detail).toBe('expected a JSON object; came 7');
  });

  it('takes a rejected record for an event that failed, with or without a visitor, as the schema does', () => {
    const { visitor: _, ...nobodys } = rejectedInput;
    for (const record of [rejectedInput, nobodys, { ...rejectedInput, properties: 7, value: 'x', at: 'noon' }]) {
      expect(read(record)).toMatchObject({
        record: null,
        failure: { reason: 'INPUT_INVALID', detail: 'crm.pages:3:17: expected JSON' },
        visitor: 'visitor' in record ? 'v' : null,
        id: 'r',
        type: 'page_viewed',
        isEvent: true,
      });
      expect(fitsSchema(record)).toBe(true);
    }
  });

  it('tells kinds that come later from kinds that nobody knows', () => {
    expect(read({ v: 1, kind: 'erase', id: 'x' }).failure).toEqual({
      reason: 'UNKNOWN_KIND',
      detail: 'records of kind erase are not run by this version yet',
    });
    expect(read({ v: 1, kind: 'dance', id: 'x' }).failure?.detail).toMatch(
      /^expected a kind of record .* came "dance"$/,
    );
  });

  it('never throws, and takes nothing from what every object inherits', () => {
    const deep = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
    for (const text of [
      '',
      'null',
      '"x"',
      '{',
      deep,
      '{"__proto__":{"v":1,"kind":"tick","id":"i"}}',
      '{"constructor":1}',
    ]) {
      expect(read(text)).toMatchObject({ record: null, failure: { reason: 'UNREADABLE' } });
    }
    expect(read('{"v":1,"kind":"toString","id":"i"}').failure?.reason).toBe('UNKNOWN_KIND');
    expect(({} as { v?: unknown }).v).toBeUndefined();
  });

  it('knows whom, and which number, a record concerns that it cannot read otherwise', () => {
    expect(read({ ...numbered, type: 5, skipped: [1] })).toMatchObject({
      record: null,
      visitor: 'v',
      number: { source: 's', sequence: 2, skipped: [1] },
      id: 'e',
      type: null,
      isEvent: true,
    });
    expect(read({ ...numbered, visitor: '\u0000' })).toMatchObject({ visitor: null, number: null });
    expect(read({ ...numbered, sequence: 0 })).toMatchObject({ visitor: 'v', number: null });
  });

  it('counts the bytes of a record as appended, in UTF-8', () => {
    const text = JSON.stringify({ ...event, properties: { title: 'é€😀' } });
    expect(read(text).bytes).toBe(new TextEncoder().encode(text).length);
  });

  it('refuses a visitor of more than 128 bytes, or with half a surrogate pair', () => {
    expect(read({ ...event, visitor: 'é'.repeat(64) }).record).not.toBeNull();
    expect(read({ ...event, visitor: `${'é'.repeat(64)}x` }).record).toBeNull();
    expect(read('{"v":1,"kind":"event","id":"e","visitor":"\\ud800","type":"t","properties":{}}').record).toBeNull();
  });
});
