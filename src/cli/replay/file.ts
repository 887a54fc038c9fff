import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { UsherError } from '../../errors.ts';
import { rowId, sourceOf } from './identity.ts';
import type { BadRow, FileFacts, ParsedRow, Row, RowFormat } from './row.ts';

/** A line longer than this is a bad row, not memory. */
const lineCharactersMax = 1_000_000;

/** Hash and size of a file's content, `.gz` unpacked. @throws UsherError COMMAND_FAILED when it cannot be read */
export async function readFacts(path: string): Promise<FileFacts> {
  const hash = createHash('sha256');
  let lines = 0;
  let last = 0x0a;
  await readThrough(path, async (content) => {
    for await (const part of content) {
      hash.update(part);
      for (let at = part.indexOf(0x0a); at >= 0; at = part.indexOf(0x0a, at + 1)) lines++;
      if (part.length > 0) last = part[part.length - 1]!;
    }
  });
  return { hash: hash.digest('hex'), lines: last === 0x0a ? lines : lines + 1 };
}

/** The rows of a file in its order, named. Empty lines count as rows and are passed over. */
export async function* readRows(path: string, format: RowFormat, facts: FileFacts): AsyncGenerator<Row | BadRow, void> {
  // A visitor's next number: what a replay must remember of every visitor of the file.
  const sequences = new Map<string, number>();
  let parser = format.header ? null : format.open('', facts);
  let number = 0;
  for await (const line of linesOf(path)) {
    if (parser === null) {
      parser = format.open(line, facts);
      continue;
    }
    if (line === '') {
      number++;
      continue;
    }
    const rows =
      line.length > lineCharactersMax
        ? { message: `more than ${lineCharactersMax} characters` }
        : parser(line, number + 1);
    for (const parsed of Array.isArray(rows) ? (rows as readonly ParsedRow[]) : [rows as ParsedRow]) {
      number++;
      if ('message' in parsed) {
        yield { kind: 'bad', number, message: parsed.message };
        continue;
      }
      let { event } = parsed;
      if (event.source === undefined) {
        const sequence = (sequences.get(parsed.visitor) ?? 0) + 1;
        sequences.set(parsed.visitor, sequence);
        event = { ...event, source: sourceOf(facts.hash, parsed.visitor), sequence };
      }
      const id = event.id ?? rowId(facts.hash, number);
      yield { kind: 'row', number, ...parsed, event: { ...event, id } };
    }
  }
  if (parser === null) format.open('', facts);
}

/** Rows of the file, a header not counted. Where a line has several, all lines are read for it. */
export async function countRows(path: string, format: RowFormat, facts: FileFacts): Promise<number> {
  if (format.rowsInLine === 'one') return Math.max(0, facts.lines - (format.header ? 1 : 0));
  let rows = 0;
  for await (const { number } of readRows(path, format, facts)) rows = number;
  return rows;
}

/** The lines of a file, `.gz` unpacked, without what ends them. @throws UsherError COMMAND_FAILED when it cannot be read */
export async function* linesOf(path: string): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  const content = unpacked(path);
  try {
    for await (const part of content) {
      const lines = (rest + decoder.decode(part, { stream: true })).split('\n');
      rest = lines.pop()!;
      for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
    }
    if (rest !== '') yield rest;
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    content.destroy();
  }
}

async function readThrough(path: string, read: (content: AsyncIterable<Buffer>) => Promise<void>): Promise<void> {
  try {
    await pipeline(unpacked(path), read);
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** A file's content, `.gz` unpacked. */
export function unpacked(path: string): Readable {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 });
  if (!path.endsWith('.gz')) return file;
  const gunzip = createGunzip();
  // `pipe` hands on neither errors nor an early end; both must reach whoever reads.
  file.on('error', (error) => gunzip.destroy(error));
  gunzip.on('close', () => file.destroy());
  return file.pipe(gunzip);
}

function unreadable(path: string, error: unknown): unknown {
  return error instanceof UsherError
    ? error
    : new UsherError('COMMAND_FAILED', `${path} cannot be read: ${(error as Error).message}`);
}
