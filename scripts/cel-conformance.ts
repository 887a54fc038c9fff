import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Makes test/vectors/cel/conformance.json of CEL's conformance data as `@bufbuild/cel-spec` carries it:
 *
 *   npm pack @bufbuild/cel-spec@0.6.1 && tar xzf bufbuild-cel-spec-0.6.1.tgz
 *   node scripts/cel-conformance.ts package
 *
 * Taken is what a test needs of each case: expression, declared names and their values, the value or that it is an error. The
 * package itself is 6 MB, and asks for Protocol Buffers beside it.
 */
interface Suite {
  readonly name: string;
  readonly suites?: readonly Suite[];
  readonly tests?: readonly { readonly original: Original }[];
}
interface Original {
  readonly name: string;
  readonly expr: string;
  readonly typeEnv?: readonly unknown[];
  readonly bindings?: object;
  readonly container?: string;
  readonly value?: unknown;
  readonly evalError?: unknown;
}

/** Files about the language itself. The others are about Protocol Buffers, or about extensions; docs/cel.md lists them. */
const taken = [
  'basic',
  'comparisons',
  'conversions',
  'fields',
  'fp_math',
  'integer_math',
  'lists',
  'logic',
  'macros',
  'namespace',
  'parse',
  'plumbing',
  'string',
  'string_ext',
  'timestamps',
];

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('expected the folder of the package: node scripts/cel-conformance.ts FOLDER');
const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, string>;
const upstream = /github\.com\/google\/cel-spec\)\s+\(<!--.*?-->(v[\d.]+)<!--/.exec(
  readFileSync(join(folder, 'README.md'), 'utf8'),
)?.[1];
if (upstream === undefined) throw new Error(`expected the version of google/cel-spec in ${folder}/README.md`);
const { tests } = (await import(pathToFileURL(join(folder, 'dist/esm/testdata/conformance.js')).href)) as {
  tests: Suite;
};

const lines: string[] = [];
for (const name of taken) {
  const file = tests.suites?.find((suite) => suite.name === name);
  if (file === undefined) throw new Error(`${folder} has no ${name}`);
  for (const section of file.suites ?? []) {
    for (const { original } of section.tests ?? []) lines.push(JSON.stringify(caseOf(name, section.name, original)));
  }
}
const left = (tests.suites ?? [])
  .filter((suite) => !taken.includes(suite.name) && count(suite) > 0)
  .map((suite) => [suite.name, count(suite)]);
const about = {
  source: `@bufbuild/cel-spec ${version}: conformance data of github.com/google/cel-spec ${upstream}`,
  license,
  notTaken: Object.fromEntries(left),
};
const head = JSON.stringify(about, null, 2).slice(0, -2);
writeFileSync(
  join(import.meta.dirname, '../test/vectors/cel/conformance.json'),
  `${head},\n  "cases": [\n${lines.join(',\n')}\n  ]\n}\n`,
);

function caseOf(file: string, section: string, original: Original): object {
  const { name, expr, typeEnv, bindings, container, value, evalError } = original;
  return {
    file,
    section,
    name,
    expr,
    typeEnv,
    bindings,
    container,
    value,
    error: evalError === undefined ? undefined : true,
  };
}

function count(suite: Suite): number {
  return (suite.tests?.length ?? 0) + (suite.suites ?? []).reduce((sum, each) => sum + count(each), 0);
}
