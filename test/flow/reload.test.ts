import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describePair } from '../support/pair.ts';
import { startWhole } from '../support/startWhole.ts';
import { flowPlaybook, lookedAt, Shopper } from './shopper.ts';

/** A gateway without a worker asks for the active playbook every 2 s. */
const timeout = 15_000;

describePair('a playbook that changes while Usher runs', () => {
  it('decides slots anew, brings its event types to every gateway, and stays the last good one when it is broken', async () => {
    const playbook = await mkdtemp(join(tmpdir(), 'usher-playbook-'));
    await cp(flowPlaybook, playbook, { recursive: true });
    const file = join(playbook, 'playbook.yaml');
    const first = await readFile(file, 'utf8');
    await using usher = await startWhole({ playbook });
    const shopper = new Shopper(usher);
    await shopper.view('p_1', 10_000);
    const before = await shopper.slot('last_look');
    expect(before.content.data.title).toBe(lookedAt('p_1'));

    await writeFile(file, first.replace('fallback: nothing_yet', 'fallback: nothing_ye'));
    const mistakes = async () => (await usher.reload()).filter(({ severity }) => severity === 'error').length;
    expect(await mistakes()).toBe(1);
    expect((await shopper.view('p_2', 10_000)).slots[0]!.content.data.title).toBe(lookedAt('p_2'));

    const changed = first
      .replace('content: last_look }', 'content: plain }')
      .replace('rules:', 'events: { tent_pitched: { name: Tent pitched, says: pitched a tent } }\n\nrules:');
    await writeFile(file, changed);
    expect(await mistakes()).toBe(0);
    await expect.poll(() => shopper.slot('last_look'), { timeout }).toMatchObject({ content: { id: 'plain' } });
    // The other gateway may still answer by the playbook before.
    await expect
      .poll(async () => (await shopper.slot('last_look')).why.playbookVersion, { timeout })
      .not.toBe(before.why.playbookVersion);
    for (const _gateway of usher.urls) {
      const pitched = 'mutation { trackEvent(input: { type: "tent_pitched" }) { outcome { status } } }';
      await expect
        .poll(async () => (await usher.query(pitched, {}, shopper.token)).data?.trackEvent.outcome.status, { timeout })
        .toBe('ACCEPTED');
    }
    expect((await shopper.known()).counts['failed']).toBe(0);
    await rm(playbook, { recursive: true });
  }, 120_000);
});
