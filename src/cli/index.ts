import { parseArgs } from 'node:util';
import { isUsherError, UsherError } from '../errors.ts';
import { nearest } from '../model/nearest.ts';
import { actions } from './actions.ts';
import { catalog } from './catalog.ts';
import { check } from './check.ts';
import type { CliIo, Command, CommandArgs, OptionDescription } from './command.ts';
import { config } from './config.ts';
import { describe } from './describe.ts';
import { explain } from './explain.ts';
import { failed } from './failed.ts';
import { profiles } from './profiles.ts';
import { rebuild } from './rebuild.ts';
import { replay } from './replay.ts';
import { schema } from './schema.ts';
import { start } from './start.ts';
import { tail } from './tail.ts';
import { topology } from './topology.ts';
import { tryEvent } from './try.ts';

const commands: readonly Command[] = [
  start,
  tryEvent,
  tail,
  explain,
  catalog,
  profiles,
  replay,
  failed,
  actions,
  topology,
  rebuild,
  check,
  describe,
  schema,
  config,
];

/** Runs one command line. Returns the exit code: 0 done, 1 it failed, 2 the words were wrong. */
export async function runCli(words: readonly string[], io: CliIo): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    io.out(overview());
    return 0;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const near = nearest(
      name,
      commands.map((candidate) => candidate.name),
    );
    io.err(`usher ${name}: no such command${near === null ? '' : `; did you mean ${near}?`}\n\n${overview()}`);
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    io.out(help(command));
    return 0;
  }
  let args: CommandArgs;
  try {
    args = readArgs(command, rest);
  } catch (error) {
    io.err(`usher ${name}: ${(error as Error).message}\n\n${help(command)}`);
    return 2;
  }
  try {
    return await command.run(args, io);
  } catch (error) {
    if (!isUsherError(error)) throw error;
    io.err(`${error.code}: ${error.message}\n  ${new UsherError(error.code, error.message).help}`);
    return 1;
  }
}

function readArgs(command: Command, words: readonly string[]): CommandArgs {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, multiple = false }]) => [name, { type, multiple }]),
  );
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args: joinOptionalValues(command, words), options, allowPositionals: true, strict: true });
  } catch (error) {
    const unknown = /Unknown option '--?([^']+)'/.exec((error as Error).message)?.[1];
    if (unknown === undefined) throw error;
    const near = nearest(unknown, Object.keys(options));
    throw new Error(`--${unknown} is not an option${near === null ? '' : `; did you mean --${near}?`}`, {
      cause: error,
    });
  }
  const most = command.positionals.at(-1)?.rest ? Number.POSITIVE_INFINITY : command.positionals.length;
  if (parsed.positionals.length > most) {
    throw new Error(
      `takes ${most === 0 ? 'no argument' : `at most ${most}`}, got ${parsed.positionals.length}: ${parsed.positionals.join(' ')}`,
    );
  }
  const missing = command.positionals.find(
    (positional, i) => positional.required && parsed.positionals[i] === undefined,
  );
  if (missing !== undefined) throw new Error(`expected ${missing.name}: ${missing.help}`);
  const defaults = Object.fromEntries(
    Object.entries(command.options).flatMap(([name, { default: value }]) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
  return { positionals: parsed.positionals, options: { ...defaults, ...(parsed.values as CommandArgs['options']) } };
}

/** `--finish 30m` → `--finish=30m`, `--finish FILE` → `--finish= FILE`: parseArgs knows no value that may be left out. */
function joinOptionalValues(command: Command, words: readonly string[]): string[] {
  const joined: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const value = word.startsWith('--') ? command.options[word.slice(2)]?.optional : undefined;
    if (value === undefined) joined.push(word);
    else if (value.test(words[i + 1] ?? '')) joined.push(`${word}=${words[++i]}`);
    else joined.push(`${word}=`);
  }
  return joined;
}

function overview(): string {
  return [
    'usher: what a visitor does changes what that visitor sees next',
    '',
    ...commands.map((command) => `  usher ${command.name.padEnd(10)} ${command.summary}`),
    '',
    '  usher COMMAND --help shows its arguments.',
  ].join('\n');
}

function valueInHelp({ value = 'VALUE', optional }: OptionDescription): string {
  return optional === undefined ? ` ${value}` : ` [${value}]`;
}

function help(command: Command): string {
  const words = command.positionals
    .map(({ name, required, rest }) => `${required ? name : `[${name}]`}${rest ? ' …' : ''}`)
    .join(' ');
  const rows = [
    ...command.positionals.map(({ name, help }) => [name, help] as const),
    ...Object.entries(command.options).map(
      ([name, option]) =>
        [
          `--${name}${option.type === 'string' ? valueInHelp(option) : ''}`,
          `${option.help}${option.default === undefined ? '' : ` [${option.default}]`}`,
        ] as const,
    ),
  ];
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return [
    `usher ${command.name}${words === '' ? '' : ` ${words}`}${rows.length > command.positionals.length ? ' [options]' : ''}`,
    `  ${command.summary}`,
    '',
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    ...(command.epilogue === undefined ? [] : ['', command.epilogue]),
  ].join('\n');
}
