import { UsherError } from '../errors.ts';
import { clientOptions, connect, type GraphqlClient, wholeOption } from './client.ts';
import type { CliIo, Command } from './command.ts';
import { printable, styleOf } from './style.ts';

const shardCount = '{ status { shards { shard } } }';
const page = `query Failed($shard: Int!, $before: String, $first: Int!) {
  failedEvents(shard: $shard, before: $before, first: $first) { position reason detail visitorId type failedAt record }
}`;
/** Failed events of one call. */
const pageSize = 100;

interface FailedEvent {
  readonly position: string;
  readonly reason: string;
  readonly detail: string;
  readonly visitorId: string | null;
  readonly type: string | null;
  readonly failedAt: string;
  readonly record: string;
}

export const failed: Command = {
  name: 'failed',
  summary: 'List events that were accepted but could not be folded, or show one',
  positionals: [
    { name: 'list|show', required: true, help: 'list: the newest; show: one with its record' },
    { name: 'POSITION', required: false, help: 'Of the event to show: 3:17' },
  ],
  options: {
    limit: { type: 'string', value: 'N', default: '20', help: 'How many to list' },
    json: { type: 'boolean', help: 'A JSON object a line' },
    ...clientOptions,
  },
  async run(args, io) {
    const [action, position] = args.positionals;
    const json = args.options['json'] === true;
    const client = connect(args, io);
    try {
      if (action === 'list' && position === undefined)
        return await list(client, wholeOption(args, 'limit', 1, 10_000), json, io);
      if (action === 'show' && position !== undefined) return await show(client, position, json, io);
      throw new UsherError(
        'COMMAND_FAILED',
        `expected \`usher failed list\` or \`usher failed show POSITION\`, got ${args.positionals.join(' ')}`,
      );
    } finally {
      client.close();
    }
  },
};

async function list(client: GraphqlClient, limit: number, json: boolean, io: CliIo): Promise<number> {
  const { status } = await client.need<{ status: { shards: { shard: number }[] } }>(shardCount, {}, io.signal);
  const found: FailedEvent[] = [];
  for (const { shard } of status.shards) {
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
  const shard = /^(\d+):\d+(#\d+)?$/.exec(position)?.[1];
  if (shard === undefined) throw new UsherError('COMMAND_FAILED', `a position is like 3:17, got ${position}`);
  for await (const event of eventsOf(client, Number(shard), io.signal)) {
    if (event.position !== position) continue;
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
  io.err(`no failed event at ${position}; \`usher failed list\` lists them`);
  return 1;
}

/** Newest first. */
async function* eventsOf(client: GraphqlClient, shard: number, signal: AbortSignal): AsyncGenerator<FailedEvent, void> {
  let before: string | null = null;
  for (;;) {
    const { failedEvents }: { failedEvents: FailedEvent[] } = await client.need(
      page,
      { shard, before, first: pageSize },
      signal,
    );
    yield* failedEvents;
    if (failedEvents.length < pageSize) return;
    before = failedEvents.at(-1)!.position;
  }
}

/** Indented when it is JSON; a record that could not be read may be anything. */
function readableRecord(record: string): string {
  try {
    return JSON.stringify(JSON.parse(record), null, 2);
  } catch {
    return printable(record);
  }
}
