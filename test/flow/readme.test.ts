import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describePair } from '../support/pair.ts';
import { startWhole } from '../support/startWhole.ts';

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

describePair('the first result of the README', () => {
  it('is answered as the README says, and the same after a stop and a start', async () => {
    const body = /-d '(\{[\s\S]*?\})'\n```/.exec(readme)?.[1];
    const shown = /```json\n([\s\S]*?)```/.exec(readme)?.[1];
    expect(body).toBeDefined();
    expect(shown).toBeDefined();
    await using usher = await startWhole();
    const { query } = JSON.parse(body!.replace(/\n/g, ' ')) as { query: string };
    // The first of all calls finds cold code and connections, and may take longer than it waits for.
    await usher.query(query, {}, 'dev:warm-up');
    expect(await usher.query(query)).toEqual(JSON.parse(shown!));

    const again =
      '{ personalizedSlots(names: ["product_upsell"]) { source version content { id data } why { sentence } } }';
    const before = await usher.query(again);
    expect(before.data.personalizedSlots[0].source).toBe('RULE');
    await usher.stop();
    await using restarted = await usher.restart();
    expect(await restarted.query(again)).toEqual(before);
  }, 120_000);
});
