import { camelCase, pascalCase } from '../../model/cases.ts';
import type { JsonObject } from '../../model/json.ts';
import type { EventType } from '../../playbook/playbook.ts';
import type { Builder } from './builder.ts';

/** Event type by member of EventInput: `pageViewed` → `page_viewed`. */
export type EventMembers = ReadonlyMap<string, string>;

/** The names that EventInput brings into the schema: it, and an input type an event type and nested object. */
export interface EventInputTypes {
  readonly members: EventMembers;
  readonly typeNames: readonly string[];
}

/**
 * EventInput and the input types of its members, from the JSON Schema of each event type, so that editors complete an event's properties and
 * mark mistakes. What GraphQL cannot say (numbers' ranges, patterns) the tracking plan still checks; what it cannot hold is JSON.
 */
export function addEventInput(builder: Builder, events: Iterable<EventType>): EventInputTypes {
  const typeNames = ['EventInput'];
  const types = new Map<string, { type: string; input: InputName; description: string }>();
  for (const { type, name, schema } of events) {
    const member = camelCase(type);
    const typeName = uniqueName(`${pascalCase(type)}Input`, typeNames);
    types.set(member, { type, input: addObject(builder, typeName, schema, typeNames), description: name });
  }
  builder.inputType('EventInput', {
    description: 'An event of the tracking plan: exactly one member.',
    isOneOf: true,
    fields: (t) =>
      Object.fromEntries(
        [...types].map(([member, { input, description }]) => [member, t.field({ type: input as 'JSON', description })]),
      ),
  });
  return { members: new Map([...types].map(([member, { type }]) => [member, type])), typeNames };
}

/** Type and properties of a typed event; an absent optional property is left out, as in JSON. */
export function typedEvent(
  event: { readonly [member: string]: unknown },
  members: EventMembers,
): { type: string; properties: unknown } {
  const member = Object.keys(event)[0] ?? '';
  return { type: members.get(member) ?? member, properties: event[member] };
}

type InputName = string;

const scalars: Readonly<Record<string, string>> = {
  string: 'String',
  number: 'Float',
  integer: 'Int',
  boolean: 'Boolean',
};

/** The input type of an object's schema; JSON when GraphQL has no such type: free keys, or none at all. */
function addObject(builder: Builder, typeName: string, schema: JsonObject, typeNames: string[]): InputName {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, JsonObject>);
  if (
    properties.length === 0 ||
    properties.some(([name]) => !/^[_A-Za-z][_0-9A-Za-z]*$/.test(name) || name.startsWith('__'))
  )
    return 'JSON';
  typeNames.push(typeName);
  const required = new Set((schema['required'] ?? []) as readonly string[]);
  const fields = properties.map(([name, property]) => {
    const { type, isList } = inputOf(
      builder,
      `${typeName.replace(/Input$/, '')}${pascalCase(name)}Input`,
      property,
      typeNames,
    );
    const description = typeof property['description'] === 'string' ? property['description'] : undefined;
    return { name, type, isList, required: required.has(name), description };
  });
  const free = schema['additionalProperties'] !== false;
  // The name is not one of the builder's known inputs, because it comes from a playbook; hence the casts.
  (builder.inputType as (name: string, options: object) => void)(typeName, {
    ...(free ? { description: 'Other properties are taken with `type` and `properties`.' } : {}),
    fields: (t: { field(options: object): unknown }) =>
      Object.fromEntries(
        fields.map((field) => [
          field.name,
          t.field({
            type: field.isList ? [field.type] : field.type,
            required: field.isList ? { list: field.required, items: true } : field.required,
            ...(field.description === undefined ? {} : { description: field.description }),
          }),
        ]),
      ),
  });
  return typeName;
}

function inputOf(
  builder: Builder,
  typeName: string,
  schema: JsonObject,
  typeNames: string[],
): { type: InputName; isList: boolean } {
  const kind = schema['type'];
  if (typeof kind !== 'string') return { type: 'JSON', isList: false };
  if (kind === 'array') {
    const items = schema['items'];
    if (items === null || typeof items !== 'object' || Array.isArray(items)) return { type: 'JSON', isList: false };
    const item = inputOf(builder, typeName, items as JsonObject, typeNames);
    return item.isList ? { type: 'JSON', isList: false } : { type: item.type, isList: true };
  }
  if (kind === 'object')
    return { type: addObject(builder, uniqueName(typeName, typeNames), schema, typeNames), isList: false };
  return { type: scalars[kind] ?? 'JSON', isList: false };
}

/** The schema's own names and those given already; a playbook's event type may be called anything. */
const ownNames = new Set([
  'TrackEventInput',
  'TrackEventsInput',
  'EventRecordInput',
  'StartVisitInput',
  'IdentifyInput',
  'UpdateProfileInput',
  'SetConsentInput',
  'PageContextInput',
  'AdvanceInput',
]);
function uniqueName(name: string, taken: readonly string[]): string {
  let unique = name;
  for (let n = 2; taken.includes(unique) || ownNames.has(unique); n++) unique = name.replace(/Input$/, `${n}Input`);
  return unique;
}
