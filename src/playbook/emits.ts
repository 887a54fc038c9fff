import { constantOfCel } from '../cel/constant.ts';
import { type CelType, comparable, nameOf } from '../cel/types.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { nearest } from '../model/nearest.ts';
import type { Asked, Checked, EntryPlace } from './entries.ts';
import { type CheckedExpression, checkExpression } from './expressions.ts';
import { typeOfSchema } from './facts.ts';
import type { RawEmit } from './formatRules.ts';
import type { Emit, EventType } from './playbook.ts';
import type { Report } from './problem.ts';
import { type Located, type Named, startOf } from './shape.ts';
import type { RuleSurroundings } from './surroundings.ts';
import { unknownEvent } from './traits.ts';

/** An event that a rule appends: what can be told of its properties is told here, not by a failed event some day. */
export function checkEmit(
  raw: RawEmit,
  asked: Asked,
  { declared }: EntryPlace,
  around: RuleSurroundings,
): Checked<Emit> | null {
  const { report, events } = around;
  const type = around.eventTypes.get(raw.event.value);
  // One that is declared, but broken, has been told.
  if (type === undefined) {
    if (!events.facts.has(raw.event.value)) unknownEvent(raw.event.value, raw.event.tree, events, report);
    return null;
  }
  if (declared === null) return null;
  const properties: [string, CheckedExpression][] = [];
  let ok = true;
  for (const property of raw.properties ?? []) {
    const value = checkExpression(property.value, declared, report);
    if (value === null || !checkProperty(type, property, value, report)) ok = false;
    else properties.push([property.id, value]);
  }
  if (!checkMissing(type, raw, report) || !ok) return null;
  if (!checkConstants(type, raw, properties, report)) return null;
  const entry: Emit = { do: 'emit', ...asked, event: type.type, properties };
  return { entry, reads: properties.flatMap(([, { reads }]) => reads) };
}

function checkProperty(
  { type, schema }: EventType,
  { id, span, value: at }: Named<Located<string>>,
  { cel }: CheckedExpression,
  report: Report,
): boolean {
  const known = (schema['properties'] ?? {}) as JsonObject;
  if (!Object.hasOwn(known, id)) {
    if (schema['additionalProperties'] !== false) return true;
    const near = nearest(id, Object.keys(known));
    const names = Object.keys(known);
    const expected = names.length === 0 ? 'no property' : `one of ${names.join(', ')}`;
    report.error(span, `${type} has no ${id}`, near === null ? { expected } : { expected, nearest: near });
    return false;
  }
  const wanted = typeOfSchema(known[id]);
  if (fits(cel.type, wanted)) return true;
  report.error(at.tree, `${id} of ${type} is a ${nameOf(wanted)}, and this is a ${nameOf(cel.type)}`, {
    expected: nameOf(wanted),
  });
  return false;
}

/** Times are numbers in JSON. */
function fits(type: CelType, wanted: CelType): boolean {
  if (wanted.kind === 'number' && (type.kind === 'timestamp' || type.kind === 'duration')) return true;
  return type.kind !== 'null' && comparable(type, wanted);
}

function checkMissing({ type, schema }: EventType, raw: RawEmit, report: Report): boolean {
  const given = raw.properties?.map(({ id }) => id) ?? [];
  const missing = ((schema['required'] ?? []) as readonly string[]).filter((name) => !given.includes(name));
  if (missing.length === 0) return true;
  report.error(startOf(raw.at), `${type} needs ${missing.join(' and ')}`, {
    expected: `properties: { ${missing.map((name) => `${name}: …`).join(', ')} }`,
  });
  return false;
}

/** What is written out can be tried against the schema at once: a text that is not in its enum, a number out of its range. */
function checkConstants(
  type: EventType,
  raw: RawEmit,
  properties: readonly (readonly [string, CheckedExpression])[],
  report: Report,
): boolean {
  const constants: Record<string, Json> = {};
  for (const [name, { cel }] of properties) {
    const value = constantOfCel(cel);
    if (value !== undefined) constants[name] = value as Json;
  }
  let ok = true;
  for (const { path, message } of type.validate(constants)) {
    const [name, ...below] = path;
    const property = raw.properties?.find(({ id }) => id === name && Object.hasOwn(constants, id));
    if (property === undefined) continue;
    report.error(property.value.tree, `${[name, ...below].join('.')} of ${type.type} ${message}`);
    ok = false;
  }
  return ok;
}
