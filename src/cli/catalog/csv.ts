import { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import { UsherError } from '../../errors.ts';
import { type FeedRow, fieldName, type ReadFeed, rowChars } from './row.ts';

/** CSV (RFC 4180) with a line of names first; comma, semicolon or tab between, whichever that line has most of. */
export const readCsv: ReadFeed = async function* (chunks) {
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new UsherError('COMMAND_FAILED', 'the feed is empty');
  const skipped: FeedRow[] = [];
  // The parser counts a line break of two characters twice where it stands in quotes.
  let twice = 0;
  const parser = parse({
    bom: true,
    columns: (header: readonly string[]) => header.map(fieldName),
    delimiter: delimiterOf(new TextDecoder().decode(first.value)),
    max_record_size: rowChars,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_record: (record: { readonly [name: string]: string }, { lines }): FeedRow => {
      const text = Object.values(record).join(' ');
      twice += text.split('\r\n').length - 1;
      const inside = text.split('\n').length - 1;
      return { line: lines - twice - inside, fields: new Map(Object.entries(record)) };
    },
    on_skip: (error) => {
      const line = Number((error as { lines?: number } | undefined)?.lines ?? 0) - twice;
      skipped.push({ line, message: (error?.message ?? 'not CSV').replace(/ (?:on|at) line \d+/, '') });
    },
  });
  Readable.from(rest(first.value, iterator), { objectMode: false }).pipe(parser);
  for await (const row of parser as AsyncIterable<FeedRow>) {
    // The parser is ahead of us.
    while (skipped[0] !== undefined && skipped[0].line < row.line) yield skipped.shift()!;
    yield row;
  }
  yield* skipped;
};

async function* rest(first: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield first;
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
}

function delimiterOf(text: string): string {
  const header = text.split('\n', 1)[0]!;
  const count = (delimiter: string) => header.split(delimiter).length;
  return [',', ';', '\t'].reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best));
}
