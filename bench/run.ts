import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { clusterBench } from './clusterBench.ts';
import { conditions, printConditions } from './conditions.ts';
import { ingest, printIngest } from './ingest.ts';
import { loop, printLoop } from './loop.ts';
import { printSlots, slots } from './slots.ts';

/** `npm run bench [-- --quick]`: every figure of docs/performance.md. Results are kept in bench/results, one file a version. */
if (spawnSync('taskset', ['-cp', '1', String(process.pid)]).status !== 0) {
  console.log('one core for server and load: figures are lower than with two');
}
const quick = process.argv.includes('--quick');
console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}${quick ? ', quick' : ''}`);

const loopResult = await loop(500, quick ? 5 : 20, quick ? 1 : 3);
printLoop(loopResult);
const ingestResult = await ingest(quick ? 3 : 6, quick ? 1 : 3);
printIngest(ingestResult);
const slotsResult = await slots(quick ? 3 : 6, quick ? 1 : 3);
printSlots(slotsResult);
const conditionsResult = conditions();
printConditions(conditionsResult);
const clusterResult = await clusterBench(quick);

if (!quick) {
  const file = join(import.meta.dirname, 'results', `${process.env['npm_package_version'] ?? 'unversioned'}.json`);
  writeFileSync(
    file,
    `${JSON.stringify({ node: process.version, cpu: cpus()[0]?.model, loop: loopResult, ingest: ingestResult, slots: slotsResult, conditions: conditionsResult, cluster: clusterResult }, null, 2)}\n`,
  );
  console.log(`kept in ${file}`);
}
