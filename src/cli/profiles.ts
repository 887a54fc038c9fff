import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UsherError } from '../errors.ts';
import { profileEvent } from '../model/profile.ts';
import { clientOptions, connect, type GraphqlClient, textOption } from './client.ts';
import type { CliIo, Command } from './command.ts';
import { type AttributeTypes, type ProfileRow, readCsv, readJsonLines } from './profiles/rows.ts';
import { readFacts } from './replay/file.ts';
import { rowId } from './replay/identity.ts';
import { printable } from './style.ts';

const mutation = `mutation ($events: [EventRecordInput!]!) { trackEvents(input: { events: $events }) {
  outcomes { status error { code message retryable retryAfterMs } } } }`;
interface Outcome {
  readonly status: 'ACCEPTED' | 'REFUSED' | 'UNKNOWN';
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly retryable: boolean;
    readonly retryAfterMs: number | null;
  } | null;
}
const typeQuery = 'query ($name: String!) { __type(name: $name) { inputFields { name type { name } } } }';
interface TypeAnswer {
  readonly __type: {
    readonly inputFields: readonly { readonly name: string; readonly type: { readonly name: string | null } }[] | null;
  } | null;
}

/** Of one call; the server takes no more at once. */
const batch = { rows: 500, chars: 150_000 } as const;
/** Between two tries of a call, doubled up to the most, ms; given up after the last. */
const retryMs = { first: 200, most: 5_000, tries: 20 } as const;
/** Lines about refused rows; more are counted. */
const listed = 1_000;
const tellEveryMs = 2_000;

export const profiles: Command = {
  name: 'profiles',
  summary: 'Import profiles of visitors: CSV or JSON lines',
  positionals: [
    { name: 'import', required: true, help: 'Tells Usher the profiles of a file' },
    { name: 'FILE', required: true, help: 'The file; one that ends with .gz is unpacked' },
  ],
  options: {
    format: { type: 'string', value: 'csv|jsonl', help: 'What the file is [as its name ends: .csv, else jsonl]' },
    ...clientOptions,
  },
  epilogue: `Columns or members: userId or visitorId, email, name, locale, timeZone, and attributes (in CSV attributes.NAME) of the playbook's declaring.
Bad rows are listed with line and reason, the others are imported. It can be run again: the same file changes nothing more. Needs the scope write.
  usher profiles import customers.csv`,
  async run(args, io) {
    const [action, file] = args.positionals;
    if (action !== 'import')
      throw new UsherError('COMMAND_FAILED', `expected \`usher profiles import FILE\`, got ${action}`);
    const path = resolve(io.cwd, file!);
    const format = textOption(args, 'format') ?? (/\.csv(\.gz)?$/.test(path) ? 'csv' : 'jsonl');
    if (format !== 'csv' && format !== 'jsonl')
      throw new UsherError('COMMAND_FAILED', `--format is ${format}; expected csv or jsonl`);
    const { hash, lines } = await readFacts(path);
    const client = connect(args, io);
    const run = new Import(client, io, hash, lines);
    try {
      const types = format === 'csv' ? await attributeTypes(client, io.signal) : new Map();
      const rows = format === 'csv' ? readCsv(path, types, (column) => run.passOver(column)) : readJsonLines(path);
      for await (const row of rows) await run.take(row);
      await run.send();
    } finally {
      client.close();
      run.report();
    }
    return run.refused === 0 ? 0 : 1;
  },
};

/** The types of the attributes, as the schema has them of the event's input. */
async function attributeTypes(client: GraphqlClient, signal: AbortSignal): Promise<AttributeTypes> {
  const fieldsOf = async (name: string | undefined): Promise<AttributeTypes> => {
    if (name === undefined) return new Map();
    const { __type } = await client.need<TypeAnswer>(typeQuery, { name }, signal);
    return new Map((__type?.inputFields ?? []).map(({ name, type }) => [name, type.name ?? '']));
  };
  const event = (await fieldsOf('EventInput')).get('profileUpdated');
  return fieldsOf((await fieldsOf(event)).get('attributes'));
}

/** One run over a file: holds no more of it than one call's rows. */
class Import {
  readonly #client: GraphqlClient;
  readonly #io: CliIo;
  readonly #hash: string;
  readonly #lines: number;
  readonly #startedAt = performance.now();
  readonly #passedOver = new Set<string>();
  #toldAt = performance.now();
  #waiting: { readonly line: number; readonly event: object }[] = [];
  #chars = 0;
  #accepted = 0;
  refused = 0;

  constructor(client: GraphqlClient, io: CliIo, hash: string, lines: number) {
    this.#client = client;
    this.#io = io;
    this.#hash = hash;
    this.#lines = lines;
  }

  passOver(column: string): void {
    this.#passedOver.add(column);
  }

  async take(row: ProfileRow): Promise<void> {
    if ('message' in row) return this.#refuse(row.line, row.message);
    // The id follows from file and line, so that the same file again is known again.
    const event = { id: rowId(this.#hash, row.line), visitor: row.visitor, ...profileEvent(row.profile) };
    const chars = JSON.stringify(event).length;
    if (this.#waiting.length === batch.rows || this.#chars + chars > batch.chars) await this.send();
    this.#waiting.push({ line: row.line, event });
    this.#chars += chars;
  }

  #refuse(line: number, message: string): void {
    if (++this.refused <= listed) this.#io.err(`line ${line}: ${printable(message)}`);
  }

  /** What got no final answer is sent again, under the same ids. */
  async send(): Promise<void> {
    let left = this.#waiting;
    this.#waiting = [];
    this.#chars = 0;
    for (let tries = 1; left.length > 0; tries++) {
      const outcomes = await this.#ask(left.map(({ event }) => event));
      const again = left.filter((_, i) => outcomes[i]!.error?.retryable === true);
      left.forEach(({ line }, i) => {
        const { status, error } = outcomes[i]!;
        if (status === 'ACCEPTED') this.#accepted++;
        else if (!error!.retryable)
          this.#refuse(line, `${error!.code}: ${error!.message.replace(/^properties\.?/, '')}`);
      });
      if (again.length > 0) {
        const { error } = outcomes.find((outcome) => outcome.error?.retryable === true)!;
        if (tries === retryMs.tries)
          throw new UsherError('COMMAND_FAILED', `given up: ${error!.code}: ${error!.message}`);
        await this.#pause(tries, error!.retryAfterMs);
      }
      left = again;
    }
    this.#tell();
  }

  async #ask(events: readonly object[]): Promise<readonly Outcome[]> {
    const { signal } = this.#io;
    for (let tries = 1; ; tries++) {
      const answer = await this.#client.ask<{ trackEvents: { outcomes: readonly Outcome[] } }>(
        mutation,
        { events },
        signal,
      );
      if (answer.kind === 'data') return answer.data.trackEvents.outcomes;
      const isWorthIt = answer.kind === 'unreached' ? answer.sent : answer.retryable;
      if (!isWorthIt || tries === retryMs.tries) throw this.#client.errorOf(answer);
      await this.#pause(tries, answer.kind === 'errors' ? answer.retryAfterMs : null);
    }
  }

  #pause(tries: number, afterMs: number | null): Promise<void> {
    const ms = afterMs ?? Math.min(retryMs.most, retryMs.first * 2 ** (tries - 1));
    return sleep(ms, undefined, { signal: this.#io.signal });
  }

  #tell(): void {
    const now = performance.now();
    if (now - this.#toldAt < (this.#io.isTTY ? 100 : tellEveryMs)) return;
    this.#toldAt = now;
    const done = this.#accepted + this.refused;
    const text = `${Math.min(100, Math.floor((done / Math.max(1, this.#lines)) * 100))} %  ${done.toLocaleString('en')} rows`;
    if (this.#io.isTTY) this.#io.raw(`\r\u001b[2K${text}`);
    else this.#io.err(text);
  }

  report(): void {
    if (this.#io.isTTY) this.#io.raw('\r\u001b[2K');
    if (this.refused > listed) this.#io.err(`and ${(this.refused - listed).toLocaleString('en')} more`);
    const seconds = ((performance.now() - this.#startedAt) / 1000).toFixed(1);
    const counts = `${this.#accepted.toLocaleString('en')} accepted, ${this.refused.toLocaleString('en')} refused`;
    this.#io.out(`profiles: ${counts}; ${seconds} s`);
    if (this.#passedOver.size > 0)
      this.#io.out(`columns passed over: ${[...this.#passedOver].map(printable).join(', ')}`);
  }
}
