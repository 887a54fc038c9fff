import type { Json, JsonObject } from '../model/json.ts';
import type { ContentType, Playbook } from '../playbook/playbook.ts';

/** The types of content of a playbook as its GraphQL schema has them; how a content's fields are read stands here alone. */
export interface ContentTypes {
  /** By the playbook's word for the type. */
  readonly typed: ReadonlyMap<string, TypedContent>;
  /** Name of the type of all other contents. */
  readonly untyped: 'JsonContent';
}

/** A type that implements `Content`. */
export interface TypedContent {
  readonly id: string;
  readonly graphqlName: string;
  readonly description: string;
  readonly fields: readonly ContentField[];
}
export interface ContentField {
  readonly name: string;
  readonly type: FieldType;
  readonly isList: boolean;
  readonly description: string | null;
  /** null: the content has none, or one that is not of the type: it may be of another playbook than the schema. */
  read(data: JsonObject): Json;
}
export type FieldType = 'String' | 'Int' | 'Float' | 'Boolean' | 'JSON';

/** What every content has. */
const ownFields = new Set(['id', 'type', 'data']);

export function contentTypesOf({ types }: Pick<Playbook, 'types'>): ContentTypes {
  const typed = new Map<string, TypedContent>();
  for (const type of types.values()) typed.set(type.id, typedContent(type));
  return { typed, untyped: 'JsonContent' };
}

function typedContent({ id, name, schema, graphqlName }: ContentType): TypedContent {
  const properties = Object.entries((schema['properties'] ?? {}) as JsonObject);
  const fields = properties
    .filter(([property]) => /^[A-Za-z_]\w*$/.test(property) && !property.startsWith('__') && !ownFields.has(property))
    .map(([property, each]) => fieldOf(property, each));
  const said = schema['description'];
  return { id, graphqlName, description: typeof said === 'string' ? said : name, fields };
}

function fieldOf(name: string, schema: Json | undefined): ContentField {
  const { type, isList } = typeOf(schema);
  const said = isMap(schema) ? schema['description'] : undefined;
  const fits = isList
    ? (value: Json) => Array.isArray(value) && value.every((each: Json) => fitting[type](each))
    : fitting[type];
  return {
    name,
    type,
    isList,
    description: typeof said === 'string' ? said : null,
    read: (data) => {
      const value = Object.hasOwn(data, name) ? data[name]! : null;
      return value !== null && fits(value) ? value : null;
    },
  };
}

const scalars: { readonly [kind: string]: FieldType } = {
  string: 'String',
  integer: 'Int',
  number: 'Float',
  boolean: 'Boolean',
};

function typeOf(schema: Json | undefined): { type: FieldType; isList: boolean } {
  const kind = isMap(schema) ? schema['type'] : undefined;
  if (kind !== 'array') return { type: scalarOf(kind), isList: false };
  const items = (schema as JsonObject)['items'];
  const type = scalarOf(isMap(items) ? items['type'] : undefined);
  return { type, isList: type !== 'JSON' };
}

function scalarOf(kind: Json | undefined): FieldType {
  return typeof kind === 'string' && Object.hasOwn(scalars, kind) ? scalars[kind]! : 'JSON';
}

/** As GraphQL writes them: what fits is written as it is. */
const fitting: { readonly [type in FieldType]: (value: Json) => boolean } = {
  String: (value) => typeof value === 'string',
  Int: (value) => typeof value === 'number' && (value | 0) === value,
  Float: (value) => typeof value === 'number',
  Boolean: (value) => typeof value === 'boolean',
  JSON: () => true,
};

function isMap(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
