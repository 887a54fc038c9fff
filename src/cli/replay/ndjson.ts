import { parseInstant } from '../../cel/duration.ts';
import type { JsonObject } from '../../model/json.ts';
import { nearest } from '../../model/nearest.ts';
import type { EventInput, ParsedRow, RowFormat } from './row.ts';

const members = ['id', 'type', 'properties', 'occurredAt', 'source', 'sequence', 'skipped', 'context', 'visitor'];

/** One `EventRecordInput` a line, with `visitor`; `id`, `source` and `sequence` may be left out. */
export const ndjson: RowFormat = {
  name: 'ndjson',
  header: false,
  rowsInLine: 'one',
  open: () => parse,
};

function parse(line: string): ParsedRow {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return { message: `not JSON: ${(error as Error).message}` };
  }
  if (!isObject(value)) return { message: 'expected an object' };
  for (const name of Object.keys(value)) {
    if (!members.includes(name)) {
      const near = nearest(name, members);
      return { message: `${name} is not a member of an event${near === null ? '' : `; did you mean ${near}?`}` };
    }
  }
  const visitor = visitorOf(value['visitor']);
  if (visitor === null) return { message: 'expected visitor: {"userId": "…"} or {"visitorId": "…"}' };
  if (typeof value['type'] !== 'string') return { message: 'expected type: a text' };
  const at = typeof value['occurredAt'] === 'string' ? parseInstant(value['occurredAt']) : null;
  if (at === null) return { message: 'expected occurredAt: a time like 2026-11-23T20:15:00Z' };
  if ((value['source'] === undefined) !== (value['sequence'] === undefined)) {
    return { message: 'expected source and sequence, both or neither' };
  }
  // The gateway judges the rest: its answer names the member.
  return { visitor, at, event: value as unknown as EventInput };
}

function visitorOf(ref: unknown): string | null {
  if (!isObject(ref)) return null;
  const { userId, visitorId } = ref;
  if (typeof userId === 'string' && visitorId === undefined) return `u:${userId}`;
  return typeof visitorId === 'string' && userId === undefined ? visitorId : null;
}

function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
