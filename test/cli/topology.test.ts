import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { topologySteps } from '../../src/model/topology.ts';
import { bundleKey, keysOf } from '../../src/redis/keys.ts';
import { recordedIo } from '../support/cliIo.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';

describe('usher topology', () => {
  let usher: TestUsher;
  beforeAll(async () => {
    usher = await startTestUsher({ shards: 3 });
  });
  afterAll(() => usher[Symbol.asyncDispose]());

  async function run(env: Record<string, string>, ...words: string[]): Promise<string> {
    const io = recordedIo({ env });
    expect([
      await runCli(['topology', ...words, '--url', usher.url, '--data', usher.config.data], io),
      io.errLines,
    ]).toEqual([0, []]);
    return io.outLines.join('\n');
  }

  it('prints the steps with the names of this cluster, and who has which shard', async () => {
    const out = await run({ USHER_NAMESPACE: 'shop' });
    expect(out).toContain('writes shop.g1.events');
    expect(out).not.toContain('NAMESPACE');
    expect(out).toContain(`${hostname()}:0: 3 shards, 0 records behind`);
    expect(out).toMatch(/shard 2 {4}at \d+ of \d+ {2}epoch 1 {2}playbook [0-9a-f]{16}/);
  });

  it('prints one JSON object for programs', async () => {
    const { steps, shards } = JSON.parse(await run({}, '--json')) as { steps: unknown[]; shards: { owner: string }[] };
    expect(steps).toHaveLength(topologySteps.length);
    expect(shards.map(({ owner }) => owner)).toEqual(Array(3).fill(`${hostname()}:0`));
  });

  it('names every key that a shard has in Redis, and none that it has not', () => {
    const [keys] = keysOf('NAMESPACE', 1);
    const tag = /\{(\w+)\}/.exec(keys!.meta)![1]!;
    const written = Object.values(keys!).map((key) =>
      key.replace(`{${tag}}`, '{TAG}').replace(/:([vs]):$/, ':$1:VISITOR'),
    );
    const told = topologySteps
      .flatMap(({ reads, writes }) => [...reads, ...writes])
      .map((name) => name.replace('channel ', ''))
      .filter((name) => name.startsWith('NAMESPACE:g1:'));
    expect(new Set(told)).toEqual(new Set([...written, bundleKey('NAMESPACE', 'HASH')]));
  });
});
