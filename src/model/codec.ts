import { canonicalJson, type Json } from './json.ts';
import type { EventRecord } from './record.ts';
import {
  type Candidate,
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
    visitor.traits,
    session === null ? 0 : encodeSession(session, now),
    visitor.timers.map((timer) => encodeTimer(timer, now)),
    visitor.sources.map(encodeSource),
    visitor.recentIds.join(''),
  ]);
}

/** Slots change far less often than their visitor is written; a slot is a value, so its text is made once. */
const slotTexts = new WeakMap<Slot, string>();

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
  const texts: string[] = [];
  for (const name in slots) {
    const slot = slots[name]!;
    let text = slotTexts.get(slot);
    if (text === undefined) {
      text = JSON.stringify(encodeSlot(slot));
      slotTexts.set(slot, text);
    }
    texts.push(`${JSON.stringify(name)}:${text}`);
  }
  return `[${formVersion},${JSON.stringify(head).slice(1, -1)},{${texts.join(',')}}]`;
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
    traits,
    session: session === 0 ? null : decodeSession(session, view.now),
    timers: timers.map((timer) => decodeTimer(timer, view.now)),
  };
}

/** @throws Error when the text is not of this form version */
export function decodeSlots(text: string): SlotsView {
  const [, id, born, historic, now, lastAppend, version, held, encoded] = parse(text) as [
    number,
    string,
    number,
    0 | 1,
    number,
    number,
    number,
    number[],
    { [slot: string]: Tuple },
  ];
  const slots: { [slot: string]: Slot } = {};
  for (const name of Object.keys(encoded)) slots[name] = decodeSlot(encoded[name]!);
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
  return trimmed([number, now - startedAt, campaign ?? 0, Object.keys(traits).length === 0 ? 0 : traits]);
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
    traits: traits === 0 ? {} : traits,
  };
}

/** `wall` is 0 when wallDue is due + skew, which it is but for holds, calendar instants and historic visitors. */
function encodeTimer({ what, key, due, wallDue, skew, setAt }: Timer, now: number): Tuple {
  const usual = due !== null && wallDue === due + skew;
  const wall = usual ? 0 : wallDue === null ? null : [wallDue - now];
  return trimmed([timerKinds.indexOf(what), setAt, due === null ? null : due - now, skew, wall, key]);
}
function decodeTimer(tuple: Tuple, now: number): Timer {
  const [kind, setAt = 0, dueIn = 0, skew = 0, wall = 0, key = []] = tuple as [
    number,
    number?,
    (number | null)?,
    number?,
    (0 | null | [number])?,
    string[]?,
  ];
  const due = dueIn === null ? null : now + dueIn;
  const wallDue = wall === 0 ? due! + skew : wall === null ? null : now + wall[0];
  return { what: timerKinds[kind ?? 0]!, key, due, wallDue, skew, setAt };
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

function encodeSlot({ version, candidates }: Slot): Tuple {
  return trimmed([version, ...candidates.map(encodeCandidate)]);
}
function decodeSlot([version = 0, ...candidates]: Tuple): Slot {
  return {
    version: version as number,
    candidates: candidates.map((tuple) => decodeCandidate(tuple as CandidateTuple)),
  };
}

type CandidateTuple = [
  rule: string,
  content: string,
  priority: number,
  playbook: string,
  offset: number,
  eventId: string,
  eventType: string,
  at: number,
  says: string,
  facts: Json[],
  expiresAfter: number | null,
  entry?: number,
];

function encodeCandidate(candidate: Candidate): Tuple {
  const { rule, content, priority, playbook, cause, facts, expiresAt, entry } = candidate;
  const tuple: CandidateTuple = [
    rule,
    content,
    priority,
    playbook,
    cause.offset,
    cause.eventId,
    cause.eventType,
    cause.at,
    cause.says,
    facts.flat(1) as Json[],
    expiresAt === null ? null : expiresAt - cause.at,
    entry,
  ];
  return trimmed(tuple);
}
function decodeCandidate(tuple: CandidateTuple): Candidate {
  const [
    rule,
    content,
    priority,
    playbook,
    offset,
    eventId,
    eventType,
    at,
    says,
    flat = [],
    expiresAfter = 0,
    entry = 0,
  ] = tuple;
  const facts: Fact[] = [];
  for (let i = 0; i < flat.length; i += 2) facts.push([flat[i] as string, flat[i + 1]!]);
  return {
    rule,
    entry,
    content,
    priority,
    playbook,
    cause: { offset, eventId, eventType, at, says },
    facts,
    expiresAt: expiresAfter === null ? null : at + expiresAfter,
  };
}

function splitHashes(joined: string): string[] {
  const hashes: string[] = [];
  for (let i = 0; i < joined.length; i += hashLength) hashes.push(joined.slice(i, i + hashLength));
  return hashes;
}
