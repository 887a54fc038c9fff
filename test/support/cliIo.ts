import type { CliIo } from '../../src/cli/command.ts';

export interface RecordedIo extends CliIo {
  readonly outLines: string[];
  readonly errLines: string[];
}

/** What a command writes, kept; the terminal, if asked for, is a plain one. */
export function recordedIo(overrides: Partial<CliIo> = {}): RecordedIo {
  const outLines: string[] = [];
  const errLines: string[] = [];
  return {
    env: {},
    cwd: '/',
    out: (text) => void outLines.push(text),
    err: (text) => void errLines.push(text),
    raw: (text) => void errLines.push(text),
    isTTY: false,
    color: false,
    signal: new AbortController().signal,
    ...overrides,
    outLines,
    errLines,
  };
}
