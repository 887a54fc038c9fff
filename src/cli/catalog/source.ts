import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { UsherError } from '../../errors.ts';
import type { CliIo } from '../command.ts';
import { readCsv } from './csv.ts';
import { readJsonLines } from './jsonLines.ts';
import type { FeedRow, ReadFeed } from './row.ts';
import { readXml } from './xml.ts';

export const formats: Readonly<Record<string, ReadFeed>> = { csv: readCsv, jsonl: readJsonLines, xml: readXml };

/** The rows of a file or an address. @param format null: as the first byte tells */
export async function* readFeed(where: string, format: string | null, io: CliIo): AsyncGenerator<FeedRow, void> {
  const chunks = (await openFeed(where, io))[Symbol.asyncIterator]();
  let begin = Buffer.alloc(0);
  let next = await chunks.next();
  // Enough to tell a format by, also where a feed comes in drops.
  while (next.done !== true && begin.length < 1_000) {
    begin = Buffer.concat([begin, next.value]);
    next = await chunks.next();
  }
  if (begin.length === 0) throw new UsherError('COMMAND_FAILED', `${where} is empty`);
  async function* all(): AsyncGenerator<Uint8Array, void> {
    yield begin;
    for (; next.done !== true; next = await chunks.next()) yield next.value;
  }
  yield* formats[format ?? formatOf(begin)]!(all());
}

/** XML begins with <, a JSON object with {; a byte order mark and white space apart. */
function formatOf(begin: Buffer): string {
  const text = begin.toString('utf8').replace(/^[\ufeff\s]+/, '');
  if (text.startsWith('[')) {
    throw new UsherError('COMMAND_FAILED', 'the feed is a JSON list; expected JSON lines: an object a line');
  }
  return text.startsWith('<') ? 'xml' : text.startsWith('{') ? 'jsonl' : 'csv';
}

async function openFeed(where: string, io: CliIo): Promise<AsyncIterable<Uint8Array>> {
  const bytes = /^https?:\/\//.test(where) ? await download(where, io) : createReadStream(resolve(io.cwd, where));
  return named(where, where.replace(/[?#].*$/, '').endsWith('.gz') ? unpacked(bytes) : bytes, io);
}

async function download(url: string, io: CliIo): Promise<AsyncIterable<Uint8Array>> {
  let response: Response;
  try {
    response = await fetch(url, { signal: io.signal });
  } catch (error) {
    const { cause } = error as { cause?: Error };
    throw new UsherError('COMMAND_FAILED', `${url} does not answer: ${cause?.message ?? (error as Error).message}`);
  }
  if (!response.ok || response.body === null)
    throw new UsherError('COMMAND_FAILED', `${url} answers ${response.status} ${response.statusText}`);
  return response.body;
}

async function* unpacked(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const gunzip = createGunzip();
  const packed = Readable.from(bytes, { objectMode: false });
  packed.on('error', (error) => gunzip.destroy(error));
  yield* packed.pipe(gunzip);
}

/** What goes wrong while reading, with the feed's name. */
async function* named(where: string, bytes: AsyncIterable<Uint8Array>, io: CliIo): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of bytes) {
      io.signal.throwIfAborted();
      yield chunk;
    }
  } catch (error) {
    io.signal.throwIfAborted();
    throw new UsherError('COMMAND_FAILED', `${where} cannot be read: ${(error as Error).message}`);
  }
}
