import { UsherError } from '../errors.ts';
import { clientOptions, connect, type GraphqlClient, wholeOption } from './client.ts';
import type { CliIo, Command, CommandArgs } from './command.ts';
import { printable, styleOf } from './style.ts';

const fields = 'id actionId destination action visitorId ruleId reason detail attempts redriven orderedAt diedAt order';
const pageQuery = `query DeadLetters($first: Int!, $after: ID, $destination: String) {
  deadLetters(first: $first, after: $after, destination: $destination) { deadLetters { ${fields} } end }
}`;
const oneQuery = `query DeadLetter($id: ID!) { deadLetter(id: $id) { ${fields} } }`;
const mutation = `mutation Redrive($ids: [ID!]!) {
  redriveDeadLetters(input: { ids: $ids }) { outcomes { id status error { code message } } }
}`;
/** Dead letters of one page, and driven again by one call. */
const pageSize = 100;

interface DeadLetter {
  readonly id: string;
  readonly actionId: string;
  readonly destination: string;
  readonly action: string;
  readonly visitorId: string;
  readonly ruleId: string;
  readonly reason: string;
  readonly detail: string;
  readonly attempts: number;
  readonly redriven: number;
  readonly orderedAt: string;
  readonly diedAt: string;
  readonly order: { readonly to: string | null };
}
interface Outcome {
  readonly id: string;
  readonly status: 'ACCEPTED' | 'REFUSED' | 'UNKNOWN';
  readonly error: { readonly code: string; readonly message: string } | null;
}

export const actions: Command = {
  name: 'actions',
  summary: 'List messages that were given up, show one, or have them tried again',
  positionals: [
    {
      name: 'list|show|redrive',
      required: true,
      help: 'list: the last given up; show: one with its order; redrive: one, or --all',
    },
    { name: 'ID', required: false, help: 'Of the message to show or try again: 3:5f0c…' },
  ],
  options: {
    limit: { type: 'string', value: 'N', default: '20', help: 'How many to list' },
    destination: { type: 'string', value: 'NAME', help: 'list, redrive --all: only those for this destination' },
    reason: { type: 'string', value: 'REASON', help: 'list, redrive --all: only those given up for this reason' },
    all: { type: 'boolean', help: 'redrive: all but those that may have arrived (OUTCOME_UNKNOWN)' },
    json: { type: 'boolean', help: 'A JSON object a line' },
    ...clientOptions,
  },
  epilogue: `A message driven again keeps its id. One given up with OUTCOME_UNKNOWN may have arrived, and then arrives twice: such are driven again
one by one, or with --all --reason OUTCOME_UNKNOWN.
  usher actions list --destination shop_mail
  usher actions redrive --all --destination shop_mail`,
  async run(args, io) {
    const [action, id] = args.positionals;
    const client = connect(args, io);
    try {
      if (action === 'list' && id === undefined) return await list(client, args, io);
      if (action === 'show' && id !== undefined) return await show(client, id, args, io);
      if (action === 'redrive' && (id !== undefined) !== (args.options['all'] === true))
        return await redrive(client, id, args, io);
      throw new UsherError(
        'COMMAND_FAILED',
        `expected \`usher actions list\`, \`show ID\`, \`redrive ID\` or \`redrive --all\`, got ${args.positionals.join(' ')}`,
      );
    } finally {
      client.close();
    }
  },
};

/** Those that the options choose, the last given up first. */
async function* chosen(client: GraphqlClient, { options }: CommandArgs, io: CliIo): AsyncGenerator<DeadLetter, void> {
  const { destination = null, reason } = options;
  for (let after: string | null = null; ; ) {
    const { deadLetters: page }: { deadLetters: { deadLetters: DeadLetter[]; end: string | null } } = await client.need(
      pageQuery,
      { first: pageSize, after, destination },
      io.signal,
    );
    for (const letter of page.deadLetters) if (reason === undefined || letter.reason === reason) yield letter;
    if (page.end === null) return;
    after = page.end;
  }
}

async function list(client: GraphqlClient, args: CommandArgs, io: CliIo): Promise<number> {
  const limit = wholeOption(args, 'limit', 1, 10_000);
  const json = args.options['json'] === true;
  const style = styleOf(io);
  let listed = 0;
  for await (const letter of chosen(client, args, io)) {
    const { id, destination, reason, action, visitorId, detail, diedAt } = letter;
    if (json) io.out(JSON.stringify(letter));
    else {
      const what = printable(`${destination} ${action} ${visitorId}`);
      io.out(`${style.dim(diedAt)}  ${id}  ${style.red(reason)}  ${what}  ${printable(detail)}`);
    }
    if (++listed >= limit) break;
  }
  if (listed === 0 && !json) io.out('no message was given up');
  return 0;
}

async function show(client: GraphqlClient, id: string, args: CommandArgs, io: CliIo): Promise<number> {
  const { deadLetter: letter } = await client.need<{ deadLetter: DeadLetter | null }>(oneQuery, { id }, io.signal);
  if (letter === null) {
    io.err(`no dead letter ${id}: it was driven again, or never was; \`usher actions list\` lists them`);
    return 1;
  }
  if (args.options['json'] === true) io.out(JSON.stringify(letter));
  else {
    const lines = [
      `id           ${letter.id}`,
      `given up     ${letter.diedAt}, after ${letter.attempts} attempts; driven again ${letter.redriven} times`,
      `reason       ${letter.reason}: ${printable(letter.detail)}`,
      `destination  ${printable(letter.destination)}`,
      `action       ${printable(letter.action)}, by rule ${printable(letter.ruleId)}`,
      `visitor      ${printable(letter.visitorId)}`,
      `to           ${printable(letter.order.to ?? '-')}`,
      `ordered      ${letter.orderedAt}`,
      `order        ${JSON.stringify(letter.order, null, 2)}`,
    ];
    io.out(lines.join('\n'));
  }
  return 0;
}

async function redrive(client: GraphqlClient, id: string | undefined, args: CommandArgs, io: CliIo): Promise<number> {
  const ids: string[] = id === undefined ? [] : [id];
  let passedOver = 0;
  // All are read before the first is driven again: what fails at once would be listed, and driven again, without end.
  if (id === undefined) {
    for await (const letter of chosen(client, args, io)) {
      if (letter.reason === 'OUTCOME_UNKNOWN' && args.options['reason'] !== 'OUTCOME_UNKNOWN') passedOver++;
      else ids.push(letter.id);
    }
  }
  const json = args.options['json'] === true;
  const style = styleOf(io);
  let failed = 0;
  for (let from = 0; from < ids.length; from += pageSize) {
    const { redriveDeadLetters } = await client.need<{ redriveDeadLetters: { outcomes: readonly Outcome[] } }>(
      mutation,
      { ids: ids.slice(from, from + pageSize) },
      io.signal,
    );
    for (const outcome of redriveDeadLetters.outcomes) {
      const { status, error } = outcome;
      if (status !== 'ACCEPTED') failed++;
      if (json) io.out(JSON.stringify(outcome));
      else {
        const color = { ACCEPTED: style.green, REFUSED: style.red, UNKNOWN: style.yellow }[status];
        const why = error === null ? '' : `  ${error.code}: ${printable(error.message)}`;
        io.out(`${outcome.id}  ${color(status)}${why}`);
      }
    }
  }
  if (id === undefined && !json) {
    const left = passedOver === 0 ? '' : `; ${passedOver} that may have arrived stay`;
    io.out(`${ids.length - failed} of ${ids.length} are tried again${left}`);
  }
  return failed === 0 ? 0 : 1;
}
