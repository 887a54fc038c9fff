import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkDirections } from './check/directions.ts';
import { checkDocs } from './check/docs.ts';
import { checkOneGraphql } from './check/oneGraphql.ts';
import { checkSchema } from './check/schema.ts';
import { missingFromLock, readLock } from './complete-lock.ts';

/** `npm run check`: what must hold of the project without running it. Prints a line a check; exit 1 when one fails. */
const root = join(import.meta.dirname, '..');

/** A check answers with its findings; none: it holds. */
type Check = () => readonly string[] | Promise<readonly string[]>;

const tool =
  (name: string, ...args: string[]): Check =>
  () => {
    const done = spawnSync(join(root, 'node_modules', '.bin', name), args, { cwd: root, encoding: 'utf8' });
    return done.status === 0 ? [] : [`${done.stdout}${done.stderr}${done.error?.message ?? ''}`.trim()];
  };

const checks: Readonly<Record<string, Check>> = {
  'types (tsc)': tool('tsc', '-p', '.'),
  'lint and format (biome)': tool('biome', 'check', '--error-on-warnings', '.'),
  'nothing unused (knip)': tool('knip', '--no-progress'),
  'folders import only what they may': () => checkDirections(root),
  'package-lock.json is whole for every platform (node scripts/complete-lock.ts)': () =>
    Object.keys(missingFromLock(readLock(root).packages)),
  'exactly one copy of graphql': () => checkOneGraphql(root),
  'schema/*.graphql are as the code prints them': () => checkSchema(root),
  'docs list the settings, error codes and vectors that the code has': () => checkDocs(root),
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const findings = await check();
  console.log(`${findings.length === 0 ? 'ok    ' : 'FAILED'} ${name}`);
  for (const finding of findings) console.log(finding.replace(/^/gm, '         '));
  if (findings.length > 0) failed++;
}
console.log(`${Object.keys(checks).length - failed} checks passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
