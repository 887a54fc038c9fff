import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsherError } from '../errors.ts';
import { canonicalJson } from '../model/json.ts';
import { catalogText } from './catalog.ts';
import { builtInPath, compileCatalog, compilePlaybook, mainPath } from './compile.ts';
import { playbookLimits, readCatalogSection } from './format.ts';
import type { Catalog, Playbook } from './playbook.ts';
import { formatProblem, type Problem, Report } from './problem.ts';
import { entryOf, readYaml, type Tree } from './tree.ts';

export { formatProblem, type Problem } from './problem.ts';

/** A playbook as read from its folder: compiled, and the texts of its two bundles, which are stored by their hash. */
export interface ReadPlaybook {
  /** null when a problem is an error; so is `catalog`. */
  readonly playbook: Playbook | null;
  readonly catalog: Catalog | null;
  /** Canonical JSON of `{files: {path: text}}`, Usher's built-in file included, the catalog's files not. */
  readonly playbookText: string;
  /** Canonical JSON of `{products: […]}`. */
  readonly catalogText: string;
  readonly problems: readonly Problem[];
}

/**
 * Reads, checks and compiles the playbook in a folder: playbook.yaml and every other .yaml beside or below it.
 * @throws UsherError PLAYBOOK_NOT_FOUND when there is no such folder, or no playbook.yaml in it
 */
export async function readPlaybook(folder: string): Promise<ReadPlaybook> {
  const paths = await yamlFiles(folder);
  const texts = new Map<string, string>();
  for (const path of paths) texts.set(path, await readFile(join(folder, path), 'utf8'));

  // Files that cannot be read as YAML stay in the bundle: compiling it reports them.
  const report = new Report();
  const files: Record<string, string> = {
    [builtInPath]: await readFile(join(import.meta.dirname, 'builtin.yaml'), 'utf8'),
  };
  const catalogTrees: Tree[] = [];
  for (const [path, text] of texts) {
    const tree = /^catalog\s*:/m.test(text) ? readYaml(path, text, new Report()) : null;
    if (tree !== null && entryOf(tree, 'catalog') !== undefined) catalogTrees.push(onlyCatalog(tree, report));
    else files[path] = text;
  }
  const playbookText = canonicalJson({ files });
  const compiled = compilePlaybook(playbookText);
  const products = catalogTrees.flatMap((tree) => readCatalogSection(tree, report));
  if (products.length > playbookLimits.products) {
    report.error(products[playbookLimits.products]!.span, `${products.length} products`, {
      expected: `at most ${playbookLimits.products}`,
    });
  }
  const text = catalogText(products, compiled.playbook?.minorDigits ?? 2, report);
  const problems = [...compiled.problems, ...report.problems()];
  const broken = problems.some(({ severity }) => severity === 'error');
  return {
    playbook: broken ? null : compiled.playbook,
    catalog: broken ? null : compileCatalog(text),
    playbookText,
    catalogText: text,
    problems,
  };
}

/** The catalog is a bundle of its own, which may change every few seconds; a rule beside it would change the playbook's hash too. */
function onlyCatalog(tree: Tree, report: Report): Tree {
  if (tree.kind !== 'map') return tree;
  for (const { key, keySpan } of tree.entries) {
    if (key !== 'catalog')
      report.error(keySpan, `${key} cannot stand in a file with a catalog`, {
        expected: 'a file of its own for the catalog',
      });
  }
  return { ...tree, entries: tree.entries.filter(({ key }) => key === 'catalog') };
}

/** Paths of the folder's YAML files, with / between their parts, sorted. */
export async function yamlFiles(folder: string): Promise<readonly string[]> {
  let entries: Awaited<ReturnType<typeof listFolder>>;
  try {
    entries = await listFolder(folder);
  } catch (error) {
    throw new UsherError('PLAYBOOK_NOT_FOUND', `there is no folder ${folder}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (!entries.includes(mainPath)) {
    const other = entries.length === 0 ? 'it has no YAML file' : `it has ${entries.slice(0, 5).join(', ')}`;
    throw new UsherError('PLAYBOOK_NOT_FOUND', `expected ${mainPath} in ${folder}; ${other}`);
  }
  if (entries.length > playbookLimits.files) {
    throw new UsherError(
      'PLAYBOOK_INVALID',
      `${folder} has ${entries.length} YAML files; a playbook has at most ${playbookLimits.files}`,
    );
  }
  return entries;
}

async function listFolder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true });
  return entries
    .map((path) => path.replaceAll('\\', '/'))
    .filter(
      (path) =>
        /\.ya?ml$/.test(path) && !path.split('/').some((part) => part.startsWith('.') || part === 'node_modules'),
    )
    .sort();
}

/** One without mistakes. */
export type RightPlaybook = ReadPlaybook & { readonly playbook: Playbook; readonly catalog: Catalog };

/** @throws UsherError PLAYBOOK_INVALID, PLAYBOOK_NOT_FOUND */
export async function readRightPlaybook(folder: string): Promise<RightPlaybook> {
  const read = await readPlaybook(folder);
  if (isRight(read)) return read;
  const errors = read.problems.filter((problem) => problem.severity === 'error');
  throw new UsherError(
    'PLAYBOOK_INVALID',
    `the playbook ${folder} has ${errors.length} mistake${errors.length === 1 ? '' : 's'}:\n${errors.map((problem) => `  ${formatProblem(problem)}`).join('\n')}`,
  );
}

export function isRight(read: ReadPlaybook): read is RightPlaybook {
  return read.playbook !== null && read.catalog !== null;
}
