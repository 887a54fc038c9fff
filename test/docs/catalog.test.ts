import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { recordedIo } from '../support/cliIo.ts';
import { startTestUsher } from '../support/startUsher.ts';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs/catalog.md'), 'utf8');
const blocks = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
  language,
  text: text!,
}));
const blocksIn = (language: string) => blocks.filter((block) => block.language === language).map(({ text }) => text);
const feed = (name: string) => readFileSync(join(root, 'test/cli/feeds', name), 'utf8');

describe('docs/catalog.md', () => {
  it('shows feeds that are tested as they stand there, and what their import prints', async () => {
    expect(blocksIn('csv')).toEqual([feed('products.csv')]);
    expect(blocksIn('xml')).toEqual([feed('atom.xml')]);
    expect(blocksIn('json')[0]).toBe(feed('products.jsonl'));
    await using usher = await startTestUsher();
    const io = recordedIo();
    await runCli(
      ['catalog', 'import', 'test/cli/feeds/products.csv', '--url', usher.url, '--data', usher.config.data],
      { ...io, cwd: root },
    );
    const printed = [...io.errLines, ...io.outLines.flatMap((line) => line.split('\n'))].join('\n');
    const withoutTime = (text: string) => text.replace(/[\d.]+ s$/m, 'N s').trim();
    expect(withoutTime(printed)).toBe(withoutTime(blocksIn('')[0]!));
  });

  it('shows a call that answers what stands there', async () => {
    await using usher = await startTestUsher();
    const [, variables, outcomes] = blocksIn('json');
    const { data } = await usher.query(blocksIn('graphql')[0]!, JSON.parse(variables!), usher.devKey!);
    expect(data.upsertProducts).toEqual(JSON.parse(outcomes!));
  });
});
