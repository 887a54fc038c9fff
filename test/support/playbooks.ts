import { readFileSync } from 'node:fs';
import { canonicalJson } from '../../src/model/json.ts';
import { builtInPath, compilePlaybook, mainPath } from '../../src/playbook/compile.ts';
import type { Entry, Playbook, Show } from '../../src/playbook/playbook.ts';
import { type Problem, SourceFile } from '../../src/playbook/problem.ts';

const builtIn = readFileSync(new URL('../../src/playbook/builtin.yaml', import.meta.url), 'utf8');

/** The text of a playbook's bundle, from the texts of its files; `format: 1` alone is the default of playbook.yaml. */
export function playbookTextOf(files: Readonly<Record<string, string>>): string {
  return canonicalJson({ files: { [builtInPath]: builtIn, [mainPath]: 'format: 1\n', ...files } });
}

export function compileFiles(files: Readonly<Record<string, string>>): {
  playbook: Playbook | null;
  problems: readonly Problem[];
} {
  return compilePlaybook(playbookTextOf(files));
}

/** A playbook of one file, which must compile without a problem. */
export function playbookOf(text: string): Playbook {
  const { playbook, problems } = compileFiles({ 'rules.yaml': text });
  if (playbook === null)
    throw new Error(problems.map(({ line, column, message }) => `${line}:${column} ${message}`).join('\n'));
  return playbook;
}

/** What the entry of a rule shows. */
export function showOf(playbook: Playbook, rule: string, entry = 0): Show {
  const found: Entry | undefined = playbook.rules.get(rule)?.entries[entry];
  if (found?.do !== 'show') throw new Error(`entry ${entry} of the rule ${rule} shows nothing`);
  return found;
}

/** The text, and the line and column of each ▸ in it, which is taken out. */
export function marked(text: string): { text: string; places: string[] } {
  const parts = text.split('▸');
  const plain = parts.join('');
  const file = new SourceFile('', plain);
  let offset = 0;
  const places = parts.slice(0, -1).map((part) => {
    offset += part.length;
    const { line, column } = file.position(offset);
    return `${line}:${column}`;
  });
  return { text: plain, places };
}

/** Each problem as `line:column message (nearest?)`, its line counted from after the first `lines`. */
export function toldAfter(lines: number, problems: readonly Problem[]): string[] {
  return problems.map(
    ({ line, column, message, nearest }) =>
      `${line - lines}:${column} ${message}${nearest === undefined ? '' : ` (${nearest}?)`}`,
  );
}

/** What is wrong with a file, each mistake with its place; and the places of the ▸ in it. */
export function problemsOf(text: string): { found: string[]; places: string[] } {
  const { text: plain, places } = marked(text);
  const { problems } = compileFiles({ 'rules.yaml': plain });
  return { found: problems.map(({ line, column, message }) => `${line}:${column} ${message}`), places };
}
