import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { Json, JsonObject } from '../model/json.ts';
import { zoneOffset } from '../model/zones.ts';
import type { Report, Span } from './problem.ts';
import { entryOf, type Tree, toJson } from './tree.ts';

/**
 * One for all schemas of a playbook: making it costs more than compiling most of them.
 * @param passContext keywords get what a check is called with as `this`
 */
export function newAjv(passContext = false): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: true,
    strict: true,
    strictRequired: false,
    strictTypes: false,
    ownProperties: true,
    messages: true,
    passContext,
  });
  addFormats.default(ajv);
  for (const [name, fits] of Object.entries(ownFormats)) ajv.addFormat(name, fits);
  ajv.addKeyword({ keyword: 'money', schemaType: 'boolean' });
  return ajv;
}

/** Formats that JSON Schema does not have. What a profile may be without is also nothing: an empty text removes it. */
const ownFormats: { readonly [name: string]: (text: string) => boolean } = {
  // One @ between something and a domain: whether mail arrives there, mail alone can tell.
  'mail-address': (text) => text === '' || /^[^\s@<>"(),:;[\]\\]{1,64}@[^\s@<>"(),:;[\]\\]+$/.test(text),
  locale: (text) => text === '' || isLocale(text),
  'time-zone': (text) => zoneOffset(text) !== null,
};

function isLocale(text: string): boolean {
  try {
    return Intl.getCanonicalLocales(text).length === 1;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/**
 * The schema of a map of properties as the playbook writes it, and its check.
 * @param finish what each schema in it becomes, from the inside out
 * @returns null: it is not a schema; the report says why
 */
export function compileProperties(
  tree: Tree | undefined,
  span: Span,
  finish: (schema: JsonObject) => JsonObject,
  ajv: Ajv2020,
  report: Report,
): { readonly schema: JsonObject; readonly check: ValidateFunction } | null {
  const written = (tree === undefined ? {} : toJson(tree)) as JsonObject;
  const wrongType = tree === undefined ? undefined : entryOf(tree, 'type');
  if (written['type'] !== undefined && written['type'] !== 'object') {
    report.error(wrongType?.value ?? span, 'properties are a map', { expected: 'type: object' });
    return null;
  }
  const schema = mapSchema({ type: 'object', additionalProperties: false, ...written }, finish) as JsonObject;
  try {
    return { schema, check: ajv.compile(schema) };
  } catch (error) {
    report.error(
      tree ?? span,
      `not a JSON Schema: ${(error as Error).message
        .replace(/^strict mode: /, '')
        .split(', data/')[0]!
        .slice(0, 300)}`,
      { expected: 'JSON Schema 2020-12' },
    );
    return null;
  }
}

/** Undeclared properties are refused, wherever the schema says nothing of its own. */
export function closed(schema: JsonObject): JsonObject {
  const isOpen = schema['type'] === 'object' && schema['properties'] !== undefined;
  return isOpen && schema['additionalProperties'] === undefined ? { ...schema, additionalProperties: false } : schema;
}

const schemaMaps = ['properties', 'patternProperties', '$defs', 'dependentSchemas'];
const schemaLists = ['anyOf', 'oneOf', 'allOf', 'prefixItems'];
const schemaKeys = [
  'items',
  'additionalProperties',
  'unevaluatedProperties',
  'unevaluatedItems',
  'contains',
  'not',
  'if',
  'then',
  'else',
  'propertyNames',
];

/** The schema with each schema in it made anew, itself last. */
export function mapSchema(schema: Json, each: (schema: JsonObject) => JsonObject): Json {
  if (schema === null || typeof schema !== 'object' || Array.isArray(schema)) return schema;
  const result: Record<string, Json> = { ...(schema as JsonObject) };
  const inner = (one: Json) => mapSchema(one, each);
  for (const key of schemaMaps) {
    const map = result[key];
    if (map !== null && typeof map === 'object' && !Array.isArray(map)) {
      result[key] = Object.fromEntries(Object.entries(map).map(([name, one]) => [name, inner(one)]));
    }
  }
  for (const key of schemaLists) if (Array.isArray(result[key])) result[key] = (result[key] as Json[]).map(inner);
  for (const key of schemaKeys) if (result[key] !== undefined) result[key] = inner(result[key]!);
  return each(result);
}
