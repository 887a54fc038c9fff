import { readCsvRows } from '../importing/csv.ts';
import { fieldName, type ReadFeed, rowChars } from './row.ts';

/** CSV with a line of names first; comma, semicolon or tab between. */
export const readCsv: ReadFeed = async function* (chunks) {
  const columns = (header: readonly string[]) => header.map(fieldName);
  for await (const row of readCsvRows(chunks, { columns, delimiters: [',', ';', '\t'], rowChars }))
    yield 'message' in row ? row : { line: row.line, fields: new Map(Object.entries(row.record)) };
};
