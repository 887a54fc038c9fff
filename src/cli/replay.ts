import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseDuration } from '../cel/duration.ts';
import { UsherError } from '../errors.ts';
import { clientOptions, connect, textOption, wholeOption } from './client.ts';
import type { CliIo, Command, CommandArgs } from './command.ts';
import { DerivedCatalog } from './replay/derivedCatalog.ts';
import { countRows, readFacts, readRows } from './replay/file.ts';
import { ndjson } from './replay/ndjson.ts';
import { otto } from './replay/otto.ts';
import { Progress } from './replay/progress.ts';
import { rees46 } from './replay/rees46.ts';
import { printReport } from './replay/report.ts';
import type { RowFormat } from './replay/row.ts';
import { type ReplayJob, runReplay } from './replay/run.ts';
import { senderLimits } from './replay/sender.ts';
import { Tally } from './replay/tally.ts';

const formats: Readonly<Record<string, RowFormat>> = { rees46, otto: otto('zero'), ndjson };
const duration = /^\d+(\.\d+)?(ms|s|m|h|d)$/;

export const replay: Command = {
  name: 'replay',
  summary: "Send a shop's log of past events through the API, and tell what became of it",
  positionals: [{ name: 'FILE', required: true, help: 'The log; .gz is unpacked' }],
  options: {
    format: {
      type: 'string',
      value: 'rees46|otto|ndjson',
      help: 'What the lines are [by the name: .csv is rees46, .ndjson and .jsonl are ndjson]',
    },
    'catalog-prices': {
      type: 'boolean',
      help: "Products of an otto file, which has no prices, have those of Usher's catalog, instead of 0",
    },
    speed: {
      type: 'string',
      value: 'max|N',
      default: 'max',
      help: 'N times as fast as it happened, or as fast as Usher takes it',
    },
    finish: {
      type: 'string',
      value: 'WAIT',
      optional: duration,
      help: "At the end, move the visitors' time to the last row, and WAIT (30m) beyond it, so that sessions and slots end as they did",
    },
    'derive-catalog': {
      type: 'string',
      value: 'OUT',
      help: "Write the products that the rows tell of to this file, in the playbook's format",
    },
    'dry-run': { type: 'boolean', help: 'Read and check the file, send nothing' },
    'in-flight': {
      type: 'string',
      value: 'N',
      default: String(senderLimits.inFlight),
      help: 'Calls under way at once',
    },
    batch: { type: 'string', value: 'N', default: String(senderLimits.batchRows), help: 'Rows a call, at most 500' },
    patience: {
      type: 'string',
      value: 'WAIT',
      default: '60s',
      help: 'Give up when nothing went forward for this long',
    },
    json: { type: 'boolean', help: 'Print the report as JSON' },
    ...clientOptions,
  },
  epilogue: [
    'Rows are named by the content of the file, so sending a file twice changes nothing: all of it is found to be duplicates.',
    'A line of ndjson is an EventRecordInput of the GraphQL schema with `visitor` and `occurredAt`.',
    '',
    '  usher replay 2019-Oct.csv.gz --finish',
    '  usher replay train.jsonl.gz --format otto --finish 30m',
    '  usher replay events.ndjson --speed 60 --key usk_…',
  ].join('\n'),
  run: runCommand,
};

async function runCommand(args: CommandArgs, io: CliIo): Promise<number> {
  const path = resolve(io.cwd, args.positionals[0]!);
  const format = formatOf(args, path);
  const speed = speedOf(args);
  const finishMs = finishOf(args);
  const patienceMs = durationOf('patience', textOption(args, 'patience') ?? '');
  const limits = {
    ...senderLimits,
    inFlight: wholeOption(args, 'in-flight', 1, 64),
    batchRows: wholeOption(args, 'batch', 1, 500),
    patienceMs,
  };
  const out = textOption(args, 'derive-catalog');
  const catalog = out === undefined ? null : new DerivedCatalog();
  if (format.rowsInLine === 'many' && speed !== null) {
    throw new UsherError(
      'COMMAND_FAILED',
      `--speed is ${speed}, and the lines of ${format.name} are visitors one after the other, not moments; expected max`,
    );
  }
  const facts = await readFacts(path);
  const rows = await countRows(path, format, facts);
  const job: ReplayJob = { path, format, facts, rows, speed, finishMs, limits, catalog };
  if (args.options['dry-run'] === true) await readOnly(job, io);
  else if (!(await send(job, args, io))) return 1;
  if (out !== undefined && catalog !== null) {
    writeFileSync(resolve(io.cwd, out), catalog.toYaml());
    io.err(`${catalog.size.toLocaleString('en')} products written to ${out}`);
  }
  return 0;
}

async function send(job: ReplayJob, args: CommandArgs, io: CliIo): Promise<boolean> {
  const client = connect(args, io, undefined, job.limits.inFlight + 1);
  const tally = new Tally();
  const progress = new Progress(io, tally, job.rows);
  try {
    const report = await runReplay(client, job, tally, io.signal);
    progress.end();
    io.out(args.options['json'] === true ? JSON.stringify(report, null, 2) : printReport(report));
    return true;
  } catch (error) {
    progress.end();
    if (!io.signal.aborted) throw error;
    io.err(
      `stopped after ${tally.settled.toLocaleString('en')} of ${job.rows.toLocaleString('en')} rows; the same command goes on from there, what was accepted counts once`,
    );
    return false;
  } finally {
    progress.end();
    client.close();
  }
}

async function readOnly(job: ReplayJob, io: CliIo): Promise<void> {
  let good = 0;
  let bad = 0;
  const visitors = new Set<string>();
  const types = new Map<string, number>();
  for await (const row of readRows(job.path, job.format, job.facts)) {
    if (row.kind === 'bad') {
      if (bad++ < 20) io.err(`row ${row.number}: ${row.message}`);
      continue;
    }
    good++;
    visitors.add(row.visitor);
    types.set(row.event.type, (types.get(row.event.type) ?? 0) + 1);
    for (const product of row.products ?? []) job.catalog?.add(product);
  }
  const counts = [...types].map(([type, count]) => `${type} ${count.toLocaleString('en')}`).join(', ');
  io.out(
    `${good.toLocaleString('en')} rows of ${visitors.size.toLocaleString('en')} visitors (${counts}); ${bad} unreadable`,
  );
}

function formatOf(args: CommandArgs, path: string): RowFormat {
  const asked = textOption(args, 'format');
  const name = asked ?? (/\.csv(\.gz)?$/.test(path) ? 'rees46' : /\.(ndjson|jsonl)(\.gz)?$/.test(path) ? 'ndjson' : '');
  const format = Object.hasOwn(formats, name) ? formats[name] : undefined;
  if (format === undefined) {
    throw new UsherError(
      'COMMAND_FAILED',
      asked === undefined
        ? `say what ${path} is: --format rees46, --format otto or --format ndjson`
        : `--format is ${asked}; expected rees46, otto or ndjson`,
    );
  }
  if (args.options['catalog-prices'] !== true) return format;
  if (format.name !== 'otto') {
    throw new UsherError('COMMAND_FAILED', `--catalog-prices is for otto; ${format.name} tells prices itself`);
  }
  return otto('catalog');
}

function speedOf(args: CommandArgs): number | null {
  const text = textOption(args, 'speed') ?? 'max';
  if (text === 'max') return null;
  const speed = Number(text);
  if (!(speed > 0) || !Number.isFinite(speed))
    throw new UsherError('COMMAND_FAILED', `--speed is ${text}; expected max or a number above 0`);
  return speed;
}

function finishOf(args: CommandArgs): number | null {
  const text = textOption(args, 'finish');
  return text === undefined ? null : text === '' ? 0 : durationOf('finish', text);
}

function durationOf(name: string, text: string): number {
  const ms = parseDuration(text, { days: true });
  if (ms === null || ms < 0)
    throw new UsherError('COMMAND_FAILED', `--${name} is ${text}; expected a duration like 30m`);
  return ms;
}
