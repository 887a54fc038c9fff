import { resolve } from 'node:path';
import { isClustered, loadConfig } from '../config.ts';
import { topologySteps } from '../model/topology.ts';
import { clientOptions, connect } from './client.ts';
import type { CliIo, Command } from './command.ts';
import { printable, styleOf } from './style.ts';

interface ShardAnswer {
  readonly shard: number;
  readonly owner: string | null;
  readonly epoch: number;
  readonly position: number;
  readonly end: number;
  readonly lag: number;
  readonly playbookVersion: string | null;
}
const question = '{ status { shards { shard owner epoch position end lag playbookVersion } } }';

export const topology: Command = {
  name: 'topology',
  summary: 'Print the steps of an event, their topics and keys, and which worker has which shard',
  positionals: [],
  options: {
    shards: { type: 'boolean', help: 'Only the shards and their owners' },
    json: { type: 'boolean', help: 'All of it as one JSON object' },
    ...clientOptions,
  },
  async run(args, io) {
    const { config } = loadConfig({ env: io.env, file: { path: resolve(io.cwd, 'usher.yaml'), required: false } });
    const named = (name: string) => name.replaceAll('NAMESPACE', config.namespace);
    const steps = topologySteps.map(({ reads, writes, ...step }) => ({
      ...step,
      reads: reads.map(named),
      writes: writes.map(named),
    }));
    const client = connect(args, io);
    try {
      const { status } = await client.need<{ status: { shards: ShardAnswer[] } }>(question, {}, io.signal);
      if (args.options['json'] === true) io.out(JSON.stringify({ steps, shards: status.shards }));
      else {
        if (args.options['shards'] !== true) {
          const style = styleOf(io);
          if (!isClustered(config))
            io.out(style.dim('These are the names in a cluster; an embedded Usher keeps all in one file.\n'));
          for (const step of steps) {
            io.out(`${style.bold(step.name.padEnd(8))} ${step.role.padEnd(8)} ${step.does}`);
            for (const name of step.reads) io.out(style.dim(`           reads  ${name}`));
            for (const name of step.writes) io.out(style.dim(`           writes ${name}`));
          }
          io.out('');
        }
        printShards(status.shards, io);
      }
    } finally {
      client.close();
    }
    return 0;
  },
};

/** By owner, because that is the question at three in the morning. */
function printShards(shards: readonly ShardAnswer[], io: CliIo): void {
  const style = styleOf(io);
  for (const [owner, owned] of Map.groupBy(shards, (shard) => shard.owner)) {
    const lag = owned.reduce((sum, shard) => sum + shard.lag, 0);
    io.out(
      style.bold(`${owner === null ? 'nobody yet' : printable(owner)}: ${owned.length} shards, ${lag} records behind`),
    );
    for (const { shard, epoch, position, end, lag, playbookVersion } of owned) {
      const behind = lag === 0 ? '' : style.red(`  ${lag} behind`);
      io.out(
        `  shard ${String(shard).padEnd(4)} at ${position} of ${end}  epoch ${epoch}  playbook ${playbookVersion ?? '-'}${behind}`,
      );
    }
  }
}
