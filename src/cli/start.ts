import { type RunningUsher, startUsher } from '../compose.ts';
import { type Config, flagOf, isClustered, loadConfig, type SettingName, settings } from '../config.ts';
import { formatProblem } from '../playbook/read.ts';
import type { CliIo, Command, CommandArgs, OptionDescription } from './command.ts';

const configFile = 'usher.yaml';

/** `--port`, `--data` …: one flag a setting, besides `--config FILE`. */
export const settingOptions: Readonly<Record<string, OptionDescription>> = {
  config: {
    type: 'string',
    value: 'FILE',
    help: `Settings file; ${configFile} in the current folder is read when it is there.`,
  },
  ...Object.fromEntries(
    Object.entries(settings).map(([name, setting]) => [
      flagOf(name),
      {
        type: 'string',
        value: 'VALUE',
        help: `${setting.help} [${setting.default ?? 'none'}] (${setting.env})`,
      } as const,
    ]),
  ),
};

/** The configuration that these arguments, the environment and the file make. */
export function configFrom(args: CommandArgs, io: CliIo): ReturnType<typeof loadConfig> {
  const flags: Partial<Record<SettingName, unknown>> = {};
  for (const name of Object.keys(settings) as SettingName[]) {
    const value = args.options[flagOf(name)];
    if (value !== undefined) flags[name] = value;
  }
  const asked = args.options['config'] ?? io.env['USHER_CONFIG'];
  return loadConfig({
    flags,
    env: io.env,
    file: { path: typeof asked === 'string' ? asked : configFile, required: typeof asked === 'string' },
  });
}

export const start: Command = {
  name: 'start',
  summary: 'Start Usher: all of it in one process, or with --role one part of a cluster',
  positionals: [],
  options: settingOptions,
  async run(args, io) {
    const { config } = configFrom(args, io);
    const startedAt = performance.now();
    const usher = await startUsher(config);
    io.out(banner(usher, config, performance.now() - startedAt, io.color));
    await new Promise<void>((resolve) => {
      if (io.signal.aborted) resolve();
      else io.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    io.err(`Stopping (${io.signal.reason}): finishing what was accepted. Once more stops at once.`);
    const late = Symbol('late');
    const deadline = new Promise<typeof late>((resolve) => setTimeout(resolve, config.stopDeadlineMs, late).unref());
    if ((await Promise.race([usher.stop(), deadline])) === late) {
      io.err(
        `Not stopped within ${config.stopDeadlineMs} ms (stopDeadlineMs). What was accepted is in the log and is folded at the next start.`,
      );
      return 1;
    }
    io.err('Stopped.');
    return 0;
  },
};

function banner(usher: RunningUsher, config: Config, ms: number, color: boolean): string {
  const strong = (text: string) => (color ? `\u001b[1m${text}\u001b[22m` : text);
  const warnings = usher.problems.filter((problem) => problem.severity === 'warning');
  const { rules, slots, events } = usher.playbook;
  const what = config.role === 'all' ? 'Usher' : `Usher's ${config.role}`;
  const lines = [
    '',
    `  ${strong(what)} runs after ${Math.round(ms)} ms with ${config.playbook}: ${events.size} event types, ${rules.size} rules, ${slots.size} slots`,
    ...(isClustered(config)
      ? [`  over Kafka at ${config.kafkaBrokers.join(', ')} and Redis, as "${config.namespace}"`]
      : []),
    '',
    ...addresses(usher, config, strong),
    ...warnings.map((problem) => `  Warning     ${formatProblem(problem)}`),
    '',
  ];
  return lines.join('\n');
}

function addresses(
  { url, mailUrl }: RunningUsher,
  config: Config,
  strong: (text: string) => string,
): readonly string[] {
  const health = `  Metrics     ${url}/metrics    health: /health, ready: /ready`;
  if (config.role === 'worker') return [health];
  if (config.mode === 'production') return [`  GraphQL     ${url}/graphql`, health];
  return [
    `  Shop page   ${strong(`${url}/`)}           a shop, and beside it what Usher knows`,
    `  GraphiQL    ${strong(`${url}/graphql`)}    try: track an event, ask for slots, subscribe`,
    ...(mailUrl === null ? [] : [`  Inbox       ${strong(`${url}/inbox`)}      mails that rules send`]),
    health,
    '',
    `  Be a visitor with the header  Authorization: Bearer dev:alice`,
    `  Be a server with the key in   ${config.data}/dev-key`,
  ];
}
