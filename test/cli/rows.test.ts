import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { csvFields } from '../../src/cli/replay/csv.ts';
import { DerivedCatalog } from '../../src/cli/replay/derivedCatalog.ts';
import { countRows, readFacts, readRows } from '../../src/cli/replay/file.ts';
import { uuidV5 } from '../../src/cli/replay/identity.ts';
import { ndjson } from '../../src/cli/replay/ndjson.ts';
import { otto } from '../../src/cli/replay/otto.ts';
import { rees46 } from '../../src/cli/replay/rees46.ts';
import type { BadRow, Row, RowFormat } from '../../src/cli/replay/row.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function fileOf(name: string, content: string | Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'usher-rows-'));
  folders.push(folder);
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function rowsOf(path: string, format: RowFormat): Promise<(Row | BadRow)[]> {
  const rows: (Row | BadRow)[] = [];
  for await (const row of readRows(path, format, await readFacts(path))) rows.push(row);
  return rows;
}

const header = 'event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session';
const csv = [
  header,
  '2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,a',
  '2019-10-01 00:00:02 UTC,cart,1005014,2053013555631882655,electronics.smartphone,samsung,503.09,541312140,a',
  '2019-10-01 00:00:02 UTC,view,1005014,2053013555631882655,electronics.smartphone,,499.00,7,b',
  '2019-10-01 00:00:05 UTC,purchase,1005014,2053013555631882655,electronics.smartphone,samsung,503.09,541312140,a',
  '',
].join('\n');

describe('rows of a rees46 file', () => {
  it('become events of their user, in the order of the file, numbered for each user from 1', async () => {
    const rows = (await rowsOf(fileOf('log.csv', csv), rees46)) as Row[];
    expect(rows.map(({ number, visitor, event }) => [number, visitor, event.type, event.sequence])).toEqual([
      [1, 'u:541312140', 'product_viewed', 1],
      [2, 'u:541312140', 'cart_item_added', 2],
      [3, 'u:7', 'product_viewed', 1],
      [4, 'u:541312140', 'order_completed', 3],
    ]);
    expect(rows[1]!.event).toMatchObject({
      properties: { productId: '1005014', quantity: 1, price: 503.09 },
      occurredAt: '2019-10-01T00:00:02.000Z',
      visitor: { userId: '541312140' },
    });
    expect(rows[3]!.event.properties).toMatchObject({ lines: [{ productId: '1005014', quantity: 1, price: 503.09 }] });
    expect(rows[0]!.event.source).toBe(rows[1]!.event.source);
    expect(rows[0]!.event.source).not.toBe(rows[2]!.event.source);
  });

  it('have the same names packed or not, and other names in another file', async () => {
    const plain = (await rowsOf(fileOf('log.csv', csv), rees46)) as Row[];
    const packed = (await rowsOf(fileOf('log.csv.gz', gzipSync(csv)), rees46)) as Row[];
    const other = (await rowsOf(fileOf('other.csv', `${csv}\n`), rees46)) as Row[];
    const names = (rows: Row[]) => rows.map(({ event }) => [event.id, event.source]);
    expect(names(packed)).toEqual(names(plain));
    expect(other.map(({ event }) => event.id)).not.toContain(plain[0]!.event.id);
    expect(other[0]!.event.source).not.toBe(plain[0]!.event.source);
  });

  it('that cannot be read are told with their number, and the rest goes on', async () => {
    const lines = csv.split('\n');
    lines.splice(
      2,
      0,
      '2019-10-01 00:00:01 UTC,look,1,2,,,1.00,541312140,a',
      '2019-10-01,view,1',
      '2019-10-01 00:00:01 UTC,cart,1,2,,,cheap,1,a',
    );
    const rows = await rowsOf(fileOf('log.csv', lines.join('\r\n')), rees46);
    expect(rows.filter((row) => row.kind === 'bad')).toEqual([
      { kind: 'bad', number: 2, message: 'event_type is look; expected view, cart or purchase' },
      { kind: 'bad', number: 3, message: 'expected 9 fields, got 3' },
      { kind: 'bad', number: 4, message: 'price is cheap; expected a number' },
    ]);
    expect(rows.filter((row) => row.kind === 'row')).toHaveLength(4);
  });

  it('are not looked for in a file with other columns, or one that is not there', async () => {
    await expect(rowsOf(fileOf('other.csv', 'a,b\n1,2\n'), rees46)).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('no column event_time'),
    });
    await expect(rowsOf(fileOf('empty.csv', ''), rees46)).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
    await expect(readFacts('/nowhere/log.csv.gz')).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
    await expect(readFacts(fileOf('not-packed.csv.gz', csv))).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  });

  it('tell a catalog with the newest price, and what only an earlier row knew', async () => {
    const catalog = new DerivedCatalog();
    for (const row of await rowsOf(fileOf('log.csv', csv.split('\n').slice(0, 4).join('\n')), rees46)) {
      if (row.kind === 'row') catalog.add(row.products![0]!);
    }
    expect(parseYaml(catalog.toYaml())).toEqual({
      catalog: {
        1005014: {
          name: 'Samsung smartphone 1005014',
          category: 'electronics.smartphone',
          brand: 'samsung',
          price: 499,
        },
        44600062: { name: 'Shiseido product 44600062', brand: 'shiseido', price: 35.79 },
      },
    });
  });
});

describe('lines of an ndjson file', () => {
  it('are sent as they are, with id, source and sequence filled in where they are absent', async () => {
    const own = { id: '00000000-0000-4000-8000-000000000001', source: 'till-7', sequence: 40 };
    const lines = [
      { type: 'page_viewed', occurredAt: '2026-01-01T10:00:00Z', visitor: { visitorId: 'a1' } },
      {
        ...own,
        type: 'product_viewed',
        properties: { productId: 'p' },
        occurredAt: '2026-01-01T10:00:01+01:00',
        visitor: { userId: '7' },
      },
      { type: 'page_viewed', occurredAt: '2026-01-01T10:00:02Z', visitor: { visitorId: 'a1' } },
    ];
    const rows = (await rowsOf(
      fileOf('log.ndjson', lines.map((line) => JSON.stringify(line)).join('\n')),
      ndjson,
    )) as Row[];
    expect(rows.map(({ visitor, event }) => [visitor, event.sequence])).toEqual([
      ['a1', 1],
      ['u:7', 40],
      ['a1', 2],
    ]);
    expect(rows[1]!.event).toEqual(lines[1]);
    expect(rows[1]!.at).toBe(Date.UTC(2026, 0, 1, 9, 0, 1));
  });

  it('that are no events say what is missing', async () => {
    const good = { type: 'page_viewed', occurredAt: '2026-01-01T10:00:00Z', visitor: { visitorId: 'a1' } };
    const lines = [
      '{"type":',
      '[]',
      JSON.stringify({ ...good, ocurredAt: 1 }),
      JSON.stringify({ ...good, visitor: { userId: 'a', visitorId: 'b' } }),
      JSON.stringify({ ...good, occurredAt: 'yesterday' }),
      JSON.stringify({ ...good, source: 'till' }),
    ];
    const rows = (await rowsOf(fileOf('log.ndjson', lines.join('\n')), ndjson)) as BadRow[];
    expect(rows.map((row) => row.message)).toEqual([
      expect.stringContaining('not JSON'),
      'expected an object',
      'ocurredAt is not a member of an event; did you mean occurredAt?',
      'expected visitor: {"userId": "…"} or {"visitorId": "…"}',
      'expected occurredAt: a time like 2026-11-23T20:15:00Z',
      'expected source and sequence, both or neither',
    ]);
  });
});

describe('lines of an otto file', () => {
  const event = (aid: unknown, ts: unknown, type: unknown) => ({ aid, ts, type });
  const day = Date.UTC(2022, 7, 1);
  const file = (...sessions: readonly (object | string)[]) =>
    fileOf('train.jsonl', sessions.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join('\n'));
  const bought = () =>
    file(
      {
        session: 4,
        events: [
          event(7, day, 'clicks'),
          event(7, day + 10, 'carts'),
          event(7, day + 20, 'orders'),
          event(8, day + 20, 'orders'),
          event(7, day + 20, 'orders'),
          event(8, day + 21, 'orders'),
        ],
      },
      { session: 5, events: [] },
      { session: 6, events: [event(7, day + 5, 'clicks')] },
    );
  const propertiesOf = (rows: readonly (Row | BadRow)[]) =>
    rows.map((row) => (row.kind === 'row' ? row.event.properties : row.message));

  it('are all that one visitor did, and what was ordered at one moment is one order', async () => {
    const rows = (await rowsOf(bought(), otto('zero'))) as Row[];
    expect(
      rows.map(({ number, visitor, at, event }) => [number, visitor, at - day, event.type, event.sequence]),
    ).toEqual([
      [1, 'u:4', 0, 'product_viewed', 1],
      [2, 'u:4', 10, 'cart_item_added', 2],
      [3, 'u:4', 20, 'order_completed', 3],
      [4, 'u:4', 21, 'order_completed', 4],
      [5, 'u:6', 5, 'product_viewed', 1],
    ]);
    expect(rows[1]!.event).toMatchObject({ occurredAt: '2022-08-01T00:00:00.010Z', visitor: { userId: '4' } });
    expect(propertiesOf(rows).slice(1, 3)).toMatchObject([
      { productId: '7', quantity: 1, price: 0 },
      {
        lines: [
          { productId: '7', quantity: 2, price: 0 },
          { productId: '8', quantity: 1, price: 0 },
        ],
      },
    ]);
    const orders = rows.slice(2, 4).map(({ event }) => event.properties!['orderId']);
    expect(new Set([...orders, ...rows.map(({ event }) => event.id)]).size).toBe(2 + 5);
    const path = bought();
    const facts = await readFacts(path);
    expect([facts.lines, await countRows(path, otto('zero'), facts)]).toEqual([3, 5]);
  });

  it("leave prices out where they are to be the catalog's", async () => {
    const rows = await rowsOf(bought(), otto('catalog'));
    expect(propertiesOf(rows).slice(1, 3)).toEqual([
      { productId: '7', quantity: 1 },
      {
        orderId: expect.any(String),
        lines: [
          { productId: '7', quantity: 2 },
          { productId: '8', quantity: 1 },
        ],
      },
    ]);
  });

  it('tell a catalog of all products, whose prices are still to be written', async () => {
    const catalog = new DerivedCatalog();
    for (const row of await rowsOf(bought(), otto('zero'))) {
      if (row.kind === 'row') for (const product of row.products!) catalog.add(product);
    }
    expect(parseYaml(catalog.toYaml())).toEqual({
      catalog: { 7: { name: 'Product 7', price: 0 }, 8: { name: 'Product 8', price: 0 } },
    });
  });

  it('make more than one order of more lines than an order may have', async () => {
    const events = Array.from({ length: 201 }, (_, aid) => event(aid, day, 'orders'));
    const rows = await rowsOf(file({ session: 1, events: [...events, event(200, day, 'orders')] }), otto('zero'));
    expect(rows.map((row) => (row as Row).event.properties!['lines'])).toMatchObject([
      { length: 200 },
      [{ productId: '200', quantity: 2 }],
    ]);
  });

  it('that are no events say what came, and the rest goes on', async () => {
    const wrong = file(
      '{"session":',
      { session: 'a', events: [] },
      {
        session: 1,
        events: [event('7', day, 'clicks'), event(7, '1', 'clicks'), event(7, day, 'looks'), event(7, day, 'clicks')],
      },
    );
    const rows = await rowsOf(wrong, otto('zero'));
    expect(rows.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(propertiesOf(rows)).toEqual([
      expect.stringContaining('not JSON'),
      'expected {"session": a number, "events": [{"aid": …, "ts": …, "type": …}, …]}',
      'aid is "7"; expected the number of a product',
      'ts is "1"; expected milliseconds since 1970',
      'type is "looks"; expected clicks, carts or orders',
      { productId: '7' },
    ]);
  });
});

describe('names of rows', () => {
  it('are UUIDs of version 5', () => {
    // RFC 9562, appendix A.4: the DNS name space and www.example.com.
    const dns = Buffer.from('6ba7b8109dad11d180b400c04fd430c8', 'hex');
    expect(uuidV5(dns, 'www.example.com')).toBe('2ed6657d-e927-568b-95e1-2665a8aea6a2');
  });
});

describe('fields of a line of CSV', () => {
  it.each([
    ['a,b,,c', ['a', 'b', '', 'c']],
    ['', ['']],
    ['"a,b",c', ['a,b', 'c']],
    ['x,"say ""hi""",', ['x', 'say "hi"', '']],
    ['"",y', ['', 'y']],
    ['"open,y', null],
    ['"a"b,c', null],
  ])('%s → %j', (line, fields) => {
    expect(csvFields(line)).toEqual(fields);
  });
});
