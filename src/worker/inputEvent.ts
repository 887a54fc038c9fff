import type { InputRecord } from '../log/inputs.ts';
import type { InputMapping } from '../model/inputs.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { quote } from '../model/quote.ts';
import { recordBytesMax } from '../model/record.ts';
import { isVisitorId } from '../model/shard.ts';
import { parseTime } from '../model/times.ts';
import { namedEventId } from '../playbook/eventIds.ts';
import type { Playbook } from '../playbook/playbook.ts';
import { planProblem } from '../playbook/trackingPlan.ts';

/** What a record of an input topic becomes in the log. */
export interface InputEvent {
  readonly rejected: boolean;
  /** null: nobody's, it goes to the shard of its topic and partition. */
  readonly visitor: string | null;
  readonly value: string;
}

export interface InputRules {
  readonly playbook: Pick<Playbook, 'events'>;
  readonly maxEventAgeMs: number;
  /** Wall clock, ms. */
  readonly now: number;
}

/** Characters kept of what could not be read. */
const rejectedChars = 8_000;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const decoder = new TextDecoder('utf-8', { fatal: true });
const lenientDecoder = new TextDecoder();

/** What is wrong with a record, and what can be told of it all the same. */
class Wrong extends Error {}

/** Never throws, whatever another program wrote. The ids follow from the record, so that it may be made again after a crash. */
export function inputEvent(
  input: InputRecord,
  mapping: InputMapping,
  partition: number,
  rules: InputRules,
): InputEvent {
  const { topic, type } = mapping;
  const place = `${topic}:${partition}:${input.offset}`;
  const known: { visitor?: string | undefined; at?: number; properties?: JsonObject } = {};
  try {
    const row = rowOf(input.value);
    const members = withoutOwn(row, mapping);
    known.properties = members;
    known.visitor = visitorOf(row, mapping, input.key);
    known.at = timeOf(row, mapping, input.timestamp);
    const id = idOf(row, mapping, place);
    const problem = planProblem(rules.playbook, type, members);
    if (problem !== null) throw new Wrong(problem.message);
    const ageMs = rules.now - known.at;
    if (ageMs > rules.maxEventAgeMs) {
      const hours = rules.maxEventAgeMs / 3_600_000;
      throw new Wrong(`it happened ${(ageMs / 3_600_000).toFixed(1)} h ago; at most ${hours} h are taken`);
    }
    const { visitor, at } = known;
    const value = JSON.stringify({ v: 1, kind: 'event', id, visitor, type, properties: members, at });
    const bytes = Buffer.byteLength(value);
    if (bytes > recordBytesMax) throw new Wrong(`the event takes ${bytes} bytes; at most ${recordBytesMax} are taken`);
    return { rejected: false, visitor, value };
  } catch (error) {
    // A RangeError is JSON nested too deep to be written again; its text can still be kept.
    const detail = error instanceof Wrong ? error.message : `cannot be read: ${(error as Error).message}`;
    known.visitor ??= keyVisitor(mapping, input.key);
    return rejectedOf(input, { place, detail, topic, partition, type, ...known });
  }
}

function rejectedOf(
  input: InputRecord,
  told: {
    readonly place: string;
    readonly detail: string;
    readonly topic: string;
    readonly partition: number;
    readonly type: string;
    readonly visitor?: string | undefined;
    readonly at?: number;
    readonly properties?: JsonObject;
  },
): InputEvent {
  const { place, detail, properties, visitor, at, topic, partition, type } = told;
  // Not the id that the record gives: its producer may mend it and write it again under that.
  const head = {
    v: 1,
    kind: 'rejected',
    id: namedEventId(place),
    visitor,
    type,
    topic,
    partition,
    offset: input.offset,
  };
  const base = { ...head, detail: detail.slice(0, 500).toWellFormed(), at };
  const value = textOf({ ...base, properties }) ?? textOf({ ...base, value: cutText(input.value) })!;
  return { rejected: true, visitor: visitor ?? null, value };
}

/** null: it has no properties, is too large, or too deep. */
function textOf(record: { readonly properties?: unknown; readonly value?: unknown }): string | null {
  if (record.properties === undefined && record.value === undefined) return null;
  try {
    const text = JSON.stringify(record);
    return Buffer.byteLength(text) <= recordBytesMax || record.value !== undefined ? text : null;
  } catch {
    return null;
  }
}

function cutText(value: Uint8Array | null): string {
  if (value === null) return '';
  return lenientDecoder.decode(value.subarray(0, rejectedChars)).toWellFormed();
}

/** The JSON object that the value is, out of the envelope that Kafka Connect's JSON converter puts around it. */
function rowOf(value: Uint8Array | null): JsonObject {
  if (value === null) throw new Wrong('expected a JSON object; the record has no value');
  if (value.length > 2 * recordBytesMax)
    throw new Wrong(`expected at most ${recordBytesMax} bytes; came ${value.length}`);
  let row: Json;
  try {
    row = JSON.parse(decoder.decode(value)) as Json;
  } catch (error) {
    throw new Wrong(`expected a JSON object in UTF-8; ${(error as Error).message.slice(0, 200)}`);
  }
  if (!isMap(row))
    throw new Wrong(`expected a JSON object; came ${Array.isArray(row) ? 'a list' : quote(String(row))}`);
  const names = Object.keys(row);
  if (names.length !== 2 || !Object.hasOwn(row, 'schema') || !Object.hasOwn(row, 'payload')) return row;
  if (!isMap(row['payload'])) throw new Wrong('payload: expected a JSON object');
  return row['payload'];
}

/** All members but those that the mapping names. */
function withoutOwn(row: JsonObject, { visitor, user, at, id }: InputMapping): JsonObject {
  const own = new Set([visitor, user, at, id]);
  return Object.fromEntries(Object.entries(row).filter(([name]) => !own.has(name)));
}

function visitorOf(row: JsonObject, { visitor, user }: InputMapping, key: Uint8Array | null): string {
  const name = visitor ?? user;
  const text = name === undefined ? keyText(key) : wordOf(row, name);
  const id = user === undefined ? text : `u:${text}`;
  if (isVisitorId(id)) return id;
  throw new Wrong(
    `${name ?? 'key'}: expected a visitor id of 1 to 128 bytes of UTF-8 without control characters; came ${quote(id)}`,
  );
}

/** Whose record it is, also when its value is no JSON. */
function keyVisitor({ visitor, user }: InputMapping, key: Uint8Array | null): string | undefined {
  if (visitor !== undefined || user !== undefined) return undefined;
  try {
    const id = keyText(key);
    return isVisitorId(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

function keyText(key: Uint8Array | null): string {
  if (key === null) throw new Wrong('key: expected the visitor id; the record has none');
  try {
    return decoder.decode(key);
  } catch {
    throw new Wrong('key: expected the visitor id in UTF-8');
  }
}

function timeOf(row: JsonObject, { at: name }: InputMapping, timestamp: number): number {
  if (name === undefined || member(row, name) === undefined) return Math.max(0, timestamp);
  const value = member(row, name);
  const at = typeof value === 'number' ? value : parseTime(value);
  if (Number.isSafeInteger(at) && at >= 0) return at;
  throw new Wrong(`${name}: expected RFC 3339, or whole ms since the epoch; came ${describe(value)}`);
}

/** A UUID as it is; any other id apart from those of other topics. */
function idOf(row: JsonObject, { id: name, topic }: InputMapping, place: string): string {
  if (name === undefined) return namedEventId(place);
  const id = wordOf(row, name);
  return uuid.test(id) ? id.toLowerCase() : namedEventId(`${topic} ${id}`);
}

/** A text, or a number as databases have them for ids. */
function wordOf(row: JsonObject, name: string): string {
  const value = member(row, name);
  if (typeof value === 'string' && value.length > 0) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  throw new Wrong(`${name}: expected a text or a whole number; came ${describe(value)}`);
}

/** null is what a database has for nothing. */
function member(row: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(row, name) ? (row[name] ?? undefined) : undefined;
}

function describe(value: Json | undefined): string {
  return value === undefined ? 'nothing' : quote(typeof value === 'string' ? value : JSON.stringify(value));
}

function isMap(value: Json | undefined): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
