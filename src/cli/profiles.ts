import { resolve } from 'node:path';
import { UsherError } from '../errors.ts';
import { profileEvent } from '../model/profile.ts';
import { clientOptions, connect, type GraphqlClient, textOption } from './client.ts';
import type { CliIo, Command } from './command.ts';
import { askAgain, pause, RowImport, retryMs, type Waiting } from './importing/rowImport.ts';
import { type AttributeTypes, type ProfileRow, readCsv, readJsonLines } from './profiles/rows.ts';
import { readFacts } from './replay/file.ts';
import { rowId } from './replay/identity.ts';
import type { SentOutcome } from './replay/sender.ts';

const mutation = `mutation ($events: [EventRecordInput!]!) { trackEvents(input: { events: $events }) {
  outcomes { status error { code message retryable retryAfterMs } } } }`;
interface Answer {
  readonly trackEvents: { readonly outcomes: readonly SentOutcome[] };
}
const typeQuery = 'query ($name: String!) { __type(name: $name) { inputFields { name type { name } } } }';
interface TypeAnswer {
  readonly __type: {
    readonly inputFields: readonly { readonly name: string; readonly type: { readonly name: string | null } }[] | null;
  } | null;
}

/** Of one call; the server takes no more at once. */
const batch = { rows: 500, chars: 150_000 } as const;
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
    const told = new Profiles(client, io, hash, lines);
    try {
      const types = format === 'csv' ? await attributeTypes(client, io.signal) : new Map();
      const rows =
        format === 'csv' ? readCsv(path, types, (column) => told.rows.passOver(column)) : readJsonLines(path);
      for await (const row of rows) await told.take(row);
      await told.rows.send();
    } finally {
      client.close();
      told.report();
    }
    return told.rows.refused === 0 ? 0 : 1;
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

/** Tells the rows to Usher, and how far it is. */
class Profiles {
  readonly rows: RowImport<object>;
  readonly #client: GraphqlClient;
  readonly #io: CliIo;
  readonly #hash: string;
  readonly #lines: number;
  #toldAt = performance.now();
  #accepted = 0;

  constructor(client: GraphqlClient, io: CliIo, hash: string, lines: number) {
    this.#client = client;
    this.#io = io;
    this.#hash = hash;
    this.#lines = lines;
    this.rows = new RowImport(io, batch, (rows) => this.#track(rows));
  }

  async take(row: ProfileRow): Promise<void> {
    if ('message' in row) return this.rows.refuse(row.line, row.message);
    // The id follows from file and line, so that the same file again is known again.
    const id = rowId(this.#hash, row.line);
    await this.rows.take(row.line, { id, visitor: row.visitor, ...profileEvent(row.profile) });
  }

  /** What got no final answer is sent again, under the same ids. */
  async #track(rows: readonly Waiting<object>[]): Promise<void> {
    const { signal } = this.#io;
    let left = rows;
    for (let tries = 1; left.length > 0; tries++) {
      const events = left.map(({ row }) => row);
      const { trackEvents } = await askAgain<Answer>(this.#client, mutation, { events }, signal);
      const { outcomes } = trackEvents;
      left.forEach(({ line }, i) => {
        const { status, error } = outcomes[i]!;
        if (status === 'ACCEPTED') this.#accepted++;
        else if (!error!.retryable)
          this.rows.refuse(line, `${error!.code}: ${error!.message.replace(/^properties\.?/, '')}`);
      });
      left = left.filter((_, i) => outcomes[i]!.error?.retryable === true);
      if (left.length === 0) break;
      const { error } = outcomes.find((outcome) => outcome.error?.retryable === true)!;
      if (tries === retryMs.tries)
        throw new UsherError('COMMAND_FAILED', `given up: ${error!.code}: ${error!.message}`);
      await pause(tries, error!.retryAfterMs, signal);
    }
    this.#tell();
  }

  #tell(): void {
    const now = performance.now();
    if (now - this.#toldAt < (this.#io.isTTY ? 100 : tellEveryMs)) return;
    this.#toldAt = now;
    const done = this.#accepted + this.rows.refused;
    const text = `${Math.min(100, Math.floor((done / Math.max(1, this.#lines)) * 100))} %  ${done.toLocaleString('en')} rows`;
    if (this.#io.isTTY) this.#io.raw(`\r\u001b[2K${text}`);
    else this.#io.err(text);
  }

  report(): void {
    if (this.#io.isTTY) this.#io.raw('\r\u001b[2K');
    this.rows.report('profiles', [[this.#accepted, 'accepted']], 'columns');
  }
}
