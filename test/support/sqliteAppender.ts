import { argv, stdout } from 'node:process';
import { sqliteLog } from '../../src/log/sqliteLog.ts';
import { localBroadcast } from '../../src/push/localBroadcast.ts';
import { openSqlite } from '../../src/sqlite/sqlite.ts';
import { sqliteStore } from '../../src/state/sqliteStore.ts';
import { commitAfter, write } from '../contract/commits.ts';

/**
 * A process to be killed: appends and commits to the folder of its first argument without an end, and prints a line for what was
 * acknowledged, after it was: `append shard offset value` or `commit position`.
 */
const file = await openSqlite({
  folder: argv[2]!,
  shards: 4,
  appendDeadlineMs: 10_000,
  retention: { ageMs: 1e12, bytes: 1e12 },
});
const log = sqliteLog(file);
const store = sqliteStore(file, localBroadcast());

async function append(caller: number): Promise<never> {
  for (let n = 0; ; n++) {
    const entries = Array.from({ length: 4 }, (_, shard) => ({
      shard,
      key: `u:${caller}`,
      value: `${caller}.${n}.${shard}`,
    }));
    const outcomes = await log.append(entries);
    const lines = outcomes.map((outcome, shard) =>
      outcome.ok ? `append ${shard} ${outcome.offset} ${caller}.${n}.${shard}\n` : '',
    );
    stdout.write(lines.join(''));
  }
}

async function commit(): Promise<never> {
  let meta = await store.own(0, 'owner', 4);
  for (;;) {
    const next = commitAfter(meta, {
      visitors: [write('u:a', String(meta.position + 1)), write('u:b', String(meta.position + 1))],
    });
    if ((await store.commit(next)) !== 'DONE') throw new Error('the only owner was fenced');
    meta = next.meta;
    stdout.write(`commit ${meta.position}\n`);
  }
}

await Promise.all([commit(), ...Array.from({ length: 8 }, (_, caller) => append(caller))]);
