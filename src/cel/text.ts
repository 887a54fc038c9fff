import { writeInstant } from './calendar.ts';
import { type Cel, compileCel } from './cel.ts';
import type { Declarations } from './compiler.ts';
import { CelError, type CelProblem } from './errors.ts';
import { isSingle, nameOf } from './types.ts';

/** A text with `${CEL}` holes, checked. */
export interface CelText {
  readonly source: string;
  readonly holes: readonly Cel[];
  /** Dotted names that its holes read, each once. */
  readonly reads: readonly string[];
  /** A hole whose fact is missing is empty. `write` is how the value of a hole enters the text [as it is]. */
  render(scope: object, write?: (value: string, hole: string) => string): string;
}
export type TextResult =
  | { readonly ok: true; readonly text: CelText }
  | { readonly ok: false; readonly problems: readonly CelProblem[] };

/** Texts and holes: `["Protect your ", {source: "product.name", start: 15}]`. `$${` stands for `${` itself. */
export function splitText(source: string): {
  parts: (string | { source: string; start: number })[];
  unclosed: number | null;
} {
  const parts: (string | { source: string; start: number })[] = [];
  let plain = '';
  let at = 0;
  while (at < source.length) {
    if (source.startsWith('$${', at)) {
      plain += '${';
      at += 3;
    } else if (source.startsWith('${', at)) {
      const end = holeEnd(source, at + 2);
      if (end === null) return { parts, unclosed: at };
      if (plain !== '') parts.push(plain);
      plain = '';
      parts.push({ source: source.slice(at + 2, end), start: at + 2 });
      at = end + 1;
    } else {
      plain += source[at];
      at++;
    }
  }
  if (plain !== '') parts.push(plain);
  return { parts, unclosed: null };
}

/** Where the `}` stands that closes a hole: not one of a map literal or inside quotes. */
function holeEnd(source: string, from: number): number | null {
  let depth = 0;
  let quote: string | null = null;
  for (let i = from; i < source.length; i++) {
    const character = source[i]!;
    if (quote !== null) {
      if (character === '\\') i++;
      else if (character === quote) quote = null;
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '{') depth++;
    else if (character === '}') {
      if (depth === 0) return i;
      depth--;
    }
  }
  return null;
}

/**
 * Checks and compiles a text. Money is shown with the currency's digits, a timestamp as an ISO date and time.
 */
export function compileText(source: string, declared: Declarations, minorDigits: number): TextResult {
  const { parts, unclosed } = splitText(source);
  if (unclosed !== null) {
    const message = 'expected "}" that closes this "${"; write "$${" for the two characters themselves';
    return { ok: false, problems: [{ message, start: unclosed, end: source.length, expected: '"}"' }] };
  }
  const problems: CelProblem[] = [];
  const compiled = parts.map((part): string | Cel | null => {
    if (typeof part === 'string') return part;
    const result = compileCel(part.source, declared);
    const shift = (problem: CelProblem) => ({
      ...problem,
      start: problem.start + part.start,
      end: problem.end + part.start,
    });
    if (!result.ok) {
      problems.push(...result.problems.map(shift));
      return null;
    }
    if (!isSingle(result.cel.type)) {
      const got = nameOf(result.cel.type);
      const message = `a text can show a text, number, time or true/false, not a ${got}`;
      problems.push(shift({ message, start: 0, end: part.source.length, expected: 'a single value', got }));
    }
    return result.cel;
  });
  if (problems.length > 0) return { ok: false, problems };
  const holes = compiled.filter((part): part is Cel => typeof part === 'object' && part !== null);
  const reads = [...new Set(holes.flatMap((hole) => hole.reads))];
  const render: CelText['render'] = (scope, write = (value) => value) =>
    compiled
      .map((part) => (typeof part === 'string' ? part : write(show(part!, scope, minorDigits), part!.source)))
      .join('');
  return { ok: true, text: { source, holes, reads, render } };
}

function show(hole: Cel, scope: object, minorDigits: number): string {
  let value: unknown;
  try {
    value = hole.evaluate(scope);
  } catch (error) {
    if (error instanceof CelError) return '';
    throw error;
  }
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number' || !Number.isFinite(value)) return '';
  if (hole.type.kind === 'number' && hole.type.money) return value.toFixed(minorDigits);
  if (hole.type.kind === 'timestamp') return writeInstant(value) ?? '';
  return String(value);
}
