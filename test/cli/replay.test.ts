import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import type { ReplayReport } from '../../src/cli/replay/report.ts';
import { recordedIo } from '../support/cliIo.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

let usher: TestUsher;
let folder: string;
beforeAll(async () => {
  usher = await startTestUsher({ secretKeys: [`${importKey}=import`] });
  folder = mkdtempSync(join(tmpdir(), 'usher-replay-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await usher[Symbol.asyncDispose]();
});

const importKey = 'usk_import_0123456789abcdef';
const here = () => ['--url', usher.url, '--key', usher.devKey!];
const start = Date.UTC(2026, 0, 10, 8);

function fileOf(name: string, lines: readonly (object | string)[]): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return path;
}

function view(user: string, second: number, productId = 'p_001'): object {
  return {
    type: 'product_viewed',
    properties: { productId },
    occurredAt: new Date(start + second * 1000).toISOString(),
    visitor: { userId: user },
  };
}

async function replay(...words: string[]): Promise<ReplayReport> {
  const io = recordedIo();
  expect([await runCli(['replay', ...words, '--json', ...here()], io), io.errLines]).toEqual([0, []]);
  return JSON.parse(io.outLines.join('\n'));
}

async function visitor(userId: string) {
  const query =
    'query($ref: VisitorRef) { visitor(ref: $ref) { visitor session cart { lines { productId quantity } } counts { folded held skipped failed sessions } } }';
  return (await usher.query(query, { ref: { userId } }, usher.devKey!)).data.visitor;
}

describe('usher replay of an ndjson file', () => {
  it('counts what is refused by reason and goes on, without waiting for the numbers that never come', async () => {
    const lines = [
      view('r1', 0),
      { ...view('r1', 1), type: 'product_viewd' },
      { ...view('r2', 2), properties: { productId: 17 } },
      'not json',
      view('r1', 3),
      view('r2', 4),
    ];
    const report = await replay(fileOf('refused.ndjson', lines), '--batch', '1', '--in-flight', '1');
    expect(report).toMatchObject({
      rows: 6,
      sent: 5,
      accepted: 3,
      refused: { EVENT_TYPE_UNKNOWN: 1, EVENT_INVALID: 1, ROW_UNREADABLE: 1 },
      visitors: 2,
    });
    expect(report.fold).toMatchObject({ folded: 3, held: 0, skipped: 2 });
    expect(report.examples.map(({ row }) => row).sort()).toEqual([2, 3, 4]);
    expect((await visitor('r1')).counts).toMatchObject({ folded: 2, skipped: 1 });
  });

  it('says how many were accepted and could not be folded', async () => {
    const add = {
      ...view('f1', 0),
      type: 'cart_item_added',
      properties: { productId: 'nowhere_to_be_found', quantity: 1 },
    };
    const io = recordedIo();
    expect(await runCli(['replay', fileOf('failed.ndjson', [add, view('f1', 1)]), ...here()], io)).toBe(0);
    expect(io.outLines.join('\n')).toMatch(/^folded +1; 1 failed \(usher failed list\)$/m);
    expect((await visitor('f1')).counts).toMatchObject({ folded: 1, failed: 1 });
  });

  it('ends sessions by the time of the file with --finish, and by nothing else', async () => {
    const lines = [view('s1', 0), view('s1', 3_600), view('s2', 3_600)];
    const path = fileOf('sessions.ndjson', lines);
    await replay(path);
    expect((await visitor('s1')).counts.sessions).toBe(2);
    expect((await visitor('s1')).session).not.toBeNull();
    const finished = await replay(path, '--finish', '30m');
    expect(finished.finishedTo).toBe('2026-01-10T09:30:00.000Z');
    expect((await visitor('s1')).session).toBeNull();
    expect((await visitor('s2')).session).toBeNull();
  });

  it('keeps the pace of the file at --speed N', async () => {
    // Ten seconds of the file in half a second.
    const report = await replay(
      fileOf('paced.ndjson', [view('t1', 0), view('t1', 4), view('t2', 10)]),
      '--speed',
      '20',
    );
    expect(report.seconds.sending).toBeGreaterThanOrEqual(0.49);
  });

  it('stops when it is asked to and says how to go on', async () => {
    const stop = new AbortController();
    const io = recordedIo({ signal: stop.signal });
    const path = fileOf('stopped.ndjson', [view('u1', 0), view('u1', 3_600)]);
    const ended = runCli(['replay', path, '--speed', '1', ...here()], io);
    while (((await visitor('u1'))?.counts.folded ?? 0) === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    stop.abort('SIGINT');
    expect(await ended).toBe(1);
    expect(io.errLines.join('\n')).toContain('stopped after 1 of 2 rows; the same command goes on from there');
    expect((await replay(path)).fold).toMatchObject({ folded: 1, duplicate: 1 });
  });

  it('draws its progress on a terminal and clears it', async () => {
    const io = recordedIo({ isTTY: true });
    const path = fileOf('bar.ndjson', [view('w1', 0), view('w1', 1)]);
    expect(await runCli(['replay', path, '--speed', '2', ...here()], io)).toBe(0);
    expect(io.errLines.join('')).toContain('of 2 rows');
    expect(io.errLines.at(-1)).toBe('\r\u001b[2K');
    expect(io.outLines.join('\n')).toMatch(/^accepted +2$/m);
  });

  it('needs a key that may import, and nothing more', async () => {
    const path = fileOf('keyless.ndjson', [view('x1', 0)]);
    expect(await runCli(['replay', path, '--finish', '--url', usher.url, '--key', importKey], recordedIo())).toBe(0);
    expect((await visitor('x1')).counts.folded).toBe(1);
    const io = recordedIo();
    expect(await runCli(['replay', path, '--url', usher.url, '--key', 'usk_nobodys'], io)).toBe(1);
    expect(io.errLines.join('\n')).toContain('TOKEN_INVALID');
  });
});

describe('usher replay of an otto file', () => {
  const session = (id: number, ...types: readonly string[]) => ({
    session: id,
    events: types.map((type, i) => ({ aid: 900 + i, ts: start + i * 1_000, type })),
  });
  const facts = async (userId: string) => {
    const query =
      'query($ref: VisitorRef) { visitor(ref: $ref) { visitor cart { value lines { productId price } } counts { folded failed } } }';
    return (await usher.query(query, { ref: { userId } }, usher.devKey!)).data.visitor;
  };

  it('counts its events, and takes nothing for everything', async () => {
    const path = fileOf('train.jsonl', [session(801, 'clicks', 'carts', 'orders', 'carts'), session(802, 'clicks')]);
    const report = await replay(path, '--format', 'otto', '--finish', '30m');
    expect(report).toMatchObject({ rows: 5, sent: 5, accepted: 5, visitors: 2, fold: { folded: 5, failed: 0 } });
    expect(report.finishedTo).toBe('2026-01-10T08:30:03.000Z');
    expect(await facts('801')).toMatchObject({
      visitor: { productViews: 1, orders: 1, lifetimeValue: 0 },
      cart: { value: 0, lines: [{ productId: '903', price: 0 }] },
    });
  });

  it("has the catalog's prices if it is asked to, and then needs the catalog to have them", async () => {
    const path = fileOf('priced.jsonl', [session(803, 'clicks', 'carts', 'orders')]);
    const report = await replay(path, '--format', 'otto', '--catalog-prices');
    expect(report).toMatchObject({ accepted: 3, fold: { folded: 1, failed: 2 } });
    expect((await facts('803')).counts).toEqual({ folded: 1, failed: 2 });
  });

  it.each([
    [['--format', 'otto', '--speed', '60'], /the lines of otto are visitors one after the other.*expected max/],
    [['--format', 'rees46', '--catalog-prices'], /--catalog-prices is for otto; rees46 tells prices itself/],
    [['--format', 'ottto'], /--format is ottto; expected rees46, otto or ndjson/],
  ])('is refused with %j', async (words, message) => {
    const io = recordedIo();
    const path = fileOf('refused.jsonl', [session(804, 'clicks')]);
    expect(await runCli(['replay', path, ...words, ...here()], io)).toBe(1);
    expect(io.errLines.join('\n')).toMatch(message);
  });
});
