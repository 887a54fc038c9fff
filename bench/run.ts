import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { catalog, printCatalog } from './catalog.ts';
import { clusterBench, clusterParts } from './clusterBench.ts';
import { conditions, printConditions } from './conditions.ts';
import { fold, printFold } from './fold.ts';
import { ingest, printIngest } from './ingest.ts';
import { loop, printLoop } from './loop.ts';
import { messages, printMessages } from './messages.ts';
import { pending, printPending } from './pending.ts';
import { printRules, rules } from './rules.ts';
import { printSlots, slots } from './slots.ts';

/**
 * `npm run bench [-- --quick] [-- PART ...]`: every figure of docs/performance.md, or some. Results are kept in bench/results, one file a
 * version; a part that was not run keeps what it had.
 */
const parts = {
  loop: async (quick: boolean) => shown(await loop(500, quick ? 5 : 20, quick ? 1 : 3), printLoop),
  ingest: async (quick: boolean) => shown(await ingest(quick ? 3 : 6, quick ? 1 : 3), printIngest),
  slots: async (quick: boolean) => shown(await slots(quick ? 3 : 6, quick ? 1 : 3), printSlots),
  conditions: async () => shown(conditions(), printConditions),
  rules: async (quick: boolean) => shown(await rules(quick ? 1 : 3), printRules),
  fold: async (quick: boolean) => shown(await fold(quick ? 3 : 9), printFold),
  pending: async (quick: boolean) => shown(await pending(quick), printPending),
  messages: async (quick: boolean) => shown(await messages(quick), printMessages),
  catalog: async (quick: boolean) => shown(await catalog(quick ? 5 : 15), printCatalog),
};
const names = [...Object.keys(parts), ...clusterParts];
const quick = process.argv.includes('--quick');
const asked = process.argv.slice(2).filter((argument) => argument !== '--quick');
const unknown = asked.find((name) => !names.includes(name));
if (unknown !== undefined) {
  console.error(`expected parts of ${names.join(', ')}, came ${unknown}`);
  process.exit(1);
}
const isAsked = (name: string) => asked.length === 0 || asked.includes(name);

if (spawnSync('taskset', ['-cp', '1', String(process.pid)]).status !== 0) {
  console.log('one core for server and load: figures are lower than with two');
}
console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}${quick ? ', quick' : ''}`);

const results: Record<string, unknown> = { node: process.version, cpu: cpus()[0]?.model };
for (const [name, run] of Object.entries(parts)) if (isAsked(name)) results[name] = await run(quick);
Object.assign(results, await clusterBench(quick, isAsked));

if (!quick) {
  const file = join(import.meta.dirname, 'results', `${process.env['npm_package_version'] ?? 'unversioned'}.json`);
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as object) : {};
  writeFileSync(file, `${JSON.stringify({ ...before, ...results }, null, 2)}\n`);
  console.log(`kept in ${file}`);
}

function shown<Result>(result: Result, print: (result: Result) => void): Result {
  print(result);
  return result;
}
