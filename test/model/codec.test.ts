import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newVisitor } from '../../src/fold/expiry.ts';
import {
  canonicalVisitor,
  decodeSlots,
  decodeVisitor,
  encodeProfile,
  encodeSlots,
  historicDueOf,
  wakeAtOf,
} from '../../src/model/codec.ts';
import { TraitStates } from '../../src/model/traitStates.ts';
import type { Candidate, Timer, Visitor } from '../../src/model/visitor.ts';
import { TestBundles } from '../support/bundles.ts';

const time = fc.integer({ min: 0, max: 2 ** 50 });
const small = fc.integer({ min: 0, max: 100_000 });
/** Names as playbooks give them, words that the stored form shortens, and what could be taken for one of those. */
const name = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/),
  fc.constantFrom('for', 'product_viewed', 'visitor_orders', 'cart', 'product.name', '~', '~2', '~~2', '~for'),
);
const value = fc.oneof(
  fc.string(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => x + 0),
  fc.boolean(),
  fc.constant(null),
);
const json = fc.oneof(
  value,
  fc.array(value, { maxLength: 3 }),
  fc.array(fc.array(value, { maxLength: 2 }), { maxLength: 2 }),
);
const id = fc.oneof(
  fc.uuid(),
  fc.uuid().map((text) => text.toUpperCase()),
  fc.string({ minLength: 1 }),
);
const map = <T>(values: fc.Arbitrary<T>) => fc.dictionary(name, values, { maxKeys: 5, noNullPrototype: true });

const candidate: fc.Arbitrary<Candidate> = fc.record({
  rule: name,
  entry: fc.nat(3),
  content: name,
  priority: fc.integer({ min: -5, max: 100 }),
  playbook: fc.constantFrom('a1', 'b2'),
  cause: fc.record({ offset: small, eventId: id, eventType: name, at: time, says: fc.string() }),
  facts: fc.array(fc.tuple(name, json), { maxLength: 8 }),
  expiresAt: fc.option(time),
});
const timer: fc.Arbitrary<Timer> = fc.oneof(
  fc.record({
    what: fc.constant('session' as const),
    key: fc.constant([]),
    due: time,
    wallDue: fc.option(time),
    skew: small,
    setAt: small,
  }),
  fc
    .record({
      slot: name,
      rule: name,
      end: fc.constantFrom('for', 'until'),
      due: time,
      skew: small,
      setAt: small,
      calendar: fc.boolean(),
    })
    .map(({ slot, rule, end, due, skew, setAt, calendar }) => ({
      what: 'slot' as const,
      key: [slot, rule, end],
      due,
      wallDue: calendar ? due : due + skew,
      skew,
      setAt,
    })),
  fc.record({
    what: fc.constant('hold' as const),
    key: fc.tuple(id),
    due: fc.constant(null),
    wallDue: time,
    skew: fc.constant(0),
    setAt: small,
  }),
  fc.record({
    what: fc.constant('rule' as const),
    key: fc.tuple(name, fc.string()),
    due: time,
    wallDue: time,
    skew: small,
    setAt: small,
  }),
);
const counts = fc.record({
  folded: small,
  duplicate: small,
  late: small,
  held: small,
  skipped: small,
  beyondWindow: small,
  failed: small,
  refusedTimers: small,
  sessions: small,
});
const event = fc.record({
  v: fc.constant(1 as const),
  kind: fc.constant('event' as const),
  id,
  visitor: id,
  type: name,
  properties: map(json),
});
const visitors: fc.Arbitrary<Visitor> = fc.record({
  id,
  born: small,
  historic: fc.boolean(),
  now: time,
  lastAppend: time,
  version: small,
  sources: fc.array(
    fc.record({
      id,
      next: small,
      missing: fc.array(small, { maxLength: 3 }),
      floor: small,
      skipped: fc.array(small, { maxLength: 2 }),
      held: fc.array(
        fc.record({ sequence: small, offset: small, appendTime: time, bytes: small, record: fc.option(event) }),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 3 },
  ),
  recentIds: fc.array(fc.stringMatching(/^[A-Za-z0-9_-]{11}$/), { maxLength: 4 }),
  failures: fc.array(fc.nat(), { maxLength: 3 }),
  counts,
  traits: map(json).map(TraitStates.of),
  session: fc.option(
    fc.record({
      number: small,
      startedAt: time,
      campaign: fc.option(fc.string()),
      traits: map(json).map(TraitStates.of),
    }),
  ),
  rules: map(json).map(TraitStates.of),
  segments: fc.dictionary(name, time),
  slots: map(fc.record({ version: small, candidates: fc.array(candidate, { maxLength: 3 }) })),
  timers: fc.array(timer, { maxLength: 4 }),
  alias: fc.option(id),
  sent: fc.option(fc.record({ offset: small, count: small })),
  taken: fc.array(fc.record({ shard: small, offset: small, counts: fc.array(fc.tuple(id, small), { maxLength: 2 }) }), {
    maxLength: 2,
  }),
});

describe('the stored form of a visitor', () => {
  it('gives back exactly what was stored, and gateways the same slots', () => {
    fc.assert(
      fc.property(visitors, (visitor) => {
        const profile = encodeProfile(visitor);
        const slots = encodeSlots(visitor);
        expect(decodeVisitor(profile, slots)).toEqual(visitor);
        const view = decodeSlots(slots);
        expect(view.slots).toEqual(visitor.slots);
        expect(view.alias).toBe(visitor.alias);
        expect(view.held).toEqual(visitor.sources.flatMap(({ held }) => held.map(({ offset }) => offset)));
      }),
      { numRuns: 500 },
    );
  });

  it('of version 1 is read as it was written when there was no later one', () => {
    const profile =
      '[1,[3,1,0,0,0,0,0,0,1],{"~g":2,"~e":[2,[["p",1,990]],7],"own":"x","~~odd":1},[1,50,"spring",{"~t":1}],[[4,9,1800000,3],[3,9,60000,3,0,[0,0,0]]],[["s",4,[2]]],"CNyCB7V75bk"]';
    const slots =
      '[1,"v",5,0,1000000,3,2,[],["ab12"],[[9,"AZfA3gAAcACAAAAAAAAAAQ",3,999950,"viewed p"]],[[41,"p"],["traits.own","x"]],{"banner":[2,["r","c",50,0,0,60053,[0,1]]]}]';
    expect(decodeVisitor(profile, slots)).toMatchObject({
      id: 'v',
      born: 5,
      historic: false,
      now: 1_000_000,
      lastAppend: 1_000_003,
      counts: { folded: 3, duplicate: 1, sessions: 1 },
      traits: TraitStates.of({ visitor_product_views: 2, cart: [2, [['p', 1, 990]], 7], own: 'x', '~odd': 1 }),
      session: { number: 1, startedAt: 999_950, campaign: 'spring', traits: TraitStates.of({ session_page_views: 1 }) },
      sources: [{ id: 's', next: 4, missing: [2], floor: 0, skipped: [], held: [] }],
      recentIds: ['CNyCB7V75bk'],
      failures: [],
      timers: [
        { what: 'session', key: [], due: 2_800_000, wallDue: 2_800_003, skew: 3, setAt: 9 },
        { what: 'slot', key: ['banner', 'r', 'for'], due: 1_060_000, wallDue: 1_060_003, skew: 3, setAt: 9 },
      ],
      slots: {
        banner: {
          version: 2,
          candidates: [
            {
              rule: 'r',
              content: 'c',
              playbook: 'ab12',
              cause: { eventId: '0197c0de-0000-7000-8000-000000000001', eventType: 'product_viewed', at: 999_950 },
              facts: [
                ['product.id', 'p'],
                ['traits.own', 'x'],
              ],
              expiresAt: 1_060_003,
            },
          ],
        },
      },
    });
  });

  it('of another version is refused', () => {
    expect(() => decodeSlots('[2,"v"]')).toThrow('form 1');
    expect(() => decodeSlots('{}')).toThrow('form 1');
  });

  it('shortens the name of every built-in event and trait', () => {
    const bundles = new TestBundles();
    const { events, traits } = bundles.playbook(bundles.addPlaybook('format: 1\ncurrency: USD\n'))!;
    const names = Object.fromEntries([...traits.keys()].map((name) => [name, 1]));
    const candidates = [...events.keys()].map((eventType) => ({
      rule: 'r',
      entry: 0,
      content: 'c',
      priority: 0,
      playbook: 'p',
      cause: { offset: 0, eventId: 'e', eventType, at: 0, says: '' },
      facts: [],
      expiresAt: null,
    }));
    const visitor: Visitor = {
      ...newVisitor('v', 0, 0),
      traits: TraitStates.of(names),
      slots: { s: { version: 1, candidates } },
    };
    const text = encodeProfile(visitor) + encodeSlots(visitor);
    expect([...events.keys(), ...traits.keys()].filter((name) => text.includes(`"${name}"`))).toEqual([]);
  });
});

describe('what wakes a visitor', () => {
  const base = fc.sample(visitors, 1)[0]!;
  const session: Timer = { what: 'session', key: [], due: 50, wallDue: 80, skew: 30, setAt: 0 };
  const hold: Timer = { what: 'hold', key: ['s'], due: null, wallDue: 70, skew: 0, setAt: 0 };

  it('is the smallest wall time of its timers', () => {
    expect(wakeAtOf({ ...base, timers: [session, hold] })).toBe(70);
    expect(wakeAtOf({ ...base, timers: [{ ...session, wallDue: null }] })).toBeNull();
  });

  it('is, for an advance, the smallest due of a historic one, and before all others one that holds events', () => {
    expect(historicDueOf({ ...base, historic: true, timers: [session, { ...session, due: 40 }] })).toBe(40);
    expect(historicDueOf({ ...base, historic: true, timers: [session, hold] })).toBe(0);
    expect(historicDueOf({ ...base, historic: false, timers: [session, hold] })).toBeNull();
    expect(historicDueOf({ ...base, historic: true, timers: [] })).toBeNull();
  });

  it('does not show in which order timers were set when two folds are compared', () => {
    expect(canonicalVisitor({ ...base, timers: [session, hold] })).toBe(
      canonicalVisitor({ ...base, timers: [hold, session] }),
    );
  });
});
