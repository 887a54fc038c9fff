import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { startTestUsher } from '../support/startUsher.ts';

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

it("answers the README's first request as the README says, and the same after a stop and a start", async () => {
  const body = /-d '(\{[\s\S]*?\})'\n```/.exec(readme)?.[1];
  const shown = /```json\n([\s\S]*?)```/.exec(readme)?.[1];
  expect(body).toBeDefined();
  expect(shown).toBeDefined();
  await using usher = await startTestUsher();
  const { query } = JSON.parse(body!.replace(/\n/g, ' ')) as { query: string };
  expect(await usher.query(query)).toEqual(JSON.parse(shown!));

  const again =
    '{ personalizedSlots(names: ["product_upsell"]) { source version content { id data } why { sentence } } }';
  const before = await usher.query(again);
  expect(before.data.personalizedSlots[0].source).toBe('RULE');
  await usher.stop();
  await using restarted = await usher.restart();
  expect(await restarted.query(again)).toEqual(before);
});

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
