import { readFileSync } from 'node:fs';
import { compileCel } from '../../src/cel/cel.ts';
import { CelError } from '../../src/cel/errors.ts';
import { bool, type CelType, duration, dyn, listOf, nullType, number, string, timestamp } from '../../src/cel/types.ts';

/** A case of CEL's conformance data, as test/vectors/cel/conformance.json has it. */
export interface ConformanceCase {
  readonly file: string;
  readonly section: string;
  readonly name: string;
  readonly expr: string;
  readonly typeEnv?: readonly Declaration[];
  readonly bindings?: { readonly [name: string]: { readonly value?: Value } };
  readonly container?: string;
  /** True if left out. */
  readonly value?: Value;
  /** Its evaluation must fail. */
  readonly error?: true;
}
interface Declaration {
  readonly name: string;
  readonly ident?: { readonly type: Type };
}
interface Type {
  readonly primitive?: string;
  readonly wellKnown?: string;
  readonly messageType?: string;
  readonly listType?: { readonly elemType?: Type };
  readonly mapType?: { readonly keyType: Type; readonly valueType: Type };
  readonly dyn?: unknown;
  readonly null?: unknown;
}
type Value = { readonly [kind: string]: unknown };

/** What came of a case. `what` is told by the message of our checker, or of our test where it cannot even ask. */
export type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'refused' | 'failed' | 'differs'; readonly what: string };

interface Data {
  readonly source: string;
  readonly license: string;
  readonly notTaken: { readonly [file: string]: number };
  readonly cases: readonly ConformanceCase[];
}

export function readConformance(): Data {
  return JSON.parse(readFileSync(new URL('../vectors/cel/conformance.json', import.meta.url), 'utf8')) as Data;
}

export const idOf = ({ file, section, name }: ConformanceCase): string => `${file}/${section}/${name}`;

/** Of the case's own types and values, or why there are none here. */
class NotHere extends Error {}

/**
 * What our checker does not know at all, as against a mistake that it finds: a case that must fail has not passed just because
 * it names a function that we have not.
 */
const unknownToUs =
  /^(?!f_unknown).*is not a function that this version has|not run by this version|beyond the whole numbers|written out|macros nest at most|at most \d+ characters|Exceeded/;

export function tryCase(test: ConformanceCase): Outcome {
  const { expr, typeEnv = [], bindings = {} } = test;
  try {
    const types = Object.fromEntries(
      typeEnv.flatMap(({ name, ident }) => (ident === undefined ? [] : [[name, typeOf(ident.type)]])),
    );
    const scope = Object.fromEntries(
      Object.entries(bindings).map(([name, { value = {} }]) => [name, scopeValue(value)]),
    );
    const result = compileCel(expr, { types });
    if (!result.ok) {
      const { message } = result.problems[0]!;
      return test.error && !unknownToUs.test(message) ? { kind: 'passed' } : { kind: 'refused', what: message };
    }
    const expected = test.error ? undefined : scopeValue(test.value ?? { boolValue: true });
    let value: unknown;
    try {
      value = result.cel.evaluate(scope);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      return test.error ? { kind: 'passed' } : { kind: 'failed', what: error.message };
    }
    if (!test.error && same(value, expected)) return { kind: 'passed' };
    return {
      kind: 'differs',
      what: `${JSON.stringify(value)} instead of ${test.error ? 'an error' : JSON.stringify(expected)}`,
    };
  } catch (error) {
    if (!(error instanceof NotHere)) throw error;
    return { kind: 'refused', what: error.message };
  }
}

const primitives: { readonly [name: string]: CelType } = {
  BOOL: bool,
  INT64: number,
  UINT64: number,
  DOUBLE: number,
  STRING: string,
};

function typeOf(type: Type): CelType {
  if (type.primitive !== undefined && Object.hasOwn(primitives, type.primitive)) return primitives[type.primitive]!;
  if (type.wellKnown === 'TIMESTAMP' || type.messageType === 'google.protobuf.Timestamp') return timestamp;
  if (type.wellKnown === 'DURATION' || type.messageType === 'google.protobuf.Duration') return duration;
  if (type.listType !== undefined)
    return listOf(type.listType.elemType === undefined ? dyn : typeOf(type.listType.elemType));
  if (type.mapType !== undefined) {
    if (type.mapType.keyType.primitive !== 'STRING') throw new NotHere('a map whose keys are no texts');
    return { kind: 'map', of: typeOf(type.mapType.valueType) };
  }
  if (type.dyn !== undefined) return dyn;
  if (type.null !== undefined) return nullType;
  throw new NotHere(`no type like ${JSON.stringify(type)}`);
}

/** As our scope and our results have it. */
function scopeValue(value: Value): unknown {
  const [kind, of] = Object.entries(value)[0] ?? ['nothing', null];
  switch (kind) {
    case 'int64Value':
    case 'uint64Value':
      if (!Number.isSafeInteger(Number(of)))
        throw new NotHere(`${of as string} is beyond the whole numbers that JSON keeps (2^53)`);
      return Number(of);
    case 'doubleValue':
      return Number(of);
    case 'boolValue':
    case 'stringValue':
      return of;
    case 'nullValue':
      return null;
    case 'listValue':
      return ((of as { values?: readonly Value[] }).values ?? []).map(scopeValue);
    case 'mapValue':
      return Object.fromEntries(
        ((of as { entries?: readonly { key: Value; value: Value }[] }).entries ?? []).map((entry) => {
          const key = scopeValue(entry.key);
          if (typeof key !== 'string') throw new NotHere('a map whose keys are no texts');
          return [key, scopeValue(entry.value)];
        }),
      );
    case 'objectValue': {
      const { '@type': type, value: written } = of as { '@type'?: string; value?: unknown };
      // Protocol Buffers write a duration in seconds, however long its fraction.
      if (type === 'type.googleapis.com/google.protobuf.Duration') return Number.parseFloat(written as string) * 1_000;
      if (type === 'type.googleapis.com/google.protobuf.Timestamp') return Date.parse(written as string);
      throw new NotHere(`no value of ${type}`);
    }
    default:
      throw new NotHere(`no value like ${JSON.stringify(value)}`);
  }
}

/** NaN is NaN, and 0 is 0 whatever its sign, which JSON does not keep. */
function same(a: unknown, b: unknown): boolean {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same((a as never)[key], (b as never)[key]))
  );
}
