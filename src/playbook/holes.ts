import type { Ajv2020, ValidateFunction } from 'ajv/dist/2020.js';
import type { Json, JsonObject } from '../model/json.ts';
import { mapSchema, newAjv } from './jsonSchema.ts';

/**
 * What a hole will hold when it is filled. `text`: a text around holes, too; `any`: one value that is known while running only.
 */
export type HoleKind = 'text' | 'number' | 'bool' | 'any';

/** A hole in data that is checked before it is filled. */
export interface Hole {
  readonly kind: HoleKind;
  /** The longest text that may stand there, as far as a check found: characters. */
  longest: number;
}
/** Data in which symbols stand for holes: no keyword of JSON Schema looks at one. */
export type HoledData = ReadonlyMap<symbol, Hole>;

/** How a hole does not fit. */
export interface HoleMisfit {
  /** What may stand there; null: anything. */
  readonly types: readonly string[] | null;
  /** Only certain values may. */
  readonly isFixed: boolean;
}

/** Makes checks of data that has holes. */
export class HoleSchemas {
  readonly #ajv: Ajv2020;

  constructor() {
    this.#ajv = newAjv(true);
    this.#ajv.addKeyword({ keyword: 'isHole', schemaType: 'boolean', errors: false, validate: isHole });
    this.#ajv.addKeyword({ keyword: 'holeFits', schemaType: 'object', errors: true, validate: holeFits });
  }

  /**
   * As the schema's own check, but for holes: of a text with holes neither pattern, format nor length can be known.
   * To be called with HoledData as `this`.
   */
  compile(schema: JsonObject): ValidateFunction {
    return this.#ajv.compile(mapSchema(schema, withHoles) as JsonObject);
  }
}

/** What a schema says of a value itself, and not of its parts. */
const ownKeywords = new Set(['type', 'nullable', 'enum', 'const', 'minLength', 'maxLength', 'pattern', 'format']);

/** These move behind the question whether there is a hole. */
function withHoles(schema: JsonObject): JsonObject {
  const rest: Record<string, Json> = {};
  const own: Record<string, Json> = {};
  for (const [key, value] of Object.entries(schema)) (ownKeywords.has(key) ? own : rest)[key] = value;
  if (Object.keys(own).length === 0) return schema;
  const { type, maxLength } = own;
  const fits: JsonObject = {
    types: type === undefined ? null : typeof type === 'string' ? [type] : type,
    isFixed: own['enum'] !== undefined || own['const'] !== undefined,
    maxLength: maxLength ?? null,
  };
  const before = (rest['allOf'] ?? []) as readonly Json[];
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema's word
  return { ...rest, allOf: [...before, { if: { isHole: true }, then: { holeFits: fits }, else: own }] };
}

function isHole(_schema: unknown, data: unknown): boolean {
  return typeof data === 'symbol';
}

function holeFits(
  this: HoledData,
  { types, isFixed, maxLength }: HoleMisfit & { readonly maxLength: number | null },
  data: symbol,
): boolean {
  const hole = this.get(data)!;
  const wanted: readonly string[] = jsonTypes[hole.kind];
  const fits = !isFixed && (types === null || types.some((type) => wanted.includes(type)));
  if (fits && maxLength !== null) hole.longest = Math.min(hole.longest, maxLength);
  if (!fits) {
    const params: HoleMisfit = { types, isFixed };
    (holeFits as { errors?: object[] }).errors = [{ keyword: 'holeFits', message: 'cannot have holes', params }];
  }
  return fits;
}

const jsonTypes: { readonly [kind in HoleKind]: readonly string[] } = {
  text: ['string'],
  number: ['number', 'integer'],
  bool: ['boolean'],
  any: ['string', 'number', 'integer', 'boolean', 'null'],
};
