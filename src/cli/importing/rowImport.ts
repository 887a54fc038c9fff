import { setTimeout as sleep } from 'node:timers/promises';
import type { GraphqlClient } from '../client.ts';
import type { CliIo } from '../command.ts';
import { printable } from '../style.ts';

/** Between two tries of a call, doubled up to the most, ms; given up after the last. */
export const retryMs = { first: 200, most: 5_000, tries: 20 } as const;
/** Lines about refused rows; more are counted. */
const listed = 1_000;

/** A row that waits for its call, with its line in the file. */
export interface Waiting<Row> {
  readonly line: number;
  readonly row: Row;
}

/** What every import has in common: rows are gathered for a call and no more of them held, and those that are refused are told with their lines. */
export class RowImport<Row> {
  readonly #io: CliIo;
  readonly #most: { readonly rows: number; readonly chars: number };
  readonly #call: (rows: readonly Waiting<Row>[]) => Promise<void>;
  readonly #startedAt = performance.now();
  readonly #passedOver = new Set<string>();
  #waiting: Waiting<Row>[] = [];
  #chars = 0;
  #refused = 0;

  /** @param most of one call; the server takes no more at once. */
  constructor(
    io: CliIo,
    most: { readonly rows: number; readonly chars: number },
    call: (rows: readonly Waiting<Row>[]) => Promise<void>,
  ) {
    this.#io = io;
    this.#most = most;
    this.#call = call;
  }

  get refused(): number {
    return this.#refused;
  }

  async take(line: number, row: Row): Promise<void> {
    const chars = JSON.stringify(row).length;
    if (this.#waiting.length === this.#most.rows || this.#chars + chars > this.#most.chars) await this.send();
    this.#waiting.push({ line, row });
    this.#chars += chars;
  }

  async send(): Promise<void> {
    const rows = this.#waiting;
    this.#waiting = [];
    this.#chars = 0;
    if (rows.length > 0) await this.#call(rows);
  }

  refuse(line: number, message: string): void {
    if (++this.#refused <= listed) this.#io.err(`line ${line}: ${printable(message)}`);
  }

  passOver(column: string): void {
    this.#passedOver.add(column);
  }

  /** @param counts of the rows that were not refused, each with its word */
  report(what: string, counts: readonly (readonly [count: number, word: string])[], columns: string): void {
    const { out, err } = this.#io;
    if (this.#refused > listed) err(`and ${(this.#refused - listed).toLocaleString('en')} more`);
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    const all = [...counts, [this.#refused, 'refused'] as const];
    out(`${what}: ${all.map(([count, word]) => `${count.toLocaleString('en')} ${word}`).join(', ')}; ${seconds} s`);
    if (this.#passedOver.size > 0)
      out(`${columns} passed over: ${[...this.#passedOver].map(printable).join(', ')}`.trim());
  }
}

/** A call that does nothing when it comes again: one without an answer is sent again. @throws UsherError */
export async function askAgain<T>(
  client: GraphqlClient,
  document: string,
  variables: object,
  signal: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const answer = await client.ask<T>(document, variables, signal);
    if (answer.kind === 'data') return answer.data;
    const isWorthIt = answer.kind === 'unreached' ? answer.sent : answer.retryable;
    if (!isWorthIt || tries === retryMs.tries) throw client.errorOf(answer);
    await pause(tries, answer.kind === 'errors' ? answer.retryAfterMs : null, signal);
  }
}

export function pause(tries: number, afterMs: number | null, signal: AbortSignal): Promise<void> {
  return sleep(afterMs ?? Math.min(retryMs.most, retryMs.first * 2 ** (tries - 1)), undefined, { signal });
}
