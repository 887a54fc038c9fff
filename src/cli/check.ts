import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { settings } from '../config.ts';
import { isUsherError } from '../errors.ts';
import { builtInPath } from '../playbook/compile.ts';
import type { Playbook } from '../playbook/playbook.ts';
import { type Problem, readPlaybook } from '../playbook/read.ts';
import { watchPlaybook } from '../playbook/watch.ts';
import { writtenDuration } from '../playbook/window.ts';
import type { CliIo, Command, CommandArgs } from './command.ts';
import { printable, type Style, styleOf } from './style.ts';

export const playbookPositional = {
  name: 'PATH',
  required: false,
  help: `Folder of the playbook [${settings.playbook.env}, else ${settings.playbook.default}]`,
} as const;

/** The folder that the arguments name, else the one that Usher would start with. */
export function playbookFolder(args: CommandArgs, io: CliIo): string {
  return args.positionals[0] ?? io.env[settings.playbook.env] ?? settings.playbook.default ?? '.';
}

export const check: Command = {
  name: 'check',
  summary: 'Check a playbook: every mistake with its line, and what was expected',
  positionals: [playbookPositional],
  options: {
    json: { type: 'boolean', help: 'Print the problems as JSON, one a line' },
    watch: { type: 'boolean', help: 'Check again at each change, until Ctrl-C' },
  },
  epilogue: 'Exit code 1 when there is an error; warnings alone are 0.',
  async run(args, io) {
    const folder = playbookFolder(args, io);
    const json = args.options['json'] === true;
    return args.options['watch'] === true ? watching(folder, json, io) : checkOnce(folder, json, io);
  },
};

/** One check, printed. Returns the exit code. */
async function checkOnce(folder: string, json: boolean, io: CliIo): Promise<number> {
  const read = await readPlaybook(resolve(io.cwd, folder));
  const errors = read.problems.filter(({ severity }) => severity === 'error').length;
  const warnings = read.problems.length - errors;
  if (json) {
    for (const problem of read.problems) io.out(JSON.stringify(problem));
    return errors === 0 ? 0 : 1;
  }
  const style = styleOf(io);
  const files = new Map<string, readonly string[]>();
  for (const problem of read.problems) {
    if (!files.has(problem.file)) files.set(problem.file, await linesOf(io, folder, problem.file));
    io.out(`${formatFull(problem, folder, files.get(problem.file)!, style)}\n`);
  }
  const { playbook, catalog } = read;
  if (playbook === null || catalog === null) {
    io.out(`${style.red(count(errors, 'error'))}${warnings === 0 ? '' : `, ${count(warnings, 'warning')}`}`);
    return 1;
  }
  for (const line of windowLines(playbook)) io.out(style.dim(line));
  const parts = [
    count(playbook.events.size, 'event type'),
    ...(playbook.segments.size === 0 ? [] : [count(playbook.segments.size, 'segment')]),
    count(playbook.rules.size, 'rule'),
    count(playbook.slots.size, 'slot'),
    count(playbook.contents.size, 'content'),
    count(catalog.products.size, 'product'),
  ];
  const mistakes = warnings === 0 ? 'no mistakes' : `${count(warnings, 'warning')}, no error`;
  io.out(`${folder}: ${style.green(mistakes)}. ${parts.join(', ')}; version ${playbook.version}`);
  return 0;
}

/** The grid of a window is part of what it means (semantics 3.8), so it is told. */
function windowLines(playbook: Playbook): readonly string[] {
  return [...playbook.traits.values()].flatMap(({ name, window }) => {
    if (window === null) return [];
    const steps = `${count(window.steps, 'step')} of ${writtenDuration(window.stepMs)}`;
    return [`${name}: a window of ${writtenDuration(window.widthMs)} in ${steps}`];
  });
}

/** Checks again at each change of the folder. A folder that cannot be read at first is an error; later it is waited for. */
async function watching(folder: string, json: boolean, io: CliIo): Promise<number> {
  const style = styleOf(io);
  const say = (text: string) => io.err(style.dim(text));
  // One check after another, however fast the changes come.
  let last: Promise<number> = Promise.resolve(0);
  const again = (): void => {
    last = last
      .catch(() => 1)
      .then(async () => {
        say(`${new Date().toLocaleTimeString('en', { hourCycle: 'h23' })}: ${folder} has changed`);
        try {
          return await checkOnce(folder, json, io);
        } catch (error) {
          if (!isUsherError(error)) throw error;
          io.err(`${error.code}: ${error.message}`);
          return 1;
        }
      });
  };
  const watcher = watchPlaybook(resolve(io.cwd, folder), again, (error) => say(`${folder}: ${error.message}`));
  try {
    await watcher.ready;
    const first = checkOnce(folder, json, io);
    last = first;
    await first;
    say(`Watching ${folder}: each change is checked at once. Ctrl-C ends this.`);
    await aborted(io.signal);
    return await last;
  } finally {
    watcher.close();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

async function linesOf(io: CliIo, folder: string, file: string): Promise<readonly string[]> {
  if (file === builtInPath) return [];
  const text = await readFile(resolve(io.cwd, folder, file), 'utf8').catch(() => '');
  return text.split('\n');
}

/** The widest part of a line that is shown; the caret moves along. */
const lineWidth = 120;

/** The place, what is wrong, the line with a mark under it, what was expected. */
export function formatFull(problem: Problem, folder: string, lines: readonly string[], style: Style): string {
  const { file, line, column, length = 1, severity, message, expected, nearest } = problem;
  const place = file === builtInPath ? file : join(relative('.', folder) === '' ? '.' : folder, file);
  const word = severity === 'error' ? style.red('error') : style.yellow('warning');
  const output = [`${style.bold(`${place}:${line}:${column}`)}: ${word}: ${printable(message)}`];
  const text = lines[line - 1]?.replace(/\r$/, '').replaceAll('\t', ' ');
  if (text !== undefined && text.trim() !== '') {
    const from = Math.max(0, column - 1 - lineWidth + 40);
    const shown = text.slice(from, from + lineWidth);
    const at = column - 1 - from;
    const carets = Math.max(1, Math.min(length, shown.length - at));
    output.push(
      `${String(line).padStart(6)} | ${printable(shown)}`,
      `${' '.repeat(6)} | ${' '.repeat(at)}${style.red('^'.repeat(carets))}`,
    );
  }
  if (nearest !== undefined) output.push(`         did you mean ${style.bold(printable(nearest))}?`);
  if (expected !== undefined && !message.includes(expected)) output.push(`         expected ${printable(expected)}`);
  return output.join('\n');
}
