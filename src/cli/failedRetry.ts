import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsherError } from '../errors.ts';
import type { JsonObject } from '../model/json.ts';
import type { GraphqlClient } from './client.ts';
import type { CliIo, CommandArgs } from './command.ts';
import { eventAt, eventsOf, type FailedEvent, shardsOf } from './failedEvents.ts';
import { printable, styleOf } from './style.ts';

const mutation = `mutation Retry($events: [FailedEventRetry!]!) {
  retryFailedEvents(input: { events: $events }) { outcomes { id status error { code message } } }
}`;
/** Of one call: fewer than the server takes, in number and in bytes. */
const callEvents = 500;
const callChars = 16_000;

/** Reasons that a retry can mend without a person looking at each. */
const retriedInBulk = new Set(['UNREADABLE', 'PRICE_UNKNOWN', 'FOLD_ERROR', 'INPUT_INVALID']);

interface Retry {
  readonly position: string;
  readonly type?: string;
  readonly properties?: JsonObject;
  readonly occurredAt?: string;
  readonly beyondWindow?: true;
}
interface Outcome {
  readonly id: string;
  readonly status: 'ACCEPTED' | 'REFUSED' | 'UNKNOWN';
  readonly error: { readonly code: string; readonly message: string } | null;
}
/** What is put in the place of what a failed event said. */
type Correction = (event: FailedEvent) => Omit<Retry, 'position'>;

/** `usher failed retry`: one failed event, or all that the options choose. Exit code 0: every one was accepted. */
export async function retry(
  client: GraphqlClient,
  position: string | undefined,
  args: CommandArgs,
  io: CliIo,
): Promise<number> {
  const { options } = args;
  const all = options['all'] === true;
  if (all === (position !== undefined)) {
    throw new UsherError('COMMAND_FAILED', 'expected a POSITION to retry, or --all, and not both');
  }
  const teller = new Teller(options['json'] === true, io);
  const correct = correctionOf(args, io);
  if (position !== undefined) {
    for (const name of ['reason', 'type']) {
      if (options[name] !== undefined) throw new UsherError('COMMAND_FAILED', `--${name} chooses among --all`);
    }
    const event = await eventAt(client, position, io.signal);
    if (event === null) {
      io.err(`no failed event at ${position}: it was retried already, or never was; \`usher failed list\` lists them`);
      return 1;
    }
    await send(client, [{ position, ...correct(event) }], teller, io.signal);
    return teller.exitCode;
  }
  for (const name of ['record', 'beyond-window']) {
    if (options[name] !== undefined) throw new UsherError('COMMAND_FAILED', `--${name} is for one POSITION, not --all`);
  }
  await retryAll(client, args, correct, teller, io.signal);
  teller.end();
  return teller.exitCode;
}

async function retryAll(
  client: GraphqlClient,
  { options }: CommandArgs,
  correct: Correction,
  teller: Teller,
  signal: AbortSignal,
): Promise<void> {
  const { reason, type } = options;
  for (const shard of await shardsOf(client, signal)) {
    // All of a shard are read before the first is retried: what fails again would be listed, and retried, without end.
    const chosen: Retry[] = [];
    for await (const event of eventsOf(client, shard, signal)) {
      if ((reason !== undefined && event.reason !== reason) || (type !== undefined && event.type !== type)) continue;
      if (retriedInBulk.has(event.reason) && event.visitorId !== null) {
        chosen.push({ position: event.position, ...correct(event) });
      } else teller.passOver();
    }
    // In the order in which they failed.
    for (const call of callsOf(chosen.reverse())) await send(client, call, teller, signal);
  }
}

function* callsOf(retries: readonly Retry[]): Generator<readonly Retry[]> {
  let call: Retry[] = [];
  let chars = 0;
  for (const each of retries) {
    const size = JSON.stringify(each).length;
    if (call.length > 0 && (call.length === callEvents || chars + size > callChars)) {
      yield call;
      call = [];
      chars = 0;
    }
    call.push(each);
    chars += size;
  }
  if (call.length > 0) yield call;
}

async function send(
  client: GraphqlClient,
  events: readonly Retry[],
  teller: Teller,
  signal: AbortSignal,
): Promise<void> {
  const { retryFailedEvents } = await client.need<{ retryFailedEvents: { outcomes: readonly Outcome[] } }>(
    mutation,
    { events },
    signal,
  );
  retryFailedEvents.outcomes.forEach((outcome, i) => {
    teller.tell(events[i]!.position, outcome);
  });
}

/** `--record FILE`, then each `--set NAME=VALUE` upon it. @throws UsherError COMMAND_FAILED */
function correctionOf({ options }: CommandArgs, io: CliIo): Correction {
  const file = options['record'];
  const given = typeof file === 'string' ? recordIn(resolve(io.cwd, file)) : null;
  const set = options['set'];
  const sets = (Array.isArray(set) ? (set as readonly string[]) : []).map(readSet);
  const beyondWindow = options['beyond-window'] === true ? { beyondWindow: true as const } : {};
  return (event) => {
    if (given === null && sets.length === 0) return beyondWindow;
    const record = structuredClone(given ?? parsedRecord(event)) as Record<string, unknown>;
    for (const { path, value } of sets) put(record, path, value);
    const { type, properties, at } = record;
    return {
      ...(typeof type === 'string' ? { type } : {}),
      ...(properties === undefined ? {} : { properties: properties as JsonObject }),
      ...(typeof at === 'number' ? { occurredAt: new Date(at).toISOString() } : {}),
      ...beyondWindow,
    };
  };
}

function recordIn(path: string): object {
  let record: unknown;
  try {
    record = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsherError('COMMAND_FAILED', `--record ${path} cannot be read: ${(error as Error).message}`);
  }
  if (typeof record === 'object' && record !== null && !Array.isArray(record)) return record;
  throw new UsherError('COMMAND_FAILED', `--record ${path}: expected a record as \`usher failed show\` prints it`);
}

/** The record that failed; nothing of it if it was cut or is no JSON object. */
function parsedRecord(event: FailedEvent): object {
  try {
    const record: unknown = JSON.parse(event.record);
    if (typeof record === 'object' && record !== null && !Array.isArray(record)) return record;
  } catch {
    // As below.
  }
  return {};
}

/** `properties.price=12.5`, `type=page_viewed`: the value is JSON if it reads as such, else a text. */
function readSet(text: string): { readonly path: readonly string[]; readonly value: unknown } {
  const at = text.indexOf('=');
  const path = text.slice(0, Math.max(0, at)).split('.');
  const isKnown = path[0] === 'properties' ? path.length > 1 : path.length === 1 && ['type', 'at'].includes(path[0]!);
  if (!isKnown || path.includes('') || path.includes('__proto__')) {
    throw new UsherError(
      'COMMAND_FAILED',
      `--set ${text}: expected properties.NAME=VALUE, type=VALUE or at=MILLISECONDS`,
    );
  }
  const written = text.slice(at + 1);
  try {
    return { path, value: JSON.parse(written) };
  } catch {
    return { path, value: written };
  }
}

/** Puts a value in its place, through maps and, by index, lists. */
function put(record: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let map = record;
  for (const name of path.slice(0, -1)) {
    const inner = Object.hasOwn(map, name) ? map[name] : undefined;
    const next = typeof inner === 'object' && inner !== null ? inner : {};
    map[name] = next;
    map = next as Record<string, unknown>;
  }
  map[path.at(-1)!] = value;
}

/** Says what became of each, and counts. */
class Teller {
  readonly #json: boolean;
  readonly #io: CliIo;
  readonly #counts = { ACCEPTED: 0, REFUSED: 0, UNKNOWN: 0 };
  #passedOver = 0;

  constructor(json: boolean, io: CliIo) {
    this.#json = json;
    this.#io = io;
  }

  get exitCode(): number {
    return this.#counts.REFUSED + this.#counts.UNKNOWN === 0 ? 0 : 1;
  }

  tell(position: string, outcome: Outcome): void {
    this.#counts[outcome.status]++;
    if (this.#json) {
      this.#io.out(JSON.stringify({ position, ...outcome }));
      return;
    }
    const style = styleOf(this.#io);
    const { status, error } = outcome;
    const color = { ACCEPTED: style.green, REFUSED: style.red, UNKNOWN: style.yellow }[status];
    const why = error === null ? '' : `  ${error.code}: ${printable(error.message)}`;
    this.#io.out(`${position.padEnd(10)} ${color(status)}${why}`);
  }

  passOver(): void {
    this.#passedOver++;
  }

  end(): void {
    if (this.#json) return;
    const { ACCEPTED, REFUSED, UNKNOWN } = this.#counts;
    const unknown = UNKNOWN === 0 ? '' : `, ${UNKNOWN} of which it is not known: retry them again`;
    const passed = this.#passedOver === 0 ? '' : `; ${this.#passedOver} passed over, to be looked at one by one`;
    this.#io.out(`${ACCEPTED} accepted, ${REFUSED} refused${unknown}${passed}`);
  }
}
