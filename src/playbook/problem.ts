/** A mistake, or a doubt, about a playbook, with its place. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Path within the playbook's folder. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units, as editors count. */
  readonly column: number;
  /** How many characters it is about; absent: 1. */
  readonly length?: number;
  /** What is wrong: what came, and where it helps, why. */
  readonly message: string;
  readonly expected?: string;
  /** The nearest known name. */
  readonly nearest?: string;
}

/** `file:line:column: message`, as editors and people read it. */
export function formatProblem(problem: Problem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
}

/** Problems reported beyond this many are not worth reading; the last one says so. */
export const maxProblems = 100;

/** Where in a file. */
export interface Span {
  readonly file: SourceFile;
  /** UTF-16 offsets. */
  readonly start: number;
  readonly end: number;
}

export class SourceFile {
  readonly path: string;
  readonly text: string;
  readonly #lineStarts: number[] = [0];

  constructor(path: string, text: string) {
    this.path = path;
    this.text = text;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) this.#lineStarts.push(at + 1);
  }

  /** Line and column, from 1. */
  position(offset: number): { line: number; column: number } {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - this.#lineStarts[low]! + 1 };
  }
}

export type Details = Pick<Problem, 'expected' | 'nearest'>;

/** Collects problems in the order found. */
export class Report {
  readonly #problems: Problem[] = [];
  #beyond = 0;

  error(span: Span, message: string, details: Details = {}): void {
    this.#add('error', span, message, details);
  }

  warning(span: Span, message: string, details: Details = {}): void {
    this.#add('warning', span, message, details);
  }

  #add(severity: Problem['severity'], span: Span, message: string, details: Details): void {
    if (this.#problems.length >= maxProblems) {
      this.#beyond++;
      return;
    }
    const length = Math.max(1, span.end - span.start);
    this.#problems.push({
      severity,
      file: span.file.path,
      ...span.file.position(span.start),
      length,
      message,
      ...details,
    });
  }

  get failed(): boolean {
    return this.#problems.some(({ severity }) => severity === 'error');
  }

  /** By file, line and column. Errors alone, if there are any: what is left out because of them looks like a doubt too. */
  problems(): readonly Problem[] {
    const told = this.failed ? this.#problems.filter(({ severity }) => severity === 'error') : this.#problems;
    const sorted = told.toSorted(
      (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
    );
    if (this.#beyond === 0) return sorted;
    const last = sorted.at(-1)!;
    return [...sorted, { ...last, length: 1, message: `and ${this.#beyond} more problems` }];
  }
}
