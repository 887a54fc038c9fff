import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { recordedIo } from '../support/cliIo.ts';
import { describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import { flowPlaybook, lookedAt, Shopper } from './shopper.ts';

describePair('usher rebuild', () => {
  let usher: WholeUsher;
  beforeAll(async () => {
    usher = await startWhole({ playbook: flowPlaybook });
  }, 120_000);
  afterAll(() => usher?.[Symbol.asyncDispose]());

  async function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
    const io = recordedIo();
    const code = await runCli(['rebuild', ...words, '--url', usher.urls.at(-1)!, '--key', usher.devKey!], io);
    return { code, out: io.outLines.join('\n'), err: io.errLines.join('\n') };
  }

  it('makes the state anew while Usher runs, the same as before, under a new lineage, and folds on', async () => {
    const shoppers = Array.from({ length: 12 }, () => new Shopper(usher));
    await Promise.all(shoppers.map((shopper, i) => shopper.view(`p_${i}`)));
    const known = await Promise.all(shoppers.map((shopper) => shopper.known()));
    const before = await Promise.all(shoppers.map((shopper) => shopper.slot('last_look')));

    const { code, out, err } = await run('--shard', 'all');
    expect([code, err]).toEqual([0, '']);
    expect(out).toBe(`${usher.config.shards} of ${usher.config.shards} shards are whole`);

    expect(await Promise.all(shoppers.map((shopper) => shopper.known()))).toEqual(known);
    for (const [i, shopper] of shoppers.entries()) {
      const { cursor, ...slot } = await shopper.slot('last_look');
      const { cursor: cursorBefore, ...slotBefore } = before[i]!;
      expect(slot).toEqual(slotBefore);
      expect(cursor).not.toBe(cursorBefore);
      const [shown] = (await shopper.view('p_next', 5_000)).slots;
      expect(shown).toMatchObject({ stale: false, content: { data: { title: lookedAt('p_next') } } });
    }
  });

  it('asks which shard, and knows which there are', async () => {
    expect(await run()).toMatchObject({ code: 1, err: expect.stringContaining('expected --shard N, or --shard all') });
    const last = usher.config.shards - 1;
    expect(await run('--shard', '999')).toMatchObject({
      code: 1,
      err: expect.stringContaining(`there is no shard 999; this Usher has 0 to ${last}`),
    });
  });
});
