import { setTimeout as sleep } from 'node:timers/promises';
import { UsherError } from '../errors.ts';
import { clientOptions, connect, type GraphqlClient } from './client.ts';
import type { CliIo, Command } from './command.ts';

interface ShardAnswer {
  readonly shard: number;
  readonly rebuilding: boolean;
  readonly position: number;
  readonly end: number;
}
const question = '{ status { shards { shard rebuilding position end } } }';
const order = 'mutation ($shards: [Int!]!) { rebuildShards(input: { shards: $shards }) { shards } }';
const lookEveryMs = 500;

export const rebuild: Command = {
  name: 'rebuild',
  summary: 'Make the state of shards anew, from the newest snapshot and the log',
  positionals: [],
  options: {
    shard: { type: 'string', value: 'N|all', help: 'Which; `usher topology --shards` lists them' },
    ...clientOptions,
  },
  epilogue:
    'Until a shard is whole, its visitors get what was last known of them, or fallbacks. Events are taken all the while. Ends when all are whole.',
  async run(args, io) {
    const which = args.options['shard'];
    const client = connect(args, io);
    try {
      const shards = await chosen(client, which, io);
      await client.need(order, { shards }, io.signal);
      await untilWhole(client, shards, io);
    } finally {
      client.close();
    }
    return 0;
  },
};

/** There is no default: what takes visitors back to fallbacks is asked for by name. */
async function chosen(client: GraphqlClient, which: unknown, io: CliIo): Promise<readonly number[]> {
  if (which === 'all') return (await readShards(client, io)).map(({ shard }) => shard);
  if (typeof which === 'string' && /^\d+$/.test(which)) return [Number(which)];
  throw new UsherError(
    'COMMAND_FAILED',
    `expected --shard N, or --shard all${which === undefined ? '' : `; got ${String(which)}`}`,
  );
}

async function untilWhole(client: GraphqlClient, shards: readonly number[], io: CliIo): Promise<void> {
  const wanted = new Set(shards);
  for (;;) {
    const open = (await readShards(client, io)).filter(({ shard, rebuilding }) => rebuilding && wanted.has(shard));
    const whole = `${wanted.size - open.length} of ${wanted.size} shards are whole`;
    if (open.length === 0) return io.out(whole);
    const { shard, position, end } = open[0]!;
    const at = `${whole}; shard ${shard} is at ${position} of ${end}`;
    if (io.isTTY) io.raw(`\r${at.padEnd(70)}`);
    await sleep(lookEveryMs, undefined, { signal: io.signal });
    if (io.isTTY) io.raw(`\r${' '.repeat(70)}\r`);
  }
}

async function readShards(client: GraphqlClient, io: CliIo): Promise<readonly ShardAnswer[]> {
  return (await client.need<{ status: { shards: ShardAnswer[] } }>(question, {}, io.signal)).status.shards;
}
