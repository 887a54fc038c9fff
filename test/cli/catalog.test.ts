import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FeedRow } from '../../src/cli/catalog/row.ts';
import { productOf } from '../../src/cli/catalog/row.ts';
import { readFeed } from '../../src/cli/catalog/source.ts';
import { runCli } from '../../src/cli/index.ts';
import { recordedIo } from '../support/cliIo.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const feeds = join(import.meta.dirname, 'feeds');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'usher-feeds-'));
});
afterAll(() => rm(folder, { recursive: true }));

const now = Date.parse('2026-11-26T12:00:00Z');
async function rowsOf(where: string, format: string | null = null) {
  const rows: [line: number, what: unknown][] = [];
  for await (const row of readFeed(where, format, recordedIo())) rows.push([row.line, readOf(row)]);
  return rows;
}
const readOf = (row: FeedRow) => ('message' in row ? row.message : productOf(row.fields, now));
async function feed(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe('a feed of products', () => {
  it('is CSV with the names of the columns first; rows that are no product say why, with their line', async () => {
    const tent = {
      id: 't-100',
      name: 'Aurora 3, the tent',
      price: 349,
      currency: 'USD',
      stock: 12,
      availability: 'in_stock',
      category: 'tents',
      brand: 'Nordfell',
      image: 'https://shop.example/i/t-100.jpg',
      url: 'https://shop.example/p/t-100',
    };
    expect(await rowsOf(join(feeds, 'products.csv'))).toEqual([
      [2, tent],
      [3, expect.objectContaining({ id: 't-101', price: 79.9, brand: 'Glut' })],
      [4, 't-102: price: "24,90 USD"; expected a number such as 1299.90, or 1299.90 EUR'],
      [5, 't-103: there is no name or title'],
      [6, expect.objectContaining({ id: 't-104', currency: 'EUR' })],
      [7, expect.objectContaining({ id: 't-105', stock: 0, availability: 'out_of_stock' })],
    ]);
  });

  it('is CSV with semicolons or tabs and line breaks in quotes, too, and a row with a field too many is told alone', async () => {
    const text = '\ufeffID;Name;Price\r\na;"two\r\nlines";1\r\nb;B;2;3\r\nc;C;3\r\n';
    for (const delimiter of [';', '\t']) {
      expect(await rowsOf(await feed('lines.csv', text.replaceAll(';', delimiter)))).toEqual([
        [2, { id: 'a', name: 'two\r\nlines', price: 1 }],
        [4, expect.stringContaining('Invalid Record Length')],
        [5, { id: 'c', name: 'C', price: 3 }],
      ]);
    }
  });

  it('is a JSON object a line', async () => {
    expect(await rowsOf(join(feeds, 'products.jsonl'))).toEqual([
      [1, { id: 't-100', name: 'Aurora 3, the tent', price: 349, stock: 12, category: 'tents' }],
      [2, { id: 't-101', name: 'Stove', price: 79.9, availability: 'preorder' }],
      [3, 't-102: price: "cheap"; expected a number such as 1299.90, or 1299.90 EUR'],
      [4, expect.stringMatching(/^not JSON/)],
      [5, 't-104: stock is "0.5"; expected a whole number'],
    ]);
  });

  it('is Google Merchant’s XML, of which only an item’s own fields are read, and a sale counts while it is on', async () => {
    expect(await rowsOf(join(feeds, 'merchant.xml'))).toEqual([
      [
        5,
        {
          id: 't-100',
          name: 'Aurora 3 & fly',
          price: 349,
          currency: 'USD',
          availability: 'in_stock',
          image: 'https://shop.example/i/t-100.jpg',
          url: 'https://shop.example/p/t-100',
        },
      ],
      [18, expect.stringContaining('t-101: availability is "perhaps"')],
    ]);
    expect(await rowsOf(join(feeds, 'atom.xml'))).toEqual([
      [3, { id: 't-100', name: 'Aurora 3', price: 299, currency: 'USD', url: 'https://shop.example/p/t-100' }],
    ]);
  });

  it('that is broken off, no XML, empty, a JSON list or of another encoding is refused with what it is', async () => {
    const refused = async (name: string, content: string, message: string) =>
      expect(rowsOf(await feed(name, content))).rejects.toMatchObject({
        code: 'COMMAND_FAILED',
        message: expect.stringContaining(message),
      });
    const whole = await readFile(join(feeds, 'merchant.xml'), 'utf8');
    await refused('cut.xml', whole.slice(0, whole.length / 2), 'not XML');
    await refused('none.xml', '<html></html>', 'no item (RSS) and no entry (Atom)');
    await refused('latin.xml', '<?xml version="1.0" encoding="ISO-8859-1"?><rss/>', 'ISO-8859-1');
    await refused('bomb.xml', '<!DOCTYPE r [<!ENTITY a "aaaa">]><rss><item>&a;</item></rss>', 'undefined entity');
    await refused('empty.csv', '', 'is empty');
    await refused('list.json', ' [{"id": "a"}]', 'JSON list');
  });

  it('is read by the row: what is kept of 200,000 rows is what one takes', async () => {
    async function* rows() {
      yield Buffer.from('id,name,price,description\n');
      for (let i = 0; i < 200; i++) {
        const line = (n: number) => `p${n},Product ${n},1.50,${'x'.repeat(500)}\n`;
        yield Buffer.from(Array.from({ length: 1_000 }, (_, n) => line(i * 1_000 + n)).join(''));
      }
    }
    const { readCsv } = await import('../../src/cli/catalog/csv.ts');
    let count = 0;
    let most = 0;
    for await (const row of readCsv(rows())) {
      expect('fields' in row).toBe(true);
      if (++count % 20_000 === 0) most = Math.max(most, process.memoryUsage().heapUsed);
    }
    expect(count).toBe(200_000);
    // The rows are 104 MB of text.
    expect(most).toBeLessThan(400_000_000);
  }, 120_000);
});

describe('usher catalog import', () => {
  let usher: TestUsher;
  beforeEach(async () => {
    usher = await startTestUsher();
    return () => usher[Symbol.asyncDispose]();
  });
  async function run(where: string, ...words: string[]) {
    const io = recordedIo();
    const code = await runCli(
      ['catalog', 'import', where, ...words, '--url', usher.url, '--data', usher.config.data],
      io,
    );
    return { code, out: io.outLines.join('\n'), err: io.errLines };
  }

  it('imports the good rows, lists the bad ones with line and reason, and does nothing when it is run again', async () => {
    const path = join(feeds, 'products.csv');
    const first = await run(path);
    expect(first.code).toBe(1);
    expect(first.out).toMatch(/^products: 3 new, 0 changed, 0 as they were, 3 refused; [\d.]+ s\npassed over: gtin$/);
    expect(first.err).toEqual([
      'line 4: t-102: price: "24,90 USD"; expected a number such as 1299.90, or 1299.90 EUR',
      'line 5: t-103: there is no name or title',
      'line 6: t-104: currency: expected USD, the playbook’s, came "EUR"',
    ]);
    expect((await run(path)).out).toContain('0 new, 0 changed, 3 as they were');
    const jsonl = await run(join(feeds, 'products.jsonl'));
    expect(jsonl.out).toContain('0 new, 2 changed, 0 as they were, 3 refused');
  });

  it('takes a feed from an address, packed too, and says what the address answers if it has none', async () => {
    const packed = gzipSync(await readFile(join(feeds, 'atom.xml')));
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/feed.xml.gz?v=1' ? 200 : 404).end(packed);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      expect(await run(`${url}/feed.xml.gz?v=1`)).toMatchObject({ code: 0, out: expect.stringContaining('1 new') });
      expect((await run(`${url}/other.xml`)).err.join()).toContain('answers 404');
    } finally {
      server.close();
    }
    expect((await run(join(folder, 'nothing.csv'))).err.join()).toContain('cannot be read');
  });

  it('needs a key that may import, and a format that there is', async () => {
    expect((await run(join(feeds, 'products.csv'), '--format', 'yaml')).err.join()).toContain(
      'expected csv, jsonl, xml',
    );
    expect((await run(join(feeds, 'products.csv'), '--key', 'usk_wrong')).err.join()).toContain('TOKEN_INVALID');
  });
});
