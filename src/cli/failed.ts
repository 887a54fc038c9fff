import { UsherError } from '../errors.ts';
import { clientOptions, connect, type GraphqlClient, wholeOption } from './client.ts';
import type { CliIo, Command } from './command.ts';
import { eventAt, eventsOf, type FailedEvent, shardsOf } from './failedEvents.ts';
import { retry } from './failedRetry.ts';
import { printable, styleOf } from './style.ts';

export const failed: Command = {
  name: 'failed',
  summary: 'List events that were accepted but could not be folded, show one, or retry them corrected',
  positionals: [
    {
      name: 'list|show|retry',
      required: true,
      help: 'list: the newest; show: one with its record; retry: one, or --all',
    },
    { name: 'POSITION', required: false, help: 'Of the event to show or retry: 3:17' },
  ],
  options: {
    limit: { type: 'string', value: 'N', default: '20', help: 'How many to list' },
    set: {
      type: 'string',
      value: 'NAME=VALUE',
      multiple: true,
      help: 'retry: a correction, properties.price=12.5 or type=page_viewed; may be given more than once',
    },
    record: { type: 'string', value: 'FILE', help: 'retry: take type, properties and at from this record (JSON)' },
    'beyond-window': { type: 'boolean', help: 'retry: also an event that may have been counted already' },
    all: { type: 'boolean', help: 'retry: all that can be, without those that may have been counted already' },
    reason: { type: 'string', value: 'REASON', help: 'retry --all: only those that failed for this reason' },
    type: { type: 'string', value: 'TYPE', help: 'retry --all: only those of this event type' },
    json: { type: 'boolean', help: 'A JSON object a line' },
    ...clientOptions,
  },
  epilogue: `A retried event is folded once, however often it is retried; one that fails again is listed again.
  usher failed retry 3:17 --set properties.price=12.5
  usher failed retry --all --reason PRICE_UNKNOWN`,
  async run(args, io) {
    const [action, position] = args.positionals;
    const json = args.options['json'] === true;
    const client = connect(args, io);
    try {
      if (action === 'list' && position === undefined)
        return await list(client, wholeOption(args, 'limit', 1, 10_000), json, io);
      if (action === 'show' && position !== undefined) return await show(client, position, json, io);
      if (action === 'retry') return await retry(client, position, args, io);
      throw new UsherError(
        'COMMAND_FAILED',
        `expected \`usher failed list\`, \`usher failed show POSITION\` or \`usher failed retry POSITION\`, got ${args.positionals.join(' ')}`,
      );
    } finally {
      client.close();
    }
  },
};

async function list(client: GraphqlClient, limit: number, json: boolean, io: CliIo): Promise<number> {
  const found: FailedEvent[] = [];
  for (const shard of await shardsOf(client, io.signal)) {
    let taken = 0;
    for await (const event of eventsOf(client, shard, io.signal)) {
      found.push(event);
      if (++taken >= limit) break;
    }
  }
  const newest = found.sort((a, b) => (a.failedAt < b.failedAt ? 1 : a.failedAt > b.failedAt ? -1 : 0)).slice(0, limit);
  const style = styleOf(io);
  for (const event of newest) {
    if (json) io.out(JSON.stringify(event));
    else {
      const who = printable(`${event.visitorId ?? '-'} ${event.type ?? '-'}`);
      io.out(
        `${style.dim(event.failedAt)}  ${event.position.padEnd(10)} ${style.red(event.reason)}  ${who}  ${printable(event.detail)}`,
      );
    }
  }
  if (newest.length === 0 && !json) io.out('no event failed');
  return 0;
}

async function show(client: GraphqlClient, position: string, json: boolean, io: CliIo): Promise<number> {
  const event = await eventAt(client, position, io.signal);
  if (event === null) {
    io.err(`no failed event at ${position}; \`usher failed list\` lists them`);
    return 1;
  }
  if (json) io.out(JSON.stringify(event));
  else {
    const lines = [
      `position  ${event.position}`,
      `failed    ${event.failedAt}`,
      `reason    ${event.reason}: ${printable(event.detail)}`,
      `visitor   ${printable(event.visitorId ?? '-')}`,
      `type      ${printable(event.type ?? '-')}`,
      `record    ${readableRecord(event.record)}`,
    ];
    io.out(lines.join('\n'));
  }
  return 0;
}

/** Indented when it is JSON; a record that could not be read may be anything. */
function readableRecord(record: string): string {
  try {
    return JSON.stringify(JSON.parse(record), null, 2);
  } catch {
    return printable(record);
  }
}
