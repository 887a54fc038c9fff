import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { functionNames, methodNames } from '../../src/cel/functions.ts';
import { type ConformanceCase, idOf, type Outcome, readConformance, tryCase } from './conformance.ts';
import { classes, classOf } from './conformanceClasses.ts';

const { cases, notTaken, source } = readConformance();
const page = readFileSync(new URL('../../docs/cel.md', import.meta.url), 'utf8');

/** Rows of docs/cel.md that begin with a name in code and a number. */
const told = Object.fromEntries(
  [...page.matchAll(/^\| `([^`]+)` \| (\d+) \|/gm)].map(([, name, count]) => [name, Number(count)]),
);

const outcomes = cases.map((test): { test: ConformanceCase; outcome: Outcome; reason: string | null } => {
  const outcome = tryCase(test);
  return { test, outcome, reason: outcome.kind === 'passed' ? null : classOf(test, outcome) };
});
const failing = outcomes.filter(({ outcome }) => outcome.kind !== 'passed');

describe(`CEL's conformance data (${source})`, () => {
  it('passes but for cases of a known class', () => {
    const strange = failing.filter(({ reason }) => reason === null);
    expect(
      strange.map(({ test, outcome }) => `${idOf(test)}: ${test.expr}: ${(outcome as { what: string }).what}`),
    ).toEqual([]);
  });

  // To change the list, when a change means to: vitest run test/cel/conformance.test.ts -u, and the numbers of docs/cel.md.
  it('passes but for exactly the cases that test/vectors/cel/not-passed.txt lists', async () => {
    const lists = classes.map(({ id }) => {
      const ids = failing.filter(({ reason }) => reason === id).map(({ test }) => idOf(test));
      return [`# ${id}`, ...ids, ''].join('\n');
    });
    await expect(lists.join('\n')).toMatchFileSnapshot('../vectors/cel/not-passed.txt');
  });

  it('has as many cases of each class, and of each file that is not taken, as docs/cel.md says', () => {
    const counted = Object.fromEntries(
      classes.map(({ id }) => [id, failing.filter(({ reason }) => reason === id).length] as const),
    );
    expect(told).toEqual({ ...counted, ...notTaken });
    expect(page).toContain(`${cases.length - failing.length} of ${cases.length}`);
  });

  it('is about functions of which docs/cel.md names each that there is', () => {
    expect(
      [...functionNames, ...methodNames].filter(
        (name) => !page.includes(`\`${name}(`) && !page.includes(`\`.${name}(`),
      ),
    ).toEqual([]);
  });

  afterAll(() => {
    const files = Map.groupBy(outcomes, ({ test }) => test.file);
    console.table(
      [...files].map(([file, of]) => ({
        file,
        cases: of.length,
        passed: of.filter(({ outcome }) => outcome.kind === 'passed').length,
      })),
    );
    console.table(
      classes.map(({ id }) => ({ 'not passed': id, cases: failing.filter(({ reason }) => reason === id).length })),
    );
  });
});
