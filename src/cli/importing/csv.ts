import { Readable } from 'node:stream';

/** A row of a CSV file by the names of its columns, or why it is none. `line` is where it begins. */
export type CsvRow =
  | { readonly line: number; readonly record: Readonly<Record<string, string>> }
  | { readonly line: number; readonly message: string };

export interface CsvOptions {
  /** What the columns are called, by the first line. */
  readonly columns: (header: readonly string[]) => string[];
  /** What may stand between fields: whichever the first line has most of. */
  readonly delimiters: readonly string[];
  /** A longer row is a bad one, not memory. */
  readonly rowChars: number;
}

/** CSV (RFC 4180) with a line of names first. */
export async function* readCsvRows(
  chunks: AsyncIterable<Uint8Array>,
  { columns, delimiters, rowChars }: CsvOptions,
): AsyncGenerator<CsvRow, void> {
  // Only who imports needs it, and every command starts by the same program.
  const { parse } = await import('csv-parse');
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) return;
  const skipped: CsvRow[] = [];
  // The parser counts a line break of two characters twice where it stands in quotes.
  let twice = 0;
  const parser = parse({
    bom: true,
    columns,
    delimiter: delimiterOf(new TextDecoder().decode(first.value), delimiters),
    max_record_size: rowChars,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_record: (record: { readonly [name: string]: string }, { lines }): CsvRow => {
      const text = Object.values(record).join(' ');
      twice += text.split('\r\n').length - 1;
      const inside = text.split('\n').length - 1;
      return { line: lines - twice - inside, record };
    },
    on_skip: (error) => {
      const line = Number((error as { lines?: number } | undefined)?.lines ?? 0) - twice;
      skipped.push({ line, message: (error?.message ?? 'not CSV').replace(/ (?:on|at) line \d+/, '') });
    },
  });
  const content = Readable.from(rest(first.value, iterator), { objectMode: false });
  content.on('error', (error) => parser.destroy(error));
  content.pipe(parser);
  for await (const row of parser as AsyncIterable<CsvRow>) {
    // The parser is ahead of us.
    while (skipped[0] !== undefined && skipped[0].line < row.line) yield skipped.shift()!;
    yield row;
  }
  yield* skipped;
}

async function* rest(first: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield first;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
}

function delimiterOf(text: string, delimiters: readonly string[]): string {
  const header = text.split('\n', 1)[0]!;
  const count = (delimiter: string) => header.split(delimiter).length;
  return delimiters.reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best));
}
