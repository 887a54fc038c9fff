import { readFileSync } from 'node:fs';
import { join } from 'node:path';
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

it('names files that are there', () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map((match) => match[1]!);
  expect(links.length).toBeGreaterThan(5);
  for (const link of links)
    expect(() => readFileSync(join(import.meta.dirname, '../..', link)), link).not.toThrow(/ENOENT/);
});
