import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { readFacts, readRows } from '../../src/cli/replay/file.ts';
import { rees46 } from '../../src/cli/replay/rees46.ts';
import type { ReplayReport } from '../../src/cli/replay/report.ts';
import { recordedIo } from '../support/cliIo.ts';
import { askOracle } from '../support/oracle.ts';
import { describeWithSample, rees46Sample } from '../support/samples.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

const rows = 17_434;
const visitors = 4_504;

describeWithSample('a replay of three hours of a real shop at full speed', rees46Sample, (file) => {
  let usher: TestUsher;
  let report: ReplayReport;
  let access: { url: string; key: string };

  beforeAll(async () => {
    usher = await startTestUsher();
    access = { url: usher.url, key: usher.devKey! };
    report = await replay();
  }, 120_000);
  afterAll(() => usher[Symbol.asyncDispose]());

  async function replay(): Promise<ReplayReport> {
    const io = recordedIo();
    const args = [
      'replay',
      file,
      '--speed',
      'max',
      '--finish',
      '30m',
      '--json',
      '--url',
      access.url,
      '--key',
      access.key,
    ];
    // How far it is, is told every few seconds.
    const told = () => io.errLines.filter((line) => !/^\d+ %/.test(line));
    expect([await runCli(args, io), told()]).toEqual([0, []]);
    return JSON.parse(io.outLines.join('\n'));
  }

  it('is accepted and folded row by row, nothing refused, late or failed', () => {
    expect(report).toMatchObject({ rows, sent: rows, accepted: rows, refused: {}, visitors });
    expect(report.fold).toMatchObject({
      folded: rows,
      duplicate: 0,
      held: 0,
      late: 0,
      failed: 0,
      beyondWindow: 0,
      visitors,
    });
    expect(report.fold.rulesFired).toBeGreaterThan(0);
    expect(report.finishedTo).toBe('2019-10-01T03:20:00.000Z');
  });

  it('leaves every visitor as an independent reading of the file has it', async () => {
    const {
      mismatches,
      visitors: compared,
      output,
    } = await askOracle(file, access, '--finished-to', report.finishedTo!);
    expect(output).toContain('mismatches 0');
    expect([mismatches, compared]).toEqual([0, visitors]);
  });

  it('is told apart from a file with one row less, one row twice, or another price', async () => {
    const picked = await rowsToChange(file);
    for (const change of [
      ['--remove', picked.view],
      ['--double', picked.view],
      ['--double', picked.purchase],
      ['--remove', picked.openCart],
      ['--reprice', picked.openCart],
      ['--reprice', picked.purchase],
    ] as const) {
      const { mismatches, output } = await askOracle(file, access, change[0], String(change[1]));
      expect(mismatches, `${change.join(' ')}\n${output}`).toBeGreaterThan(0);
    }
  });

  it('changes nothing when it is run again: every row is a duplicate', async () => {
    const before = await everyVisitor(usher);
    const again = await replay();
    expect(again).toMatchObject({ accepted: rows });
    expect(again.fold).toMatchObject({
      folded: 0,
      duplicate: rows,
      held: 0,
      failed: 0,
      slotChanges: 0,
      rulesFired: 0,
      visitors: 0,
    });
    expect(await everyVisitor(usher)).toEqual(before);
  });
});

/** A view, a purchase, and a cart row that no purchase of that visitor follows. */
async function rowsToChange(file: string): Promise<{ view: number; purchase: number; openCart: number }> {
  const picked = { view: 0, purchase: 0, openCart: 0 };
  const carts = new Map<string, number>();
  for await (const row of readRows(file, rees46, await readFacts(file))) {
    if (row.kind === 'bad') throw new Error(row.message);
    if (row.event.type === 'product_viewed') picked.view = row.number;
    else if (row.event.type === 'cart_item_added') carts.set(row.visitor, row.number);
    else {
      picked.purchase = row.number;
      carts.delete(row.visitor);
    }
  }
  picked.openCart = [...carts.values()][0]!;
  return picked;
}

/** All that GraphQL tells of all visitors, without the count of duplicates. */
async function everyVisitor(usher: TestUsher): Promise<object[]> {
  const query = `query($shard: Int!, $after: ID) { visitors(shard: $shard, after: $after, first: 200) { end visitors {
    id visitor session traits cart { id value lines { productId quantity price } }
    counts { folded late held skipped beyondWindow failed sessions } slots { name version source content { id } }
  } } }`;
  const all: object[] = [];
  for (let shard = 0; shard < usher.config.shards; shard++) {
    for (let after: string | null = null; ; ) {
      const { data, errors } = await usher.query(query, { shard, after }, usher.devKey!);
      if (errors !== undefined) throw new Error(errors[0]!.message);
      all.push(...data.visitors.visitors);
      after = data.visitors.end;
      if (after === null) break;
    }
  }
  return all;
}
