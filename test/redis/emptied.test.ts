import { describe, expect, it } from 'vitest';
import { flowPlaybook, lookedAt, Shopper } from '../flow/shopper.ts';
import { removeNamespace, whyNoEngines } from '../support/engines.ts';
import { startWhole } from '../support/startWhole.ts';

const reason = await whyNoEngines();

describe.skipIf(reason !== null)(reason === null ? 'a Redis that lost everything' : `skipped: ${reason}`, () => {
  it('has all of it again, folded from the log, while the cluster runs and when it starts', async () => {
    await using usher = await startWhole({ playbook: flowPlaybook });
    const shoppers = Array.from({ length: 10 }, () => new Shopper(usher));
    for (const productId of ['p_1', 'p_2', 'p_3']) {
      await Promise.all(shoppers.map((shopper) => shopper.view(productId)));
    }
    const known = () => Promise.all(shoppers.map((shopper) => shopper.known()));
    const before = await known();
    expect(before[0]).toMatchObject({ counts: { folded: 3 }, traits: { looks: ['p_3', 'p_2', 'p_1'] } });

    const { redisUrl, namespace } = usher.config;
    await removeNamespace({ redisUrl: redisUrl! }, namespace);
    await expect.poll(known, { timeout: 20_000 }).toEqual(before);
    // It goes on as if nothing had been.
    expect((await shoppers[0]!.view('p_4', 10_000)).slots[0]!.content.data.title).toBe(lookedAt('p_4'));

    const now = await known();
    await usher.stop();
    await removeNamespace({ redisUrl: redisUrl! }, namespace);
    await using restarted = await usher.restart();
    expect(await Promise.all(shoppers.map((shopper) => shopper.at(restarted).known()))).toEqual(now);
  }, 120_000);
});
