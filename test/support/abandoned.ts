import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Activity } from '../../src/model/commit.ts';
import type { LogRecord } from '../../src/model/record.ts';
import { compileCatalog, compilePlaybook } from '../../src/playbook/compile.ts';
import type { ActiveBundles } from '../../src/playbook/playbook.ts';
import type { Firing } from './cartHistory.ts';
import { FoldShard } from './foldShard.ts';

const script = join(import.meta.dirname, '..', 'oracle', 'abandoned.py');

/** What test/oracle/abandoned.py says of a file: firings by visitor, then by time. */
export async function askAbandoned(file: string, ...args: readonly string[]): Promise<readonly Firing[]> {
  const { stdout } = await promisify(execFile)('python3', ['-B', script, file, ...args], { maxBuffer: 100_000_000 });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Firing);
}

/** A playbook with a rule for each wait: `{ after_5m: '5m' }`. Each shows its own content, in a slot of its own, and never ends showing it. */
export function abandonedPlaybook(waits: Readonly<Record<string, string>>): string {
  const ids = Object.keys(waits);
  return [
    'format: 1',
    'currency: USD',
    'timezone: UTC',
    'content:',
    '  welcome: { type: banner, title: Welcome }',
    ...ids.map((id) => `  ${id}: { type: banner, title: "\${cart.value} wait in your cart" }`),
    'slots:',
    ...ids.map((id) => `  ${id}: { fallback: welcome }`),
    'rules:',
    ...ids.flatMap((id) => [
      `  ${id}:`,
      `    when: { absent: order_completed, since: [cart_item_added, cart_item_removed], for: ${waits[id]}, key: cart.id }`,
      '    if: size(cart.lines) > 0',
      `    then: [{ show: { slot: ${id}, content: ${id} } }]`,
    ]),
    '',
  ].join('\n');
}

/** The moments at which this rule ran because a wait was over: by visitor, then by time. */
export function firingsOf(activity: readonly Activity[], rule: string): readonly Firing[] {
  return sorted(activity.filter(({ what, rules }) => what === 'timer' && rules.includes(rule)));
}
/** The moments at which sessions ended of themselves. */
export function sessionEnds(activity: readonly Activity[]): readonly Firing[] {
  return sorted(activity.filter(({ what, type }) => what === 'timer' && type === 'session'));
}
function sorted(activity: readonly Activity[]): readonly Firing[] {
  return activity
    .map(({ visitor, at }): Firing => [visitor, at])
    .sort(([a, at], [b, bt]) => (a < b ? -1 : a > b ? 1 : at - bt));
}

/** All that the fold does with a log of an Usher that has had one playbook and one catalog, `dumpRecords` of it read back. */
export async function activityOfDump(
  dump: string,
  shards: number,
  texts: { readonly playbookText: string; readonly catalogText: string },
): Promise<readonly Activity[]> {
  const playbook = compilePlaybook(texts.playbookText).playbook!;
  const active: ActiveBundles = { playbook, catalog: compileCatalog(texts.catalogText) };
  const folds = Array.from(
    { length: shards },
    (_, shard) =>
      new FoldShard({ get: () => active }, { shard, shards, settings: { activity: Number.MAX_SAFE_INTEGER } }),
  );
  for (const line of (await readFile(dump, 'utf8')).split('\n')) {
    if (line === '') continue;
    const record = JSON.parse(line) as LogRecord;
    folds[record.shard]!.log.push(record);
  }
  return folds.flatMap((shard) => shard.fold().activity);
}
