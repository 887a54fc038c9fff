import { canonicalJson, type Json, type JsonObject } from './json.ts';
import type { EventRecord } from './record.ts';
import { decodeSlotMap, encodeSlotMap, type SlotMapTuple } from './slotsCodec.ts';
import { TraitStates } from './traitStates.ts';
import {
  type HeldEvent,
  type Session,
  type SlotsView,
  type Source,
  type Timer,
  timerKinds,
  type Visitor,
  type VisitorCounts,
} from './visitor.ts';
import { nameText, readKeys, readWord, statesText, wordText } from './words.ts';

/**
 * How a visitor is stored: two texts, `profile` for the fold and `slots` for gateways, each JSON of tuples. What most visitors
 * have at its default is left out at a tuple's end; times are differences to visitor now, in slots to the cause. The number in front is the
 * version of this form: a text of another version is refused, never guessed at.
 */
const formVersion = 1;

/** Base64url characters of a 64-bit hash. */
const hashLength = 11;

/** In the order in which they are stored. */
export const countNames = [
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
  const { now, counts, session, timers, sources, slots } = visitor;
  const countsText = JSON.stringify(trimmed(countNames.map((name) => counts[name])));
  const sessionText = session === null ? '0' : encodeSession(session, now);
  const names = Object.keys(slots);
  const timersText = timers.map((timer) => encodeTimer(timer, now, slots, names)).join(',');
  const sourcesText = sources.map(encodeSource).join(',');
  const idsText = visitor.recentIds.join('');
  return `[${formVersion},${countsText},${statesText(visitor.traits)},${sessionText},[${timersText}],[${sourcesText}],"${idsText}"${encodeRest(visitor)}]`;
}

/** What most visitors have nothing of. */
function encodeRest({ failures, rules, segments, now, sent, taken }: Visitor): string {
  const rulesText = statesText(rules);
  const ids = Object.keys(segments);
  const moved = sent === null && taken.length === 0 ? '' : `,${encodeSent(sent)},${encodeTaken(taken)}`;
  if (moved === '' && rulesText === '{}' && ids.length === 0)
    return failures.length === 0 ? '' : `,[${failures.join(',')}]`;
  const segmentsText = ids.map((id) => `,${nameText(id)}:${segments[id]! - now}`).join('');
  return `,[${failures.join(',')}],${rulesText},{${segmentsText.slice(1)}}${moved}`;
}

/** Slots change far less often than their visitor is written; they are a value, so their text is made once. */
const slotsTexts = new WeakMap<Visitor['slots'], string>();

/** What gateways need to answer slots and cursors. */
export function encodeSlots(visitor: Visitor): string {
  const { now, slots } = visitor;
  let text = slotsTexts.get(slots);
  if (text === undefined) {
    text = encodeSlotMap(slots);
    slotsTexts.set(slots, text);
  }
  const held = visitor.sources.flatMap((source) => source.held.map((event) => event.offset)).join(',');
  const ages = `${visitor.historic ? 1 : 0},${now},${visitor.lastAppend - now}`;
  const head = `${JSON.stringify(visitor.id)},${visitor.born},${ages},${visitor.version},[${held}]`;
  const alias = visitor.alias === null ? '' : `,${JSON.stringify(visitor.alias)}`;
  return `[${formVersion},${head},${text}${alias}]`;
}

/** @throws Error when a text is not of this form version */
export function decodeVisitor(profile: string, slots: string): Visitor {
  const view = decodeSlots(slots);
  const [
    ,
    counts,
    traits,
    session,
    timers,
    sources,
    recentIds,
    failures = [],
    rules = {},
    segments = {},
    sent = null,
    taken = [],
  ] = parse(profile) as [
    number,
    number[],
    { [trait: string]: Json },
    Tuple | 0,
    Tuple[],
    Tuple[],
    string,
    number[]?,
    { [name: string]: Json }?,
    { [segment: string]: number }?,
    SentTuple?,
    TakenTuple[]?,
  ];
  const { held: _, ...rest } = view;
  return {
    ...rest,
    sources: sources.map(decodeSource),
    recentIds: splitHashes(recentIds),
    failures,
    counts: Object.fromEntries(countNames.map((name, i) => [name, counts[i] ?? 0])) as unknown as VisitorCounts,
    traits: TraitStates.of(readKeys(traits)),
    session: session === 0 ? null : decodeSession(session, view.now),
    rules: TraitStates.of(readKeys(rules)),
    segments: Object.fromEntries(Object.entries(segments).map(([id, since]) => [id, view.now + since])),
    timers: timers.map((timer) => decodeTimer(timer, view.now, view.slots)),
    sent: sent === null ? null : { offset: sent[0], count: sent[1] },
    taken: taken.map(([shard, offset, ...counts]) => ({ shard, offset, counts })),
  };
}

/** @throws Error when the text is not of this form version */
export function decodeSlots(text: string): SlotsView {
  const [, id, born, historic, now, lastAppend, version, held, ...rest] = parse(text) as [
    number,
    string,
    number,
    0 | 1,
    number,
    number,
    number,
    number[],
    ...[...SlotMapTuple, alias?: string],
  ];
  const [playbooks, causes, facts, map, alias = null] = rest;
  const slots = decodeSlotMap([playbooks, causes, facts, map]);
  return { id, born, historic: historic === 1, now, lastAppend: now + lastAppend, version, held, alias, slots };
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

function encodeSession({ number, startedAt, campaign, traits }: Session, now: number): string {
  const campaignText = campaign === null ? '0' : JSON.stringify(campaign);
  return `[${number},${now - startedAt},${campaignText},${statesText(traits)}]`;
}
function decodeSession(tuple: Tuple, now: number): Session {
  const [number, age = 0, campaign = 0, traits = 0] = tuple as [number, number?, (string | 0)?, (JsonObject | 0)?];
  return {
    number,
    startedAt: now - age,
    campaign: campaign === 0 ? null : campaign,
    traits: traits === 0 ? TraitStates.none : TraitStates.of(readKeys(traits)),
  };
}

/** `wall` is 0 when wallDue is due + skew, which it is but for holds, calendar instants and historic visitors. */
function encodeTimer(timer: Timer, now: number, slots: Visitor['slots'], names: readonly string[]): string {
  const { what, key, due, wallDue, skew, setAt, imported } = timer;
  const kind = timerKinds.indexOf(what);
  const usual = due !== null && wallDue === due + skew;
  const head = `[${kind},${setAt},${due === null ? null : due - now}`;
  if (usual && key.length === 0 && imported === undefined) return skew === 0 ? `${head}]` : `${head},${skew}]`;
  const wall = usual ? 0 : wallDue === null ? null : `[${wallDue - now}]`;
  const keyText = what === 'slot' ? encodeSlotKey(key, slots, names) : JSON.stringify(key);
  return `${head},${skew},${wall},${keyText}${imported === undefined ? '' : ',1'}]`;
}
function decodeTimer(tuple: Tuple, now: number, slots: Visitor['slots']): Timer {
  const [kind, setAt = 0, dueIn = 0, skew = 0, wall = 0, key = [], imported] = tuple as [
    number,
    number?,
    (number | null)?,
    number?,
    (0 | null | [number])?,
    (string | number)[]?,
    1?,
  ];
  const due = dueIn === null ? null : now + dueIn;
  const wallDue = wall === 0 ? due! + skew : wall === null ? null : now + wall[0];
  const timer = { what: timerKinds[kind ?? 0]!, key: decodeSlotKey(key, slots), due, wallDue, skew, setAt };
  return imported === undefined ? timer : { ...timer, imported: true };
}

/** A slot's timer ends a candidate that the slots' text names already: [place of the slot, place of the candidate, for | until]. */
function encodeSlotKey(key: readonly string[], slots: Visitor['slots'], names: readonly string[]): string {
  const [slot, rule, end] = key as [string, string, string];
  const candidates = Object.hasOwn(slots, slot) ? slots[slot]!.candidates : [];
  let place = candidates.length - 1;
  while (place >= 0 && candidates[place]!.rule !== rule) place--;
  return place < 0 ? JSON.stringify(key) : `[${names.indexOf(slot)},${place},${wordText(end)}]`;
}
function decodeSlotKey(key: readonly (string | number)[], slots: Visitor['slots']): readonly string[] {
  const [slot, place, end] = key;
  if (typeof slot !== 'number') return key as readonly string[];
  const name = Object.keys(slots)[slot]!;
  return [name, slots[name]!.candidates[place as number]!.rule, readWord(end!)];
}

function encodeSource({ id, next, missing, floor, skipped, held }: Source): string {
  // As it is for most sources, most of the time.
  if (missing.length + floor + skipped.length + held.length === 0) return `[${JSON.stringify(id)},${next}]`;
  const heldTuples = held.map((event) => [event.sequence, event.offset, event.appendTime, event.bytes, event.record]);
  return JSON.stringify(trimmed([id, next, missing, floor, skipped, heldTuples]));
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

type SentTuple = [offset: number, count: number] | null;
type TakenTuple = [shard: number, offset: number, ...counts: [from: string, count: number][]];

function encodeSent(sent: Visitor['sent']): string {
  return sent === null ? 'null' : `[${sent.offset},${sent.count}]`;
}
function encodeTaken(taken: Visitor['taken']): string {
  return JSON.stringify(
    taken.map(
      ({ shard, offset, counts }): TakenTuple => [shard, offset, ...counts.map((each): [string, number] => [...each])],
    ),
  );
}

function splitHashes(joined: string): string[] {
  const hashes: string[] = [];
  for (let i = 0; i < joined.length; i += hashLength) hashes.push(joined.slice(i, i + hashLength));
  return hashes;
}
