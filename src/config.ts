import { readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { UsherError } from './errors.ts';
import type { InputMapping } from './model/inputs.ts';
import { nearest } from './model/nearest.ts';

/** One setting: where it is read from, what it may be, and what it means. docs/config.md is printed from this table. */
interface Setting<T> {
  /** Environment variable; the flag and the file's key follow from it (`USHER_DATA` → `--data`, `data`). */
  readonly env: string;
  readonly schema: z.ZodType<T>;
  readonly default: T | undefined;
  readonly unit?: string;
  readonly secret?: true;
  readonly help: string;
}

const whole = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const yesNo = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);
const list = z.union([
  z.array(z.string()),
  z.string().transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  ),
]);

const address = z
  .string()
  .regex(/^https?:\/\/[^/?#]+\/?$/, 'expected https://host, without a path')
  .transform((text) => text.replace(/\/$/, ''));

/** A list that may be empty, which an environment variable cannot say otherwise: `none`. */
const listOrNone = list.transform((items) => items.filter((item) => item !== 'none'));
const word = z.string().min(1);
const inputRow = z.strictObject({
  type: word,
  visitor: word.optional(),
  user: word.optional(),
  at: word.optional(),
  id: word.optional(),
});
/** `topic=type,topic=type`, or a map of topics to types or rows. */
const inputMappings = z.unknown().transform((given, context): readonly InputMapping[] => {
  const entries = typeof given === 'string' ? given.split(',').map((pair) => pair.split('=')) : entriesOf(given);
  const seen = new Set<unknown>();
  return entries.flatMap((entry): readonly InputMapping[] => {
    const [topic, row, ...more] = entry.map((part) => (typeof part === 'string' ? part.trim() : part));
    const read = inputRow.safeParse(typeof row === 'string' ? { type: row } : row);
    const isName = typeof topic === 'string' && /^[A-Za-z0-9._-]{1,249}$/.test(topic);
    if (isName && read.success && more.length === 0 && !seen.has(topic) && !(read.data.visitor && read.data.user)) {
      seen.add(topic);
      return [{ topic, ...read.data }];
    }
    const expected =
      'expected topic=event_type,… or in the file a map of topics to an event type or {type, visitor or user, at, id}, each topic once';
    context.addIssue({ code: 'custom', message: `${expected}; ${JSON.stringify(topic ?? given)} is not so` });
    return [];
  });
});
function entriesOf(given: unknown): readonly (readonly unknown[])[] {
  return typeof given === 'object' && given !== null && !Array.isArray(given) ? Object.entries(given) : [[undefined]];
}

function setting<T>(s: Setting<T>): Setting<T> {
  return s;
}

/** Every setting. An unknown key in a file, or an unknown `USHER_…` variable, is an error that names the nearest. */
export const settings = {
  port: setting({
    env: 'PORT',
    schema: whole(0, 65_535),
    default: 4000,
    help: 'TCP port of HTTP and WebSocket; 0 takes a free one.',
  }),
  host: setting({
    env: 'HOST',
    schema: z.string(),
    default: '127.0.0.1',
    help: 'Address to listen on; 0.0.0.0 for all.',
  }),
  mode: setting({
    env: 'USHER_MODE',
    schema: z.enum(['development', 'production']),
    default: 'development',
    help: 'Development has dev:NAME tokens, GraphiQL, the start page and open CORS for localhost; production has none of them.',
  }),
  data: setting({
    env: 'USHER_DATA',
    schema: z.string().min(1),
    default: '.usher',
    help: 'Folder of the SQLite file and, in development, of the generated secrets.',
  }),
  playbook: setting({
    env: 'USHER_PLAYBOOK',
    schema: z.string().min(1),
    default: 'playbooks/demo-store',
    help: 'Folder of the playbook.',
  }),
  watch: setting({
    env: 'USHER_WATCH',
    schema: yesNo,
    default: true,
    help: 'Reload the playbook when its files change; a broken one is reported and the last good one stays.',
  }),
  role: setting({
    env: 'USHER_ROLE',
    schema: z.enum(['all', 'gateway', 'worker']),
    default: 'all',
    help: 'What this process does: gateway answers callers, worker folds and publishes the playbook, all does both. Any number of each share a cluster.',
  }),
  kafkaBrokers: setting({
    env: 'USHER_KAFKA_BROKERS',
    schema: list,
    default: [] as string[],
    help: 'Brokers of the log, host:port, at least one; set together with redisUrl. Without the two, Usher runs embedded: one process, one file.',
  }),
  kafkaTls: setting({
    env: 'USHER_KAFKA_TLS',
    schema: yesNo,
    default: false,
    help: 'Reach the brokers over TLS.',
  }),
  kafkaSasl: setting({
    env: 'USHER_KAFKA_SASL',
    schema: z.enum(['none', 'plain', 'scram-sha-256', 'scram-sha-512']),
    default: 'none',
    help: 'How this process proves to the brokers who it is.',
  }),
  kafkaUser: setting({
    env: 'USHER_KAFKA_USER',
    schema: z.string(),
    default: '',
    help: 'User name for kafkaSasl.',
  }),
  kafkaPassword: setting({
    env: 'USHER_KAFKA_PASSWORD',
    schema: z.string(),
    default: '',
    secret: true,
    help: 'Password for kafkaSasl.',
  }),
  kafkaReplication: setting({
    env: 'USHER_KAFKA_REPLICATION',
    schema: whole(1, 9),
    default: 1,
    help: 'Copies of each partition that topics are made with; production wants 3.',
  }),
  kafkaMinInsync: setting({
    env: 'USHER_KAFKA_MIN_INSYNC',
    schema: whole(1, 9),
    default: 1,
    help: 'How many copies must have an event before it counts as accepted; production wants 2 of 3.',
  }),
  redisUrl: setting<string | undefined>({
    env: 'USHER_REDIS_URL',
    schema: z
      .string()
      .regex(/^rediss?:\/\//, 'expected redis://… or rediss://…')
      .optional(),
    default: undefined,
    secret: true,
    help: 'Redis of the state: redis://[user:password@]host:port[/db], or rediss:// for TLS; set together with kafkaBrokers.',
  }),
  namespace: setting({
    env: 'USHER_NAMESPACE',
    schema: z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'expected lower-case letters, digits and -'),
    default: 'usher',
    help: 'First part of every topic, consumer group and Redis key: several Ushers can share one Kafka and one Redis.',
  }),
  outputs: setting({
    env: 'USHER_OUTPUTS',
    schema: listOrNone.pipe(z.array(z.enum(['decisions', 'failed', 'profiles']))),
    default: ['decisions', 'failed', 'profiles'] as ('decisions' | 'failed' | 'profiles')[],
    help: 'What a cluster tells other systems, besides events: each is a topic NAMESPACE.NAME, with a schema under schema/outputs. `none`: nothing. Without profiles a state that is lost is folded from the log alone.',
  }),
  outputEvents: setting({
    env: 'USHER_OUTPUT_EVENTS',
    schema: listOrNone.pipe(z.array(z.string().regex(/^(\*|[A-Za-z0-9_-]{1,100})$/, 'expected types of events, or *'))),
    default: ['*'],
    help: 'Types of events that a cluster copies from the log to topics of their own, NAMESPACE.events.TYPE; * for all, `none` for none.',
  }),
  outputPartitions: setting({
    env: 'USHER_OUTPUT_PARTITIONS',
    schema: whole(1, 1024),
    default: 12,
    help: 'Partitions that topics for other systems are made with; the key is the visitor.',
  }),
  smtpUrl: setting({
    env: 'USHER_SMTP_URL',
    schema: list.pipe(
      z.array(
        z.string().regex(/^([A-Za-z0-9_-]+=)?smtps?:\/\//, 'expected smtp://… or smtps://…, or destination=smtp://…'),
      ),
    ),
    default: [] as string[],
    secret: true,
    help: 'Mail server of the destinations of kind smtp: smtp://user:password@host:587 (with ?tls=offered mail may go unencrypted) or smtps://…; destination=smtp://… for one of them alone. Development without it keeps mail for the page /inbox.',
  }),
  webhookSecrets: setting({
    env: 'USHER_WEBHOOK_SECRETS',
    schema: list.pipe(z.array(z.string().regex(/^[A-Z][A-Z0-9_]*=./, 'expected NAME=secret'))),
    default: [] as string[],
    secret: true,
    help: 'Secrets that sign web hooks, comma-separated, each `NAME=whsec_…` with the name that the playbook gives. Two of one name sign both: so a secret is changed.',
  }),
  webhookAllowPrivate: setting({
    env: 'USHER_WEBHOOK_ALLOW_PRIVATE',
    schema: list,
    default: [] as string[],
    help: 'Addresses and networks (10.1.0.0/16) that web hooks may call though they are not public, also by http. All others that are not public are refused.',
  }),
  sessionTimeoutMs: setting({
    env: 'USHER_SESSION_TIMEOUT_MS',
    schema: whole(1_000, 1_800_000),
    default: 10_000,
    unit: 'ms',
    help: 'A worker that Kafka does not hear of for this long loses its shards to the others.',
  }),
  inputs: setting({
    env: 'USHER_INPUTS',
    schema: inputMappings,
    default: [] as readonly InputMapping[],
    help: 'Topics of other programs whose records are taken in as events: topic=event_type,topic=event_type; see docs/inputs.md.',
  }),
  shards: setting({
    env: 'USHER_SHARDS',
    schema: whole(1, 1024),
    default: 8,
    help: 'Number of shards, chosen once for a data folder or a cluster (where 64 is the default).',
  }),
  secret: setting<string | undefined>({
    env: 'USHER_SECRET',
    schema: z.string().min(32).optional(),
    default: undefined,
    secret: true,
    help: 'Signs visit tokens, at least 32 characters. Development makes one and keeps it in the data folder; production needs it.',
  }),
  secretKeys: setting({
    env: 'USHER_SECRET_KEYS',
    schema: list,
    default: [] as string[],
    secret: true,
    help: 'Secret keys for servers, comma-separated, each `usk_…=scope+scope` with the scopes write, read, import, operate.',
  }),
  identitySecrets: setting({
    env: 'USHER_IDENTITY_SECRETS',
    schema: list.refine(
      (entries) => entries.every((entry) => entry.length >= 32),
      'expected at least 32 characters each',
    ),
    default: [] as string[],
    secret: true,
    help: "Secrets by which the site's backend signs tokens for identify (HS256), comma-separated, each SECRET or KID:SECRET of at least 32 characters; several while one follows another.",
  }),
  identityJwks: setting<string | undefined>({
    env: 'USHER_IDENTITY_JWKS',
    schema: z
      .string()
      .min(1)
      .refine(
        (place) => !/^http:/.test(place) || /^http:\/\/(localhost|127\.0\.0\.1)[:/]/.test(place),
        'expected https://…, or a file; http:// of this machine alone',
      )
      .optional(),
    default: undefined,
    help: "Address or file of the public keys (JWKS) of the site's backend, for tokens of RS256, ES256 or EdDSA.",
  }),
  identityAudience: setting({
    env: 'USHER_IDENTITY_AUDIENCE',
    schema: z.string().min(1),
    default: 'usher',
    help: 'What a token for identify must have as aud.',
  }),
  identityMaxHours: setting({
    env: 'USHER_IDENTITY_MAX_HOURS',
    schema: whole(1, 24 * 30),
    default: 1,
    unit: 'h',
    help: 'How far in the future the exp of a token for identify may be.',
  }),
  publicUrl: setting<string | undefined>({
    env: 'USHER_PUBLIC_URL',
    schema: address.optional(),
    default: undefined,
    help: 'Where mail programs reach this Usher to unsubscribe, https://usher.shop.example. Development: where it listens.',
  }),
  shopUrl: setting<string | undefined>({
    env: 'USHER_SHOP_URL',
    schema: address.optional(),
    default: undefined,
    help: 'The shop that links and pictures of messages lead to; theirs that begin with / follow it. Default: publicUrl.',
  }),
  offerDays: setting({
    env: 'USHER_OFFER_DAYS',
    schema: whole(1, 365),
    default: 7,
    unit: 'd',
    help: 'What the signed link of a message promises holds for so long.',
  }),
  corsOrigins: setting({
    env: 'USHER_CORS_ORIGINS',
    schema: list,
    default: [] as string[],
    help: 'Origins whose pages may call Usher. Development also allows http://localhost:* and http://127.0.0.1:*.',
  }),
  visitTokenHours: setting({
    env: 'USHER_VISIT_TOKEN_HOURS',
    schema: whole(1, 24 * 365),
    default: 24 * 30,
    unit: 'h',
    help: 'Life of a visit token.',
  }),
  catalogSnapshotSeconds: setting({
    env: 'USHER_CATALOG_SNAPSHOT_SECONDS',
    schema: whole(1, 3_600),
    default: 10,
    unit: 's',
    help: 'Rules see imported products by snapshots that are at least so far apart; pages see them at once.',
  }),
  maxEventAgeHours: setting({
    env: 'USHER_MAX_EVENT_AGE_HOURS',
    schema: whole(1, 24 * 30),
    default: 24,
    unit: 'h',
    help: 'Older events are refused unless imported.',
  }),
  visitorRetentionDays: setting({
    env: 'USHER_VISITOR_RETENTION_DAYS',
    schema: whole(1, 3650),
    default: 90,
    unit: 'd',
    help: 'A visitor without an event for this long is forgotten.',
  }),
  logRetentionDays: setting({
    env: 'USHER_LOG_RETENTION_DAYS',
    schema: whole(1, 3650),
    default: 30,
    unit: 'd',
    help: 'The log keeps records for this long: folded ones of the embedded log, all of a topic that Usher makes.',
  }),
  logRetentionMb: setting({
    env: 'USHER_LOG_RETENTION_MB',
    schema: whole(1, 1_000_000),
    default: 4096,
    unit: 'MB',
    help: 'Folded records beyond this size are trimmed from the embedded log, oldest first.',
  }),
  slotsDeadlineMs: setting({
    env: 'USHER_SLOTS_DEADLINE_MS',
    schema: whole(1, 10_000),
    default: 100,
    unit: 'ms',
    help: 'personalizedSlots answers with fallbacks after this long (plus waitMs).',
  }),
  appendDeadlineMs: setting({
    env: 'USHER_APPEND_DEADLINE_MS',
    schema: whole(10, 60_000),
    default: 5_000,
    unit: 'ms',
    help: 'trackEvent answers UNKNOWN after this long.',
  }),
  stopDeadlineMs: setting({
    env: 'USHER_STOP_DEADLINE_MS',
    schema: whole(100, 600_000),
    default: 10_000,
    unit: 'ms',
    help: 'A graceful stop that takes longer is cut off with exit code 1.',
  }),
  fastLane: setting({
    env: 'USHER_FAST_LANE',
    schema: yesNo,
    default: true,
    help: 'Answer JSON POSTs of queries and mutations straight from node:http; off: everything goes through GraphQL Yoga, with the same answers.',
  }),
  logLevel: setting({
    env: 'LOG_LEVEL',
    schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
    default: 'info',
    help: 'Least level that is logged.',
  }),
} as const;

export type SettingName = keyof typeof settings;
export type Config = { readonly [K in SettingName]: (typeof settings)[K] extends Setting<infer T> ? T : never };
export interface LoadedConfig {
  readonly config: Config;
  /** Where each value came from: `default`, `file usher.yaml`, `env USHER_DATA`, `flag --data`. */
  readonly origins: { readonly [K in SettingName]: string };
}

/** `visitTokenHours` → `visit-token-hours`. */
export function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * Flag > environment > file > default.
 * @throws UsherError CONFIG_INVALID, naming the setting, its origin, what was expected and what came
 */
export function loadConfig(from: {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A YAML file; read if it is there, required if it was asked for. */
  readonly file?: { readonly path: string; readonly required: boolean };
}): LoadedConfig {
  const names = Object.keys(settings) as SettingName[];
  const fileValues = from.file === undefined ? {} : readConfigFile(from.file);
  for (const key of Object.keys(fileValues)) {
    if (!names.includes(key as SettingName)) throw unknownKey(key, `file ${from.file?.path}`, names);
  }
  const variables = names.map((name) => settings[name].env);
  for (const key of Object.keys(from.env ?? {})) {
    if (
      key.startsWith('USHER_') &&
      key !== 'USHER_CONFIG' &&
      key !== 'USHER_SAMPLES' &&
      !key.startsWith('USHER_TEST_') &&
      !variables.includes(key as never)
    ) {
      throw unknownKey(key, 'the environment', variables);
    }
  }
  const config: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  for (const name of names) {
    const { env, schema, default: fallback } = settings[name] as Setting<unknown>;
    const flag = from.flags?.[name];
    const variable = from.env?.[env];
    const [value, origin] =
      flag !== undefined
        ? [flag, `flag --${flagOf(name)}`]
        : variable !== undefined && variable !== ''
          ? [variable, `env ${env}`]
          : fileValues[name] !== undefined
            ? [fileValues[name], `file ${from.file?.path}`]
            : [fallback, 'default'];
    const parsed = origin === 'default' ? { success: true as const, data: fallback } : schema.safeParse(value);
    if (!parsed.success) {
      const expected = parsed.error.issues.map((issue) => issue.message).join('; ');
      const shown = (settings[name] as Setting<unknown>).secret ? 'a value that is not shown' : JSON.stringify(value);
      throw new UsherError('CONFIG_INVALID', `${name} (${origin}) is ${shown}: ${expected}`);
    }
    config[name] = parsed.data;
    origins[name] = origin;
  }
  if (isClustered(config as Config) && origins['shards'] === 'default') config['shards'] = clusteredShards;
  checkTogether(config as Config);
  return { config: config as Config, origins: origins as LoadedConfig['origins'] };
}

/** A cluster lives long and grows; more shards than workers will ever be cost little. */
const clusteredShards = 64;

/** Over Kafka and Redis, not over one file. */
export function isClustered(config: Pick<Config, 'kafkaBrokers' | 'redisUrl'>): boolean {
  return config.kafkaBrokers.length > 0 && config.redisUrl !== undefined;
}

/** What is right by itself, and wrong beside another setting. */
function checkTogether(config: Config): void {
  const wrong = (message: string) => new UsherError('CONFIG_INVALID', message);
  const { kafkaBrokers, redisUrl, role, kafkaReplication, kafkaMinInsync, kafkaSasl, kafkaUser } = config;
  if (kafkaBrokers.length > 0 !== (redisUrl !== undefined)) {
    const [given, missing] = redisUrl === undefined ? ['kafkaBrokers', 'redisUrl'] : ['redisUrl', 'kafkaBrokers'];
    throw wrong(`${given} is set and ${missing} is not; a cluster needs both, an embedded Usher neither`);
  }
  if (role !== 'all' && !isClustered(config)) {
    throw wrong(`role is ${role}; an embedded Usher is one process: set kafkaBrokers and redisUrl, or take role all`);
  }
  if (kafkaMinInsync > kafkaReplication) {
    throw wrong(`kafkaMinInsync is ${kafkaMinInsync}, more than the ${kafkaReplication} copies of kafkaReplication`);
  }
  if (config.inputs.length > 0 && !isClustered(config)) {
    throw wrong('inputs are topics of Kafka; an embedded Usher has none: set kafkaBrokers and redisUrl');
  }
  const ours = config.inputs.find(({ topic }) => topic.startsWith(`${config.namespace}.`));
  if (ours !== undefined) {
    throw wrong(`inputs: ${ours.topic} is a topic of this Usher; its own events would come in again and again`);
  }
  if (kafkaSasl !== 'none' && kafkaUser === '') throw wrong(`kafkaSasl is ${kafkaSasl} and kafkaUser is not set`);
}

function readConfigFile(file: { path: string; required: boolean }): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file.path, 'utf8');
  } catch (error) {
    if (!file.required) return {};
    throw new UsherError(
      'CONFIG_INVALID',
      `the settings file ${file.path} cannot be read: ${(error as Error).message}`,
    );
  }
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new UsherError('CONFIG_INVALID', `the settings file ${file.path} is not YAML: ${(error as Error).message}`);
  }
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new UsherError('CONFIG_INVALID', `the settings file ${file.path} must be a map of settings`);
  }
  return value as Record<string, unknown>;
}

function unknownKey(key: string, where: string, known: readonly string[]): UsherError {
  const near = nearest(key, known);
  return new UsherError(
    'CONFIG_INVALID',
    `${key} in ${where} is not a setting${near === null ? '' : `; did you mean ${near}?`}`,
  );
}
