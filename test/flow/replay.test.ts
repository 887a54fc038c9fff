import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import type { ReplayReport } from '../../src/cli/replay/report.ts';
import { recordedIo } from '../support/cliIo.ts';
import { describePair } from '../support/pair.ts';
import { startWhole } from '../support/startWhole.ts';

const start = Date.UTC(2026, 0, 10, 8);
const visitors = 30;

/** Rounds of everybody looking at one more product, a minute apart, and one line that no tracking plan takes. */
const lines = Array.from({ length: 10 }, (_, round) =>
  Array.from({ length: visitors }, (_, n) => ({
    type: 'product_viewed',
    properties: { productId: `p_${String(round + 1).padStart(3, '0')}` },
    occurredAt: new Date(start + round * 60_000).toISOString(),
    visitor: { userId: `replayed-${n}` },
  })),
).flat();
const wrong = { ...lines[0], type: 'product_viewd' };

describePair('usher replay', () => {
  it('folds every row of a file once, also when the file is replayed again', async () => {
    await using usher = await startWhole();
    const folder = await mkdtemp(join(tmpdir(), 'usher-replay-'));
    const file = join(folder, 'rows.ndjson');
    await writeFile(file, [...lines, wrong].map((line) => JSON.stringify(line)).join('\n'));
    const replay = async (): Promise<ReplayReport> => {
      const io = recordedIo();
      const args = ['replay', file, '--finish', '30m', '--json', '--url', usher.url, '--key', usher.devKey!];
      expect(await runCli(args, io), io.errLines.join('\n')).toBe(0);
      return JSON.parse(io.outLines.join('\n'));
    };
    expect(await replay()).toMatchObject({
      rows: lines.length + 1,
      accepted: lines.length,
      refused: { EVENT_TYPE_UNKNOWN: 1 },
      fold: { folded: lines.length, duplicate: 0, failed: 0, visitors },
    });
    const known = async () => {
      const document = `query ($ref: VisitorRef) { visitor(ref: $ref) { session visitor counts { folded sessions } } }`;
      const refs = Array.from({ length: visitors }, (_, n) => ({ userId: `replayed-${n}` }));
      const answers = await Promise.all(refs.map((ref) => usher.query(document, { ref }, usher.devKey!)));
      return answers.map(({ data }) => data.visitor);
    };
    const first = await known();
    for (const visitor of first) expect(visitor).toMatchObject({ session: null, counts: { folded: 10, sessions: 1 } });
    expect((await replay()).accepted).toBe(lines.length);
    expect(await known()).toEqual(first);
    await rm(folder, { recursive: true });
  }, 120_000);
});
