import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';

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
