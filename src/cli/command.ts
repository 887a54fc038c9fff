/** What a command may use of the process; `main.ts` gives the real ones, tests their own. */
export interface CliIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** A line to standard output. */
  out(text: string): void;
  /** A line to standard error. */
  err(text: string): void;
  /** Text to standard error as it is: for a progress bar. */
  raw(text: string): void;
  readonly isTTY: boolean;
  readonly color: boolean;
  /** Aborted when the user asks to stop. */
  readonly signal: AbortSignal;
}

/** One command of `usher`: its words, its help, and what it does. One file each. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly positionals: readonly PositionalDescription[];
  readonly options: Readonly<Record<string, OptionDescription>>;
  /** A line or more after the options in `--help`, examples for instance. */
  readonly epilogue?: string;
  /** Returns the exit code. Throws UsherError for what it cannot do. */
  run(args: CommandArgs, io: CliIo): Promise<number>;
}

export interface PositionalDescription {
  readonly name: string;
  readonly required: boolean;
  readonly help: string;
  /** Takes all further words too; only the last may. */
  readonly rest?: true;
}

export interface OptionDescription {
  readonly type: 'string' | 'boolean';
  /** What stands for the value in help: `FILE`, `N`. */
  readonly value?: string;
  readonly default?: string;
  /** May be given more than once; its values are a list then. */
  readonly multiple?: true;
  /** The value may be left out, and is '' then: the next word belongs to the option only if it matches. */
  readonly optional?: RegExp;
  readonly help: string;
}

export interface CommandArgs {
  readonly positionals: readonly string[];
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}
