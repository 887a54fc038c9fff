import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/model/json.ts';
import { playbookSchema } from '../../src/playbook/format.ts';
import { playbookLimits } from '../../src/playbook/limits.ts';
import { demoStoreFiles } from '../support/demoStore.ts';
import { playbookOf } from '../support/playbooks.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/playbook.md'), 'utf8');

describe('docs/playbook.md', () => {
  const blocks = [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
    language: language!,
    text: text!,
  }));
  const examples = blocks.filter(({ language }) => language === 'yaml').map(({ text }) => text);

  it('has an example of each section', () => {
    expect(examples.length).toBeGreaterThanOrEqual(20);
  });

  it.each(examples)('takes its examples from the demo store, line by line: %#', (example) => {
    // A declaration is quoted whole or with others between: each paragraph stands somewhere as it is.
    for (const part of example.split(/\n\n/)) {
      const lines = `\n${part.trimEnd()}\n`;
      expect(
        demoStoreFiles.some(([, text]) => `\n${text}\n`.includes(lines)),
        part,
      ).toBe(true);
    }
  });

  it('has no YAML that is not marked as such, so that none goes untested', () => {
    for (const { language, text } of blocks) {
      expect(['yaml', 'sh', 'graphql']).toContain(language);
      if (language !== 'yaml') expect(text).not.toMatch(/^\s*(?:- )?[\w*"]+: |^\s*\w+:$/m);
    }
    // Neither by indentation, nor behind other fences.
    const prose = page.replace(/^```[\s\S]*?^```$/gm, '');
    expect(prose).not.toMatch(/^(?: {4}|\t)\S/m);
    expect(prose).not.toMatch(/^\s*(?:```|~~~)/m);
  });

  it('names every key of the format', () => {
    const keys = [...keysOf(playbookSchema())].filter((key) => key !== 'name' && key !== 'description');
    expect(keys.length).toBeGreaterThan(60);
    const said = (key: string) => new RegExp(`\`[^\`\n]*\\b${key}\\b[^\`\n]*\``).test(page);
    expect(keys.filter((key) => !said(key))).toEqual([]);
  });

  it('tells every limit as it is', () => {
    const limits = page.slice(page.indexOf('## Limits'));
    const { captures, ...others } = playbookLimits;
    for (const [name, limit] of Object.entries({ ...others, captures }))
      expect(limits, name).toMatch(new RegExp(`\\b${limit.toLocaleString('en')}\\b`));
  });

  it('names every fact that conditions can read of a visitor', () => {
    const rows = Object.fromEntries(
      [...page.matchAll(/^\| `(\w+)` \| (.*) \|$/gm)].map(([, name, holds]) => [name, holds]),
    );
    for (const { path } of playbookOf('').traits.values()) {
      const [root, name] = path;
      if (name !== undefined) expect(rows[root!], path.join('.')).toContain(`\`${name}\``);
    }
  });

  it('names every standard event', () => {
    for (const type of playbookOf('').events.keys()) expect(page).toContain(`\`${type}\``);
  });
});

/** The names of all properties, of sections and below. */
function keysOf(schema: JsonObject, keys = new Set<string>()): Set<string> {
  const { properties, items, additionalProperties, anyOf } = schema;
  for (const [key, each] of Object.entries((properties ?? {}) as JsonObject)) {
    keys.add(key);
    keysOf(each as JsonObject, keys);
  }
  for (const each of [items, additionalProperties, ...((anyOf ?? []) as JsonObject[])])
    if (each !== null && typeof each === 'object') keysOf(each as JsonObject, keys);
  return keys;
}
