import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { createMetrics } from '../../src/observe/metrics.ts';

const root = join(import.meta.dirname, '../..');
const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: root })];

it.each(pages)('%s links and names files that are there', (page) => {
  const text = readFileSync(join(root, page), 'utf8');
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)].map((match) =>
    join(dirname(page), match[1]!),
  );
  const named = [...text.matchAll(/`((?:src|test|bench|scripts|schema|docs)\/[\w./-]+\.\w+)`/g)].map(
    (match) => match[1]!,
  );
  const missing = [...links, ...named].filter((path) => !existsSync(join(root, path)));
  // A recipe names the test that its patch brings.
  const brought = page.startsWith('docs/recipes/') ? (/^Test: `([^`]+)`/m.exec(text)?.[1] ?? '') : '';
  expect(missing.filter((path) => path !== brought)).toEqual([]);
});

it('docs/operations.md explains the metrics that there are, and no others', async () => {
  const told = readFileSync(join(root, 'docs/operations.md'), 'utf8')
    .match(/`usher_\w+/g)!
    .map((name) => name.slice(1));
  const there = [...(await createMetrics().text()).matchAll(/^# TYPE (usher_\w+)/gm)].map((match) => match[1]!);
  expect([...new Set(told)].sort()).toEqual(there.sort());
});
