import type { Ajv2020, ErrorObject } from 'ajv/dist/2020.js';
import { money } from '../cel/types.ts';
import type { Json, JsonObject } from '../model/json.ts';
import { nearest } from '../model/nearest.ts';
import { type EventFacts, fieldsOfSchema, ownEventFields } from './facts.ts';
import type { RawEvent } from './format.ts';
import { closed, compileProperties } from './jsonSchema.ts';
import type { EventType, PropertyProblem, Text } from './playbook.ts';
import type { Report, Span } from './problem.ts';
import { entryOf } from './tree.ts';

/** What a schema that sets no bound of its own gets. */
export const propertyLimits = { textLength: 1_024, items: 200, depth: 20, problems: 5 } as const;

export interface CheckedEvent {
  readonly type: string;
  readonly name: string;
  readonly schema: JsonObject;
  readonly facts: EventFacts;
  validate(properties: Json): readonly PropertyProblem[];
}

/** Compiles the schema of an event's properties. null: it is not a schema; the report says why. */
export function checkEvent(type: string, raw: RawEvent, span: Span, ajv: Ajv2020, report: Report): CheckedEvent | null {
  const tree = raw.properties;
  const compiled = compileProperties(tree, span, bounded, ajv, report);
  if (compiled === null) return null;
  const { schema, check } = compiled;
  const fields = fieldsOfSchema(schema);
  const taken = Object.keys(ownEventFields).find((name) => Object.hasOwn(fields, name));
  if (taken !== undefined) {
    const place = tree === undefined ? undefined : entryOf(entryOf(tree, 'properties')?.value ?? tree, taken)?.keySpan;
    report.error(place ?? span, `event.${taken} is the event's own ${taken}; a property cannot be called so`, {
      expected: `another name, such as ${type.split('_')[0]}${taken.charAt(0).toUpperCase()}${taken.slice(1)}`,
    });
    return null;
  }
  // The catalog completes the prices of an event with lines, and adds them up.
  if (fields['lines']?.kind === 'list' && fields['value'] === undefined) fields['value'] = money;
  const known = Object.keys(fields);
  const validate = (properties: Json): readonly PropertyProblem[] => {
    const unfit = unfitValue(properties, []);
    if (unfit !== null) return [unfit];
    if (check(properties)) return [];
    return (check.errors ?? []).slice(0, propertyLimits.problems).map((error) => toProblem(error, known));
  };
  const facts = { type, fields: { ...fields, ...ownEventFields } };
  return { type, name: raw.name?.value ?? type.replaceAll('_', ' '), schema, facts, validate };
}

export function finishEvent(event: CheckedEvent, says: Text): EventType {
  return { type: event.type, name: event.name, schema: event.schema, says, validate: event.validate };
}

/** Nothing that is stored may be without a bound: texts and lists get one wherever the schema says nothing of its own. */
function bounded(schema: JsonObject): JsonObject {
  const result: Record<string, Json> = { ...closed(schema) };
  if (result['type'] === 'string' && result['maxLength'] === undefined && result['enum'] === undefined)
    result['maxLength'] = propertyLimits.textLength;
  if (result['type'] === 'array' && result['maxItems'] === undefined) result['maxItems'] = propertyLimits.items;
  return result;
}

/** What no schema should have to forbid: numbers that JSON has not, half surrogates, nesting without end, keys that reach prototypes. */
function unfitValue(value: Json, path: readonly string[]): PropertyProblem | null {
  if (typeof value === 'string')
    return value.isWellFormed()
      ? null
      : { path, message: 'has half of a surrogate pair; expected well-formed Unicode' };
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return { path, message: 'is not a number that JSON has; expected a finite number' };
    return Number.isInteger(value) && !Number.isSafeInteger(value)
      ? { path, message: 'is a whole number beyond 2^53, which loses digits; expected a smaller number, or a text' }
      : null;
  }
  if (value === null || typeof value !== 'object') return null;
  if (path.length >= propertyLimits.depth)
    return { path, message: `is nested deeper than ${propertyLimits.depth} levels` };
  for (const [key, each] of Object.entries(value)) {
    if (key === '__proto__' || !key.isWellFormed())
      return { path: [...path, key.toWellFormed()], message: 'is not a name that a property can have' };
    const unfit = unfitValue(each, [...path, key]);
    if (unfit !== null) return unfit;
  }
  return null;
}

function toProblem(error: ErrorObject, known: readonly string[]): PropertyProblem {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'required':
      return { path: [...path, String(params['missingProperty'])], message: 'is missing' };
    case 'additionalProperties': {
      const name = String(params['additionalProperty']).slice(0, 64);
      const near = path.length === 0 ? nearest(name, known) : null;
      return {
        path: [...path, name],
        message: `is not a property that the tracking plan declares${near === null ? '' : `; did you mean ${near}?`}`,
      };
    }
    case 'type':
      return { path, message: `must be ${params['type']}` };
    case 'enum':
      return {
        path,
        message: `must be one of ${(params['allowedValues'] as unknown[]).map((value) => JSON.stringify(value)).join(', ')}`,
      };
    default:
      return { path, message: error.message ?? `does not fit ${error.keyword}` };
  }
}
