import { randomUUID } from 'node:crypto';
import { UsherError } from '../errors.ts';
import type { Json } from '../model/json.ts';
import { clientOptions, connect, type GraphqlClient, textOption } from './client.ts';
import type { CliIo, Command } from './command.ts';
import { printable, styleOf } from './style.ts';

const slotNames = '{ playbook { slots } }';
const slotFields = 'name version source content { id type } why { sentence ruleId }';
const before = `query TryBefore($names: [String!]) { personalizedSlots(names: $names, waitMs: 1000) { ${slotFields} } }`;
const track = `mutation Try($input: TrackEventInput!, $names: [String!]) {
  trackEvent(input: $input) {
    outcome { id status error { code message hint path } }
    slots(names: $names, waitMs: 5000) { ${slotFields} stale }
  }
}`;
/** Names of one call; the gateway takes 50. */
const namesMax = 50;

interface Slot {
  readonly name: string;
  readonly version: number;
  readonly source: string;
  readonly content: { readonly id: string; readonly type: string };
  readonly why: { readonly sentence: string; readonly ruleId: string | null };
  readonly stale?: boolean;
}
interface Tracked {
  readonly trackEvent: {
    readonly outcome: {
      readonly id: string;
      readonly status: string;
      readonly error: {
        readonly code: string;
        readonly message: string;
        readonly hint: string | null;
        readonly path: readonly string[] | null;
      } | null;
    };
    readonly slots: readonly (Slot | null)[];
  };
}

export const tryEvent: Command = {
  name: 'try',
  summary: 'Send one event as a visitor, and see what changes for that visitor and why',
  positionals: [
    { name: 'EVENT', required: true, rest: true, help: 'Type and properties: product_viewed productId=p_017' },
  ],
  options: {
    as: { type: 'string', value: 'NAME', default: 'alice', help: 'Development visitor dev:NAME' },
    page: { type: 'string', value: 'PAGE', help: "The page's kind, as slots name it: home, product, cart" },
    ...clientOptions,
  },
  epilogue:
    "A value is a number, true, false, null or JSON where it reads as one, else a text:\n  usher try 'cart_item_added productId=p_017 quantity=2'\n  usher try search_performed 'query=\"red shoes\"' --as bob",
  async run(args, io) {
    const { type, properties } = parseEvent(args.positionals.join(' '));
    const client = connect(args, io, `dev:${textOption(args, 'as')}`);
    try {
      const page = textOption(args, 'page');
      return await send(
        client,
        { id: randomUUID(), type, properties, ...(page === undefined ? {} : { context: { page } }) },
        io,
      );
    } finally {
      client.close();
    }
  },
};

async function send(client: GraphqlClient, input: object, io: CliIo): Promise<number> {
  const style = styleOf(io);
  const { playbook } = await client.need<{ playbook: { slots: string[] } }>(slotNames, {}, io.signal);
  const names = playbook.slots.slice(0, namesMax);
  const was = await client.need<{ personalizedSlots: (Slot | null)[] }>(before, { names }, io.signal);
  const startedAt = performance.now();
  const { trackEvent } = await client.need<Tracked>(track, { input, names }, io.signal);
  const ms = performance.now() - startedAt;
  const { outcome, slots } = trackEvent;
  if (outcome.status !== 'ACCEPTED') {
    const { code = outcome.status, message = '', hint = null } = outcome.error ?? {};
    io.err(`${style.red(outcome.status)} ${code}: ${printable(message)}${hint === null ? '' : `\n  ${hint}`}`);
    return 1;
  }
  io.out(`${style.green('ACCEPTED')} ${outcome.id} ${style.dim(`${ms.toFixed(1)} ms until the slots were decided`)}`);
  const stale = slots.some((slot) => slot?.stale === true);
  if (stale) io.err('not folded yet: the slots are those from before the event');
  const versions = new Map(was.personalizedSlots.map((slot) => [slot?.name, slot?.version]));
  const changed = slots.filter((slot) => slot !== null && versions.get(slot.name) !== slot.version) as Slot[];
  for (const slot of changed) {
    io.out(`  ${style.bold(slot.name)} → ${slot.content.id} (${slot.source})\n    ${printable(slot.why.sentence)}`);
  }
  if (changed.length === 0 && !stale) io.out('  no slot changed');
  return 0;
}

/**
 * `product_viewed productId=p_017 quantity=2 tags=["a","b"]` → type and properties.
 * @throws UsherError COMMAND_FAILED
 */
export function parseEvent(text: string): { type: string; properties: { readonly [name: string]: Json } } {
  const words = splitWords(text);
  const type = words[0];
  if (type === undefined || type.includes('='))
    throw new UsherError('COMMAND_FAILED', `expected an event type, then name=value …; got ${JSON.stringify(text)}`);
  const properties: [string, Json][] = words.slice(1).map((word) => {
    const at = word.indexOf('=');
    if (at < 1) throw new UsherError('COMMAND_FAILED', `expected name=value, got ${word}`);
    return [word.slice(0, at), readValue(word.slice(at + 1))];
  });
  return { type, properties: Object.fromEntries(properties) };
}

/** At spaces, but not inside quotes, brackets or braces. */
function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quoted && char === '\\') {
      word += char + (text[++i] ?? '');
      continue;
    }
    if (char === '"') quoted = !quoted;
    else if (!quoted && (char === '[' || char === '{')) depth++;
    else if (!quoted && (char === ']' || char === '}')) depth--;
    if (/\s/.test(char) && !quoted && depth <= 0) {
      if (word !== '') words.push(word);
      word = '';
    } else word += char;
  }
  if (quoted) throw new UsherError('COMMAND_FAILED', `a quote is not closed in ${JSON.stringify(text)}`);
  return word === '' ? words : [...words, word];
}

function readValue(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
