import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openRedis } from '../../src/redis/connection.ts';
import { redisStore } from '../../src/state/redisStore.ts';
import { redisSettings } from '../contract/redisSubjects.ts';
import { flowPlaybook, lookedAt, Shopper } from '../flow/shopper.ts';
import { removeNamespace, whyNoEngines } from '../support/engines.ts';
import { startWhole } from '../support/startWhole.ts';

const reason = await whyNoEngines();
const catalogPlaybook = join(import.meta.dirname, '..', 'flow', 'catalogPlaybook');

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

  it('has the imported products again, as the last snapshot had them', async () => {
    await using usher = await startWhole({ playbook: catalogPlaybook, catalogSnapshotSeconds: 1 });
    const put = (...products: readonly object[]) =>
      usher.query(
        'mutation ($products: [ProductInput!]!) { upsertProducts(input: { products: $products }) { outcomes { status } } }',
        { products },
        usher.devKey!,
      );
    await put({ id: 'kayak', name: 'Kayak', price: 900, stock: 1 }, { id: 'rope', name: 'Rope', price: 120, stock: 9 });
    const look = async () => {
      const shopper = new Shopper(usher);
      await shopper.view('kayak', 10_000);
      const slots = await Promise.all(['opinion', 'last_look'].map((name) => shopper.slot(name)));
      return slots.map(({ content }) => content.data.title);
    };
    const shown = ['Nearly gone', 'Kayak: 900.00, 1 left, in_stock'];
    await expect.poll(look, { timeout: 30_000 }).toEqual(shown);
    const { redisUrl, namespace, shards } = usher.config;
    await removeNamespace({ redisUrl: redisUrl! }, namespace);
    await expect.poll(look, { timeout: 60_000 }).toEqual(shown);
    // Not in the snapshot alone: a feed that is run again finds them there.
    const redis = await openRedis(redisSettings(redisUrl!, { namespace, shards }));
    try {
      const { products } = redisStore(redis);
      const isWhole = async () => !(await products.read(['rope', 'kayak'])).includes(null);
      await expect.poll(isWhole, { timeout: 30_000 }).toBe(true);
    } finally {
      await redis.close();
    }
  }, 180_000);
});
