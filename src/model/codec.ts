import { canonicalJson, type Json } from './json.ts';
import type { EventRecord } from './record.ts';
import {
  type Cause,
  type Fact,
  type HeldEvent,
  type Session,
  type Slot,
  type SlotsView,
  type Source,
  type Timer,
  timerKinds,
  type Visitor,
  type VisitorCounts,
} from './visitor.ts';
import { readKeys, readWord, type StoredWord, storeKeys, storeWord } from './words.ts';

/**
 * How a visitor is stored: two texts, `profile` for the fold and `slots` for gateways, each JSON of tuples. What most visitors
 * have at its default is left out at a tuple's end; times are differences to visitor now, in slots to the cause. The number in front is the
 * version of this form: a text of another version is refused, never guessed at.
 */
const formVersion = 1;

/** Base64url characters of a 64-bit hash. */
const hashLength = 11;

const countNames = [
  'folded',
  'duplicate',
  'late',
  'held',
  'skipped',
  'beyondWindow',
  'failed',
  'refusedTimers',
  'sessions',
] as const;

type Tuple = unknown[];

/** All but what `encodeSlots` writes. */
export function encodeProfile(visitor: Visitor): string {
  const { now, counts, session } = visitor;
  return JSON.stringify([
    formVersion,
    trimmed(countNames.map((name) => counts[name])),
    storeKeys(visitor.traits),
    session === null ? 0 : encodeSession(session, now),
    visitor.timers.map((timer) => encodeTimer(timer, now, visitor.slots)),
    visitor.sources.map(encodeSource),
    visitor.recentIds.join(''),
  ]);
}

/** Slots change far less often than their visitor is written; they are a value, so their text is made once. */
const slotsTexts = new WeakMap<Visitor['slots'], string>();

/** What gateways need to answer slots and cursors. */
export function encodeSlots(visitor: Visitor): string {
  const { now, slots } = visitor;
  const held = visitor.sources.flatMap((source) => source.held.map((event) => event.offset));
  const head = [
    visitor.id,
    visitor.born,
    visitor.historic ? 1 : 0,
    now,
    visitor.lastAppend - now,
    visitor.version,
    held,
  ];
  let text = slotsTexts.get(slots);
  if (text === undefined) {
    text = JSON.stringify(encodeSlotMap(slots)).slice(1, -1);
    slotsTexts.set(slots, text);
  }
  return `[${formVersion},${JSON.stringify(head).slice(1, -1)},${text}]`;
}

/** @throws Error when a text is not of this form version */
export function decodeVisitor(profile: string, slots: string): Visitor {
  const view = decodeSlots(slots);
  const [, counts, traits, session, timers, sources, recentIds] = parse(profile) as [
    number,
    number[],
    { [trait: string]: Json },
    Tuple | 0,
    Tuple[],
    Tuple[],
    string,
  ];
  const { held: _, ...rest } = view;
  return {
    ...rest,
    sources: sources.map(decodeSource),
    recentIds: splitHashes(recentIds),
    counts: Object.fromEntries(countNames.map((name, i) => [name, counts[i] ?? 0])) as unknown as VisitorCounts,
    traits: readKeys(traits),
    session: session === 0 ? null : decodeSession(session, view.now),
    timers: timers.map((timer) => decodeTimer(timer, view.now, view.slots)),
  };
}

/** @throws Error when the text is not of this form version */
export function decodeSlots(text: string): SlotsView {
  const [, id, born, historic, now, lastAppend, version, held, ...encoded] = parse(text) as [
    number,
    string,
    number,
    0 | 1,
    number,
    number,
    number,
    number[],
    ...SlotMapTuple,
  ];
  const slots = decodeSlotMap(encoded);
  return { id, born, historic: historic === 1, now, lastAppend: now + lastAppend, version, held, slots };
}

/** When the shard must look at this visitor: the smallest wallDue of its timers; null: never. */
export function wakeAtOf(visitor: Visitor): number | null {
  let least: number | null = null;
  for (const { wallDue } of visitor.timers)
    if (wallDue !== null && (least === null || wallDue < least)) least = wallDue;
  return least;
}

/** What `advance` looks for: the smallest due of a historic visitor's timers; 0, before any, while it holds events. */
export function historicDueOf(visitor: Visitor): number | null {
  if (!visitor.historic) return null;
  let least: number | null = null;
  for (const { what, due } of visitor.timers) {
    if (what === 'hold') return 0;
    if (due !== null && (least === null || due < least)) least = due;
  }
  return least;
}

/** Equal for equal visitors, whatever the order their timers were set in: for comparing two folds byte for byte. */
export function canonicalVisitor(visitor: Visitor): string {
  const timers = [...visitor.timers].sort((a, b) => (timerName(a) < timerName(b) ? -1 : 1));
  return canonicalJson({ ...visitor, timers });
}

function timerName(timer: Timer): string {
  return JSON.stringify([timer.what, ...timer.key]);
}

function parse(text: string): Tuple {
  const tuple = JSON.parse(text) as Tuple;
  if (!Array.isArray(tuple) || tuple[0] !== formVersion) {
    throw new Error(`a stored visitor must be of form ${formVersion}; came ${text.slice(0, 20)}`);
  }
  return tuple;
}

/** Without the zeros and empty lists at its end. */
function trimmed(tuple: Tuple): Tuple {
  let length = tuple.length;
  while (length > 0 && isDefault(tuple[length - 1])) length--;
  tuple.length = length;
  return tuple;
}
function isDefault(value: unknown): boolean {
  return value === 0 || (Array.isArray(value) && value.length === 0);
}

function encodeSession({ number, startedAt, campaign, traits }: Session, now: number): Tuple {
  return trimmed([number, now - startedAt, campaign ?? 0, Object.keys(traits).length === 0 ? 0 : storeKeys(traits)]);
}
function decodeSession(tuple: Tuple, now: number): Session {
  const [number, age = 0, campaign = 0, traits = 0] = tuple as [
    number,
    number?,
    (string | 0)?,
    (Session['traits'] | 0)?,
  ];
  return {
    number,
    startedAt: now - age,
    campaign: campaign === 0 ? null : campaign,
    traits: traits === 0 ? {} : readKeys(traits),
  };
}

/** `wall` is 0 when wallDue is due + skew, which it is but for holds, calendar instants and historic visitors. */
function encodeTimer({ what, key, due, wallDue, skew, setAt }: Timer, now: number, slots: Visitor['slots']): Tuple {
  const usual = due !== null && wallDue === due + skew;
  const wall = usual ? 0 : wallDue === null ? null : [wallDue - now];
  const shortKey = what === 'slot' ? encodeSlotKey(key, slots) : key;
  return trimmed([timerKinds.indexOf(what), setAt, due === null ? null : due - now, skew, wall, shortKey]);
}
function decodeTimer(tuple: Tuple, now: number, slots: Visitor['slots']): Timer {
  const [kind, setAt = 0, dueIn = 0, skew = 0, wall = 0, key = []] = tuple as [
    number,
    number?,
    (number | null)?,
    number?,
    (0 | null | [number])?,
    (string | number)[]?,
  ];
  const due = dueIn === null ? null : now + dueIn;
  const wallDue = wall === 0 ? due! + skew : wall === null ? null : now + wall[0];
  return { what: timerKinds[kind ?? 0]!, key: decodeSlotKey(key, slots), due, wallDue, skew, setAt };
}

/** A slot's timer ends a candidate that the slots' text names already: [place of the slot, place of the candidate, for | until]. */
function encodeSlotKey(key: readonly string[], slots: Visitor['slots']): readonly (string | number)[] {
  const [slot, rule, end] = key as [string, string, string];
  const place = slots[slot]?.candidates.findIndex((candidate) => candidate.rule === rule) ?? -1;
  return place < 0 ? key : [Object.keys(slots).indexOf(slot), place, storeWord(end)];
}
function decodeSlotKey(key: readonly (string | number)[], slots: Visitor['slots']): readonly string[] {
  const [slot, place, end] = key;
  if (typeof slot !== 'number') return key as readonly string[];
  const name = Object.keys(slots)[slot]!;
  return [name, slots[name]!.candidates[place as number]!.rule, readWord(end!)];
}

function encodeSource({ id, next, missing, floor, skipped, held }: Source): Tuple {
  const heldTuples = held.map((event) => [event.sequence, event.offset, event.appendTime, event.bytes, event.record]);
  return trimmed([id, next, missing, floor, skipped, heldTuples]);
}
function decodeSource(tuple: Tuple): Source {
  const [id, next, missing = [], floor = 0, skipped = [], held = []] = tuple as [
    string,
    number,
    number[]?,
    number?,
    number[]?,
    [number, number, number, number, EventRecord | null][]?,
  ];
  return {
    id,
    next,
    missing,
    floor,
    skipped,
    held: held.map(
      ([sequence, offset, appendTime, bytes, record]): HeldEvent => ({ sequence, offset, appendTime, bytes, record }),
    ),
  };
}

/**
 * What several candidates share stands once, in tables before them: one event often fires several rules, and their texts name the
 * same product.
 */
type SlotMapTuple = [
  playbooks: string[],
  causes: CauseTuple[],
  facts: (readonly [path: StoredWord, value: Json])[],
  slots: { [slot: string]: [version: number, ...candidates: CandidateTuple[]] },
];
type CauseTuple = [offset: number, eventId: string | [string], eventType: StoredWord, at: number, says: string];
type CandidateTuple = [
  rule: string,
  content: string,
  priority: number,
  playbook: number,
  cause: number,
  expiresAfter: number | null,
  facts?: number[],
  entry?: number,
];

function encodeSlotMap(slots: Visitor['slots']): SlotMapTuple {
  const playbooks = new Table<string>();
  const causes = new Table<CauseTuple>();
  const facts = new Table<SlotMapTuple[2][number]>();
  const encoded: SlotMapTuple[3] = {};
  for (const name in slots) {
    const { version, candidates } = slots[name]!;
    encoded[name] = [
      version,
      ...candidates.map((candidate) => {
        const { rule, content, priority, cause, expiresAt, entry } = candidate;
        const { offset, eventId, eventType, at, says } = cause;
        return trimmed([
          rule,
          content,
          priority,
          playbooks.add(candidate.playbook),
          causes.add([offset, shortUuid(eventId), storeWord(eventType), at, says]),
          expiresAt === null ? null : expiresAt - at,
          candidate.facts.map(([path, value]) => facts.add([storeWord(path), value])),
          entry,
        ]) as CandidateTuple;
      }),
    ];
  }
  return [playbooks.values, causes.values, facts.values, encoded];
}

function decodeSlotMap([playbooks, causeTuples, factTuples, encoded]: SlotMapTuple): { [slot: string]: Slot } {
  const causes = causeTuples.map(
    ([offset, id, type, at, says]): Cause => ({
      offset,
      eventId: longUuid(id),
      eventType: readWord(type),
      at,
      says,
    }),
  );
  const facts = factTuples.map(([path, value]): Fact => [readWord(path), value]);
  const slots: { [slot: string]: Slot } = {};
  for (const name of Object.keys(encoded)) {
    const [version, ...candidates] = encoded[name]!;
    slots[name] = {
      version,
      candidates: candidates.map(([rule, content, priority, playbook, at, expiresAfter = 0, named = [], entry = 0]) => {
        const cause = causes[at ?? 0]!;
        return {
          rule,
          entry,
          content,
          priority: priority ?? 0,
          playbook: playbooks[playbook ?? 0]!,
          cause,
          facts: named.map((place) => facts[place]!),
          expiresAt: expiresAfter === null ? null : cause.at + expiresAfter,
        };
      }),
    };
  }
  return slots;
}

/** Values, each once; a value is known by its place. */
class Table<T> {
  readonly values: T[] = [];
  readonly #places = new Map<string, number>();

  add(value: T): number {
    const text = JSON.stringify(value);
    let place = this.#places.get(text);
    if (place === undefined) {
      place = this.values.push(value) - 1;
      this.#places.set(text, place);
    }
    return place;
  }
}

/** A UUID in 22 characters instead of 36; any other id stands in a list, so that neither is taken for the other. */
function shortUuid(id: string): string | [string] {
  return uuid.test(id) ? Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url') : [id];
}
function longUuid(id: string | [string]): string {
  if (typeof id !== 'string') return id[0];
  return Buffer.from(id, 'base64url')
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

function splitHashes(joined: string): string[] {
  const hashes: string[] = [];
  for (let i = 0; i < joined.length; i += hashLength) hashes.push(joined.slice(i, i + hashLength));
  return hashes;
}
