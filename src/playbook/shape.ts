import { parseDuration, parseInstant } from '../cel/duration.ts';
import type { JsonObject } from '../model/json.ts';
import { nearest } from '../model/nearest.ts';
import type { Report, Span } from './problem.ts';
import type { ScalarTree, Tree } from './tree.ts';

/**
 * What a part of a playbook must look like: one description from which both the reader and the JSON Schema for editors follow.
 * `read` answers undefined after it reported what is wrong.
 */
export interface Shape<T> {
  /** For messages: "a duration such as 30m". */
  readonly expected: string;
  readonly json: JsonObject;
  read(tree: Tree, report: Report): T | undefined;
}
/** A value with its place, for what can only be checked when everything is read. */
export interface Located<T> {
  readonly value: T;
  readonly tree: ScalarTree;
}

export const idPattern = /^[a-z][a-z0-9_]{0,63}$/;
const idExpected = 'a name of a-z, 0-9 and _, beginning with a letter, at most 64 long';

function scalar<T>(
  expected: string,
  json: JsonObject,
  parse: (value: ScalarTree['value']) => T | undefined,
): Shape<Located<T>> {
  return {
    expected,
    json,
    read(tree, report) {
      const value = tree.kind === 'scalar' ? parse(tree.value) : undefined;
      if (value === undefined) {
        report.error(tree, `expected ${expected}, got ${shown(tree)}`, { expected });
        return undefined;
      }
      return { value, tree: tree as ScalarTree };
    },
  };
}

export function shown(tree: Tree): string {
  if (tree.kind === 'list') return 'a list';
  if (tree.kind === 'map') return 'a map';
  if (tree.value === null) return 'nothing';
  const text = JSON.stringify(tree.value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

export const second = 1_000;
export const hour = 3_600_000;
export const day = 86_400_000;

/** Longest text of a name or a phrase. */
const maxText = 2_000;
const textIn = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= maxText ? value : undefined;

export const text = (expected = 'a text'): Shape<Located<string>> =>
  scalar(expected, { type: 'string', minLength: 1, maxLength: maxText }, textIn);
/** A text that may be longer than a line. */
export const longText = (most: number): Shape<Located<string>> =>
  scalar(`a text of at most ${most} characters`, { type: 'string', minLength: 1, maxLength: most }, (value) =>
    typeof value === 'string' && value !== '' && value.length <= most ? value : undefined,
  );
/** A text of a form, and what is made of it. */
export function matching<T>(expected: string, pattern: RegExp, make: (match: RegExpExecArray) => T): Shape<Located<T>> {
  return scalar(expected, { type: 'string', pattern: pattern.source }, (value) => {
    const match = typeof value === 'string' ? pattern.exec(value) : null;
    return match === null ? undefined : make(match);
  });
}
/** A condition or a value in CEL; YAML reads `true` and `5` as what they are, CEL too. */
export const cel = (expected = 'a condition in CEL, such as cart.value > 100'): Shape<Located<string>> =>
  scalar(expected, { type: ['string', 'boolean', 'number'], minLength: 1, maxLength: maxText }, (value) =>
    typeof value === 'boolean' || typeof value === 'number' ? String(value) : textIn(value),
  );
/** A value in CEL. */
export const celValue = (example: string): Shape<Located<string>> => cel(`a value in CEL, such as ${example}`);
export const id = (expected = idExpected): Shape<Located<string>> =>
  scalar(expected, { type: 'string', pattern: idPattern.source }, (value) =>
    typeof value === 'string' && idPattern.test(value) ? value : undefined,
  );

export function integer(min: number, max: number): Shape<Located<number>> {
  return scalar(`a whole number from ${min} to ${max}`, { type: 'integer', minimum: min, maximum: max }, (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined,
  );
}
export function decimal(min: number, max: number): Shape<Located<number>> {
  return scalar(`a number from ${min} to ${max}`, { type: 'number', minimum: min, maximum: max }, (value) =>
    typeof value === 'number' && value >= min && value <= max ? value : undefined,
  );
}
export function oneOf<const T extends string | number>(...values: readonly T[]): Shape<Located<T>> {
  const expected = values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`;
  const parse = (value: ScalarTree['value']): T | undefined => (values.includes(value as T) ? (value as T) : undefined);
  const shape = scalar(expected, { enum: values }, parse);
  return {
    ...shape,
    read(tree, report) {
      if (tree.kind === 'scalar' && typeof tree.value === 'string' && !values.includes(tree.value as T)) {
        const near = nearest(tree.value, values.map(String));
        report.error(
          tree,
          `expected ${expected}, got ${shown(tree)}`,
          near === null ? { expected } : { expected, nearest: near },
        );
        return undefined;
      }
      return shape.read(tree, report);
    },
  };
}

/** `30m`, `1h30m`, `7d` as ms. */
export function durationFrom(minMs: number, maxMs: number, range: string): Shape<Located<number>> {
  return scalar(
    `a duration such as 30s, 30m, 1h30m or 7d, ${range}`,
    { type: 'string', pattern: '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$' },
    (value) => {
      const ms = typeof value === 'string' && !/^[+-]/.test(value) ? parseDuration(value, { days: true }) : null;
      return ms !== null && ms >= minMs && ms <= maxMs ? ms : undefined;
    },
  );
}
export const instant: Shape<Located<number>> = scalar(
  'an instant such as 2026-12-24T18:00:00Z',
  { type: 'string', format: 'date-time' },
  (value) => (typeof value === 'string' ? (parseInstant(value) ?? undefined) : undefined),
);
/** Minutes from midnight. */
export interface TimesOfDay {
  readonly from: number;
  readonly to: number;
}
const timesOfDay = /^([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)$/;
/** `09:00-18:00`; over midnight if the second is the smaller one. */
export const hours: Shape<Located<TimesOfDay>> = scalar(
  'times of the day such as 09:00-18:00',
  { type: 'string', pattern: timesOfDay.source },
  (value) => {
    const match = typeof value === 'string' ? timesOfDay.exec(value) : null;
    if (match === null) return undefined;
    const [, fromHour, fromMinute, toHour = '0', toMinute = '0'] = match;
    return { from: Number(fromHour) * 60 + Number(fromMinute), to: Number(toHour) * 60 + Number(toMinute) };
  },
);
export const flag: Shape<Located<boolean>> = scalar('true or false', { type: 'boolean' }, (value) =>
  typeof value === 'boolean' ? value : undefined,
);
export const anyMap: Shape<Tree> = {
  expected: 'a map',
  json: { type: 'object' },
  read(tree, report) {
    if (tree.kind === 'map') return tree;
    report.error(tree, `expected a map, got ${shown(tree)}`, { expected: 'a map' });
    return undefined;
  },
};

export interface Field<T> {
  readonly shape: Shape<T>;
  readonly required: boolean;
  readonly help: string;
}
export const required = <T>(shape: Shape<T>, help: string): Field<T> & { required: true } => ({
  shape,
  required: true,
  help,
});
export const optional = <T>(shape: Shape<T>, help: string): Field<T> & { required: false } => ({
  shape,
  required: false,
  help,
});

type Fields = { readonly [key: string]: Field<unknown> };
type Read<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends { required: true; shape: Shape<infer T> }
    ? T
    : F[K] extends { shape: Shape<infer T> }
      ? T | undefined
      : never;
};

/** Words of the format that a later version runs: refused by name, so that nobody looks for a typo. */
export type Later = readonly string[];

export function object<F extends Fields>(
  expected: string,
  fields: F,
  later: Later = [],
): Shape<Read<F> & { readonly at: Tree }> {
  const keys = Object.keys(fields);
  return {
    expected,
    json: {
      type: 'object',
      additionalProperties: false,
      required: keys.filter((key) => fields[key]!.required),
      properties: Object.fromEntries(
        keys.map((key) => [key, { description: fields[key]!.help, ...fields[key]!.shape.json }]),
      ),
    },
    read(tree, report) {
      if (tree.kind !== 'map') {
        report.error(tree, `expected ${expected}, got ${shown(tree)}`, { expected });
        return undefined;
      }
      // What can be read is handed on although something is wrong: the mistakes of the rest are worth telling too.
      const result: Record<string, unknown> = { at: tree };
      for (const { key, keySpan, value } of tree.entries) {
        if (!Object.hasOwn(fields, key)) unknownKey(report, keySpan, key, keys, later);
        else result[key] = fields[key]!.shape.read(value, report);
      }
      const isLater = tree.entries.some(({ key }) => later.includes(key));
      const needed = keys.filter((key) => fields[key]!.required);
      for (const key of needed) {
        if (wrote(tree, key) || isLater) continue;
        report.error(startOf(tree), `${key} is missing`, { expected: `${key}: ${fields[key]!.shape.expected}` });
      }
      return needed.every((key) => result[key] !== undefined) ? (result as Read<F> & { at: Tree }) : undefined;
    },
  };
}

/** The shape of which one, and only one, of these keys stands there. */
export function exactlyOne<T>(shape: Shape<T>, keys: readonly string[], later: Later): Shape<T> {
  const expected = `one of ${keys.join(', ')}`;
  return {
    ...shape,
    json: { ...shape.json, oneOf: keys.map((key) => ({ required: [key] })) },
    read(tree, report) {
      const read = shape.read(tree, report);
      const written = keys.filter((key) => wrote(tree, key));
      if (read === undefined || written.length === 1) return read;
      if (written.length === 0) {
        const known = tree.kind !== 'map' || tree.entries.some(({ key }) => later.includes(key));
        if (!known) report.error(startOf(tree), `expected ${shape.expected}`, { expected });
      } else report.error(startOf(tree), `${written.join(' and ')} stand in one entry`, { expected });
      return undefined;
    },
  };
}

/** Whether a key stands there, readable or not. */
export function wrote(tree: Tree, key: string): boolean {
  return tree.kind === 'map' && tree.entries.some((entry) => entry.key === key);
}

export function unknownKey(report: Report, span: Span, key: string, keys: readonly string[], later: Later): void {
  if (later.includes(key)) {
    report.error(span, `${key} is not run by this version yet`, { expected: oneOfKeys(keys) });
    return;
  }
  const near = nearest(key, keys);
  report.error(
    span,
    `unknown key ${key}`,
    near === null ? { expected: oneOfKeys(keys) } : { expected: oneOfKeys(keys), nearest: near },
  );
}

function oneOfKeys(keys: readonly string[]): string {
  return keys.length === 1 ? keys[0]! : `one of ${keys.join(', ')}`;
}

/** A map is about its beginning: underlining all of its lines helps nobody. */
export function startOf(tree: Tree): Span {
  return { file: tree.file, start: tree.start, end: tree.start + 1 };
}

export interface Named<T> {
  readonly id: string;
  readonly span: Span;
  readonly value: T;
}

/** A map keyed by id. */
export function mapOf<T>(
  what: string,
  shape: Shape<T>,
  max: number,
  key: RegExp = idPattern,
  keyExpected: string = idExpected,
): Shape<readonly Named<T>[]> {
  const expected = `a map of ${what} by id`;
  return {
    expected,
    json: {
      // A section that is still empty.
      type: ['object', 'null'],
      propertyNames: { pattern: key.source },
      additionalProperties: shape.json,
      maxProperties: max,
    },
    read(tree, report) {
      if (tree.kind === 'scalar' && tree.value === null) return [];
      if (tree.kind !== 'map') {
        report.error(tree, `expected ${expected}, got ${shown(tree)}`, { expected });
        return undefined;
      }
      if (tree.entries.length > max) {
        report.error(startOf(tree), `${tree.entries.length} ${what}`, { expected: `at most ${max}` });
        return undefined;
      }
      const named: Named<T>[] = [];
      for (const entry of tree.entries) {
        if (!key.test(entry.key)) {
          report.error(entry.keySpan, `${JSON.stringify(entry.key)} cannot be an id`, { expected: keyExpected });
          continue;
        }
        const value = shape.read(entry.value, report);
        if (value !== undefined) named.push({ id: entry.key, span: entry.keySpan, value });
      }
      return named;
    },
  };
}

/** @param partial hand on what can be read of a list whose elements do not depend on each other */
export function listOf<T>(what: string, shape: Shape<T>, max: number, partial = false): Shape<readonly T[]> {
  const expected = `a list of ${what}, 1 to ${max}`;
  return {
    expected,
    json: { type: 'array', items: shape.json, minItems: 1, maxItems: max },
    read(tree, report) {
      if (tree.kind !== 'list' || tree.items.length === 0 || tree.items.length > max) {
        const got = tree.kind === 'list' ? `a list of ${tree.items.length}` : shown(tree);
        report.error(startOf(tree), `expected ${expected}, got ${got}`, { expected });
        return undefined;
      }
      const values = tree.items.map((item) => shape.read(item, report));
      if (values.includes(undefined) && !partial) return undefined;
      return values.filter((value) => value !== undefined) as T[];
    },
  };
}

/** One, or a list of them. */
export function oneOrMore<T>(what: string, shape: Shape<T>, max: number): Shape<readonly T[]> {
  const many = listOf(what, shape, max);
  return {
    expected: `${shape.expected}, or a list of them`,
    json: { anyOf: [shape.json, many.json] },
    read(tree, report) {
      if (tree.kind === 'list') return many.read(tree, report);
      const value = shape.read(tree, report);
      return value === undefined ? undefined : [value];
    },
  };
}
