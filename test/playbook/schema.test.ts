import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { playbookSchema, readCatalogSection, readSections } from '../../src/playbook/format.ts';
import { Report } from '../../src/playbook/problem.ts';
import { entryOf, readYaml } from '../../src/playbook/tree.ts';
import { demoStoreFiles } from '../support/demoStore.ts';

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
const validate = ajv.compile(playbookSchema());

/** Whether the reader takes the shape of a file: what refers to what, and CEL, is checked later. */
function readerTakes(value: unknown): boolean {
  const report = new Report();
  const tree = readYaml('x.yaml', stringify(value, { aliasDuplicateObjects: false }), report);
  if (tree === null) return false;
  if (entryOf(tree, 'catalog') !== undefined) readCatalogSection(tree, report);
  else readSections(tree, false, report);
  return !report.failed;
}

const documents: [string, object][] = [
  ...demoStoreFiles,
  ['constructs.yaml', readFileSync(join(import.meta.dirname, 'constructs.yaml'), 'utf8')] as const,
].map(([file, text]) => [file, parse(text) as object]);

type Path = readonly (string | number)[];
function pathsOf(value: unknown, at: Path = []): Path[] {
  if (value === null || typeof value !== 'object') return [at];
  return [
    at,
    ...Object.entries(value).flatMap(([key, each]) => pathsOf(each, [...at, Array.isArray(value) ? Number(key) : key])),
  ];
}

type Container = { [key: string | number]: unknown };
function parentOf(value: unknown, path: Path): Container {
  return path.slice(0, -1).reduce((at, key) => (at as Container)[key], value) as Container;
}

describe('the JSON Schema for editors', () => {
  it.each(documents)('accepts %s, as the reader does', (_file, document) => {
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
    expect(readerTakes(document)).toBe(true);
  });

  it('accepts and refuses what the reader accepts and refuses, whatever is changed in a file', () => {
    const replacements = fc.constantFrom<unknown>(
      null,
      true,
      5,
      -3,
      1.5,
      'a',
      'Not an id',
      '',
      '30m',
      '30 minutes',
      '2026-01-01T00:00:00Z',
      [],
      ['a'],
      [5],
      {},
      { a: 1 },
      { event: 'page_viewed' },
      { show: {} },
      { times: 2 },
      { entered: ['a'] },
      { spent: '5m' },
      { sequence: [{ event: 'a' }], within: '5m' },
      { absent: 'a', since: ['b'], for: '5m' },
      'session',
      '09:00-18:00',
      '24:00-09:00',
      ['mon'],
      'mobile',
    );
    const extraKeys = fc.constantFrom(
      ...['for', 'extra', 'name', 'limit', 'type', 'when', 'then', 'over', 'by', 'set', 'show', 'emit', 'only'],
      ...['entered', 'within', 'since', 'spent', 'hours', 'days', 'unless', 'pinned'],
    );
    let refused = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...documents),
        fc.nat(),
        fc.constantFrom('replace', 'remove', 'add', 'rename'),
        replacements,
        extraKeys,
        ([file, original], pick, how, value, key) => {
          const document = structuredClone(original);
          // Inside of JSON Schemas and of a content's data anything goes, for both.
          const paths = pathsOf(document).filter((path) => path.length > 0 && !path.includes('properties'));
          // Near the top half of the time: there are far more leaves.
          const shallow = paths.toSorted((a, b) => a.length - b.length).slice(0, pick % 2 === 0 ? 8 : paths.length);
          const path = shallow[pick % shallow.length]!;
          const parent = parentOf(document, path);
          const last = path.at(-1)!;
          if (how === 'replace') parent[last] = value;
          else if (how === 'remove') Array.isArray(parent) ? parent.splice(Number(last), 1) : delete parent[last];
          else if (how === 'add' && !Array.isArray(parent)) parent[key] ??= value;
          else if (how === 'rename' && !Array.isArray(parent)) {
            parent[`${last}x`] = parent[last];
            delete parent[last];
          }
          const accepted = readerTakes(document);
          if (!accepted) refused++;
          expect(
            validate(document),
            `${file} ${path.join('.')} ${how} ${JSON.stringify(value)}: the reader ${accepted ? 'accepts' : 'refuses'}`,
          ).toBe(accepted);
        },
      ),
      { numRuns: Number(process.env['USHER_TEST_RUNS'] ?? 300) },
    );
    expect(refused).toBeGreaterThan(20);
  });
});
