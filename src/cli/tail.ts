import { setTimeout as sleep } from 'node:timers/promises';
import { isUsherError } from '../errors.ts';
import type { JsonObject } from '../model/json.ts';
import { clientOptions, connect } from './client.ts';
import type { Command } from './command.ts';
import { printable, type Style, styleOf } from './style.ts';

const subscription = `subscription Tail($visitor: VisitorRef) {
  activity(visitor: $visitor) {
    visitorId position what eventId type at properties rules segments detail
    slots { name source content { id } }
    stages { name ms }
  }
}`;

interface Activity {
  readonly visitorId: string;
  readonly position: string;
  readonly what: 'FOLDED' | 'DUPLICATE' | 'HELD' | 'FAILED' | 'TIMER' | 'TOUCHED';
  readonly eventId: string | null;
  readonly type: string;
  readonly at: string;
  readonly properties: JsonObject | null;
  readonly rules: readonly string[];
  readonly segments: readonly string[];
  readonly detail: string | null;
  readonly slots: readonly {
    readonly name: string;
    readonly source: string;
    readonly content: { readonly id: string };
  }[];
  readonly stages: readonly { readonly name: string; readonly ms: number }[];
}

const reconnectMs = { first: 200, most: 5_000 };
const propertiesCharactersMax = 120;

export const tail: Command = {
  name: 'tail',
  summary: 'Watch events, rules and slot changes as they happen',
  positionals: [{ name: 'VISITOR', required: false, help: 'Only this visitor: dev:alice, u:USER, or an anonymous id' }],
  options: {
    json: { type: 'boolean', help: 'A JSON object a line' },
    ...clientOptions,
  },
  async run(args, io) {
    const style = styleOf(io);
    const client = connect(args, io);
    const visitorId = args.positionals[0];
    const variables = visitorId === undefined ? {} : { visitor: { visitorId } };
    let seen = false;
    try {
      for (let failures = 0; ; failures++) {
        try {
          for await (const { activity } of client.subscribe<{ activity: Activity }>(
            subscription,
            variables,
            io.signal,
          )) {
            seen = true;
            failures = 0;
            io.out(args.options['json'] === true ? JSON.stringify(activity) : lineOf(activity, style));
          }
        } catch (error) {
          if (io.signal.aborted) return 0;
          // The first connection tells whether anyone is there and may be asked; after that a break is the server's restart.
          if (isUsherError(error) && !error.retryable) throw error;
          if (failures === 0)
            io.err(
              `${seen ? 'the connection broke' : 'no connection'} (${(error as Error).message}); trying again, what happens meanwhile is not shown`,
            );
        }
        if (io.signal.aborted) return 0;
        await sleep(Math.min(reconnectMs.most, reconnectMs.first * 2 ** failures), undefined, {
          signal: io.signal,
        }).catch(() => {});
      }
    } finally {
      client.close();
    }
  },
};

function lineOf(activity: Activity, style: Style): string {
  const { what, type, rules, segments, slots, stages, detail } = activity;
  const time = activity.at.replace(/^.*T/, '').replace('Z', '');
  const total = stages.find((stage) => stage.name === 'total')?.ms ?? stages.reduce((sum, stage) => sum + stage.ms, 0);
  return [
    style.dim(time.padEnd(12)),
    printable(activity.visitorId).padEnd(16),
    what === 'FOLDED' ? style.bold(printable(type)) : `${colorOf(what, style)(what.toLowerCase())} ${printable(type)}`,
    propertiesOf(activity.properties),
    rules.length === 0 ? '' : style.yellow(`rules ${rules.join(', ')}`),
    segments.length === 0 ? '' : style.yellow(`segments ${segments.join(' ')}`),
    slots.length === 0 ? '' : style.green(slots.map(({ name, content }) => `${name} → ${content.id}`).join(', ')),
    detail === null ? '' : style.red(printable(detail)),
    stages.length === 0 ? '' : style.dim(`${total.toFixed(1)} ms`),
  ]
    .filter(Boolean)
    .join('  ');
}

function colorOf(what: Activity['what'], style: Style): (text: string) => string {
  return what === 'FAILED' ? style.red : what === 'TIMER' || what === 'TOUCHED' ? style.dim : style.yellow;
}

function propertiesOf(properties: JsonObject | null): string {
  if (properties === null) return '';
  const text = Object.entries(properties)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
  return printable(text.length > propertiesCharactersMax ? `${text.slice(0, propertiesCharactersMax)}…` : text);
}
