import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

/** docs/recipes: each page has a patch of the same name; the page's first `Test:` line names the test that the patch brings. */
const root = join(import.meta.dirname, '..', '..');
const recipes = globSync('docs/recipes/*.patch', { cwd: root }).sort();

describe('the recipes of docs/recipes', () => {
  let copy: string | null = null;
  afterEach(() => {
    if (copy !== null) rmSync(copy, { recursive: true, force: true });
    copy = null;
  });

  it('are the four that the docs promise', () => {
    expect(recipes.map((recipe) => basename(recipe, '.patch'))).toEqual([
      'add-a-rule-field',
      'add-a-setting',
      'add-an-error-code',
      'add-an-event-type',
    ]);
  });

  it.each(recipes)('%s applies, passes the checks and its own test, which fails without the patch', (recipe) => {
    copy = mkdtempSync(join(tmpdir(), 'usher-recipe-'));
    // What is in the work tree, committed or not: the recipe must fit the code that is being tested.
    const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: root });
    execFileSync('tar', ['--null', '--files-from=-', '-cf', join(copy, 'tree.tar')], { cwd: root, input: files });
    execFileSync('tar', ['-xf', 'tree.tar'], { cwd: copy });
    rmSync(join(copy, 'tree.tar'));
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    execFileSync('git', ['init', '-q'], { cwd: copy });

    const page = readFileSync(join(root, recipe.replace(/\.patch$/, '.md')), 'utf8');
    const test = /^Test: `([^`]+)`/m.exec(page)?.[1];
    expect(test, `${recipe.replace(/\.patch$/, '.md')} names its test`).toBeDefined();
    execFileSync('git', ['apply', join(root, recipe)], { cwd: copy });
    expect(run(copy, 'tsc', '-p', '.'), 'types').toEqual('');
    expect(run(copy, 'vitest', 'run', test!), test).toEqual('');

    // The test must say something: with the patch's code taken back and its test kept, it fails.
    execFileSync('git', ['apply', '-R', '--exclude', test!, join(root, recipe)], { cwd: copy });
    expect(run(copy, 'vitest', 'run', test!), `${test} without the patch`).not.toEqual('');
  });
});

/** Empty when it succeeded, its output when not. */
function run(cwd: string, tool: string, ...args: string[]): string {
  const env = { ...process.env };
  delete env['USHER_TEST_REPORT'];
  const done = spawnSync(join(root, 'node_modules', '.bin', tool), args, { cwd, encoding: 'utf8', env });
  return done.status === 0 ? '' : `${done.stdout}${done.stderr}` || 'failed';
}
