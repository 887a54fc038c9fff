import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeVisitor } from '../../src/model/codec.ts';
import { Bundles } from '../../src/playbook/bundles.ts';
import type { EventRecord } from '../brute/arrivals.ts';
import { difference, snapshotOf } from '../brute/compare.ts';
import { type History, historyOf } from '../brute/history.ts';
import { type Logged, VisitorModel } from '../brute/model.ts';
import { products, shop, shopText } from '../brute/shop.ts';
import { describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';
import type { StoppedEngines } from '../support/stoppedEngines.ts';

const hour = 3_600_000;
const seeds = [1, 2, 3, 4];

describePair('visitors of the shop of test/brute', () => {
  let playbook: string;
  beforeAll(async () => {
    playbook = await mkdtemp(join(tmpdir(), 'usher-brute-'));
    await writeFile(join(playbook, 'playbook.yaml'), shopText);
    const lines = products.map(
      ({ id, category, brand, price }) =>
        `  ${id}: { name: ${id}, category: ${category}, brand: ${brand}, price: ${price / 100} }`,
    );
    await writeFile(join(playbook, 'products.yaml'), `catalog:\n${lines.join('\n')}\n`);
  });
  afterAll(() => rm(playbook, { recursive: true }));

  it('are what a look at the whole log says', async () => {
    await using usher = await startWhole({ shards: 3, playbook });
    // All of it happened today, so a visit token may tell it, and is over, so nothing waits for the clock.
    const beginning = Date.now() - 12 * hour;
    for (const seed of seeds) await send(usher, seed, historyOf(seed, beginning));
    await usher.caughtUp();
    await usher.stop();
    const left = await usher.openStopped();
    try {
      const { compared, steps } = await compareState(left);
      expect(compared).toBe(seeds.reduce((sum, seed) => sum + historyOf(seed).visitors.length, 0));
      // Steps in which a rule ran or a segment changed.
      expect(steps).toBeGreaterThan(100);
    } finally {
      await left.close();
    }
  }, 240_000);
});

/** What one visitor did between two advances goes in one call, so it comes into the log in its order. */
async function send(usher: WholeUsher, seed: number, { visitors, log }: History): Promise<void> {
  const waiting = new Map<string, object[]>(visitors.map((visitor) => [visitor, []]));
  const flush = async () => {
    for (const [visitor, events] of waiting) {
      if (events.length > 0) await track(usher, seed, visitor, events.splice(0));
    }
  };
  for (const { stamp, value } of log) {
    if (value.kind === 'event') waiting.get(value.visitor)!.push(inputOf(seed, stamp, value));
    else if (value.kind === 'advance') {
      await flush();
      const document = 'mutation ($to: DateTime!) { advance(input: { to: $to }) { cursors } }';
      const { errors } = await usher.query(document, { to: new Date(value.to).toISOString() }, usher.devKey!);
      expect(errors).toBeUndefined();
    }
  }
  await flush();
}

async function track(usher: WholeUsher, seed: number, visitor: string, events: readonly object[]): Promise<void> {
  const name = `${seed}-${visitor}`;
  // What a key tells of the past with a number is imported; a visitor of their own is live.
  const isImported = visitor.startsWith('imported');
  const input = { events: isImported ? events.map((event) => ({ ...event, visitor: { userId: name } })) : events };
  const document = 'mutation ($input: TrackEventsInput!) { trackEvents(input: $input) { accepted } }';
  const { data, errors } = await usher.query(document, { input }, isImported ? usher.devKey! : `dev:${name}`);
  expect([errors, data?.trackEvents.accepted]).toEqual([undefined, events.length]);
}

function inputOf(seed: number, stamp: number, record: EventRecord): object {
  const { id, type, properties, at = stamp, source, sequence, context } = record;
  const number = (seed * 1_000_000 + Number(id.slice(1))).toString(16).padStart(12, '0');
  return {
    id: `00000000-0000-4000-8000-${number}`,
    type,
    properties,
    occurredAt: new Date(at).toISOString(),
    ...(source === undefined ? {} : { source, sequence }),
    ...(context === undefined ? {} : { context }),
  };
}

/** Each shard's log, as it came to be, through the model; each visitor of it as the store has it. */
async function compareState({ shards, store, openLog }: StoppedEngines): Promise<{ compared: number; steps: number }> {
  const log = await openLog();
  const bundles = new Bundles((hash) => store.readBundle(hash));
  let compared = 0;
  let steps = 0;
  for (let shard = 0; shard < shards; shard++) {
    const meta = (await store.readMeta(shard))!;
    const active = await bundles.load(meta.active!.playbook, meta.active!.catalog);
    const records: Logged[] = [];
    for (let offset = 0; offset < meta.position; offset++) {
      const record = await log.readAt(shard, offset);
      if (record !== null) records.push({ stamp: record.stamp, value: JSON.parse(record.value) });
    }
    const ids = await store.listVisitors(shard, null, 1_000);
    const { profiles } = await store.load(shard, ids);
    ids.forEach((id, i) => {
      const model = new VisitorModel(shop, id);
      for (const record of records) model.take(record);
      const stored = decodeVisitor(profiles[i]!.profile, profiles[i]!.slots);
      expect(difference(id, model.snapshot(), snapshotOf(stored, active))).toBeNull();
      compared++;
      steps += model.lines.length;
    });
  }
  return { compared, steps };
}
