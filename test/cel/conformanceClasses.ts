import type { ConformanceCase, Outcome } from './conformance.ts';

/**
 * Why a case of CEL's conformance data does not pass: the first class that it belongs to. docs/cel.md tells each, with how many there are.
 * A class asks for what stands in the case, or for what our checker says of it, so that a case that fails for another reason than
 * these belongs to none, and the test fails.
 */
export interface Class {
  readonly id: string;
  holds(test: ConformanceCase, what: string): boolean;
}

const says =
  (pattern: RegExp) =>
  (_test: ConformanceCase, what: string): boolean =>
    pattern.test(what);
const has =
  (pattern: RegExp) =>
  ({ expr }: ConformanceCase): boolean =>
    pattern.test(expr);

export const classes: readonly Class[] = [
  { id: 'messages', holds: has(/TestAllTypes|google\.protobuf\.|\bproto[23]\b/) },
  { id: 'bytes', holds: has(/(^|[^\w'"])[bB][rR]?['"]|\bbytes\b/) },
  { id: 'unsigned', holds: has(/\d[uU]\b|\buint\b/) },
  { id: 'beyond 2^53', holds: says(/beyond the whole numbers/) },
  { id: 'types as values', holds: has(/\btype\(|^(bool|int|double|string|list|map|null_type|type)$/) },
  { id: 'dyn()', holds: says(/^dyn\(\) is not a function/) },
  { id: 'keys', holds: says(/^the key of a map must be a text/) },
  {
    id: 'mistakes first',
    holds: ({ expr }, what) =>
      /^each side of (&&|\|\|) must be/.test(what) ||
      (/\|\| true$/.test(expr) && /^(x|a|f_unknown\(\)) is not a/.test(what)),
  },
  { id: 'functions', holds: says(/^\w+\(\) is not a function|^strings is not a known name/) },
  {
    id: 'one type',
    holds: says(/^each element of this list must be|^both sides of : must have one type|never equals/),
  },
  { id: 'order of bools', holds: says(/^what [<>]=? compares must be .*, not a bool$/) },
  { id: 'qualified names', holds: ({ typeEnv = [] }) => typeEnv.some(({ name }) => name.includes('.')) },
  { id: 'times', holds: says(/written out$|^what becomes a number .* not a timestamp$/) },
  { id: 'milliseconds', holds: has(/\d{9}Z|ns'/) },
  { id: 'grammar', holds: has(/`|^\.\d/) },
  {
    id: 'doubles',
    holds: ({ expr, error }, what) => error === true && /^.+ instead of an error$/.test(what) && /\/|%|\*/.test(expr),
  },
];

export function classOf(test: ConformanceCase, outcome: Exclude<Outcome, { kind: 'passed' }>): string | null {
  return classes.find(({ holds }) => holds(test, outcome.what))?.id ?? null;
}
