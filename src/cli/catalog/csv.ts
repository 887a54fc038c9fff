import { Readable } from 'node:stream';
import { parse } from 'csv-parse';
import { UsherError } from '../../errors.ts';
import { type FeedRow, fieldName, type ReadFeed, rowChars } from './row.ts';

interface Info {
  readonly lines: number;
}
interface Read {
  readonly record: { readonly [name: string]: string };
  readonly info: Info;
}

/** CSV (RFC 4180) with a line of names first; comma, semicolon or tab between, whichever that line has most of. */
export const readCsv: ReadFeed = async function* (chunks) {
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new UsherError('COMMAND_FAILED', 'the feed is empty');
  const skipped: FeedRow[] = [];
  let before = 1;
  const parser = parse({
    bom: true,
    columns: (header: readonly string[]) => header.map(fieldName),
    delimiter: delimiterOf(new TextDecoder().decode(first.value)),
    info: true,
    max_record_size: rowChars,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_skip: (error) => {
      skipped.push({ line: before + 1, message: error?.message ?? 'not CSV' });
    },
  });
  Readable.from(rest(first.value, iterator), { objectMode: false }).pipe(parser);
  for await (const { record, info } of parser as AsyncIterable<Read>) {
    yield* skipped.splice(0);
    yield { line: before + 1, fields: new Map(Object.entries(record)) };
    before = info.lines;
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
