import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { parse } from 'yaml';
import type { FoldSettings } from '../../src/fold/settings.ts';
import type { Json } from '../../src/model/json.ts';
import type { LogRecord } from '../../src/model/record.ts';
import type { StateStore } from '../../src/state/stateStore.ts';
import { type CanonicalOptions, canonicalLines, type FoldedPart, readParts } from './canonical.ts';

const oracles = join(import.meta.dirname, '..', 'oracle');

/** Runs the oracle, which shares no code with Usher, against a running one. Answers its count of mismatches and all it printed. */
export async function askOracle(
  file: string,
  usher: { readonly url: string; readonly key: string },
  ...more: readonly string[]
): Promise<{ mismatches: number; visitors: number; output: string }> {
  const args = [join(oracles, 'rees46.py'), file, '--url', usher.url, '--key', usher.key, ...more];
  const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      output += part;
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const mismatches = /^mismatches (\d+)$/m.exec(output)?.[1];
  const visitors = /^visitors (\d+)$/m.exec(output)?.[1];
  if (mismatches === undefined || visitors === undefined) throw new Error(`the oracle ended with ${code}:\n${output}`);
  return { mismatches: Number(mismatches), visitors: Number(visitors), output };
}

/** Bundles by hash as the fold's oracle reads them: YAML as data, nothing of what Usher makes of it. */
export type PlainBundles = Readonly<Record<string, Json>>;

export function plainBundle(text: string): Json {
  const bundle = JSON.parse(text) as { readonly files?: Readonly<Record<string, string>> };
  if (bundle.files === undefined) return bundle as Json;
  return { files: Object.fromEntries(Object.entries(bundle.files).map(([path, yaml]) => [path, parse(yaml) as Json])) };
}

/** A log as `dumpRecords` of topicDump.ts wrote it, with what it takes to fold it. */
export interface OracleLog {
  /** Path of the dump. */
  readonly dump: string;
  readonly bundles: PlainBundles;
  readonly shards: number;
  readonly settings?: Partial<FoldSettings>;
  /** The offset up to which to fold, by shard; absent: all there is. */
  readonly ends?: Ends;
}

/** What test/oracle/fold, written from the pages alone, says that a log folds to. */
export async function foldOracle(log: OracleLog, options: CanonicalOptions = {}): Promise<readonly string[]> {
  return canonicalLines(await oracleParts(log), options);
}

export interface Comparison {
  readonly visitors: number;
  /** Visitors, failed events of a shard and shards that the two do not tell alike. */
  readonly mismatches: number;
  /** The first of them in words; null: there is none. */
  readonly first: string | null;
  /** Records of the log that the store has not folded yet, which a store that has lost its end would have too. */
  readonly behind: number;
}

/**
 * Compares what a store holds with what the oracle makes of the same log, as far as the store has folded it; bundles are read from
 * the store.
 */
export async function compareWithOracle(
  store: StateStore,
  log: Omit<OracleLog, 'bundles' | 'ends'>,
  /** After a rebuild a shard has its visitors, not its failed events and all of its counters (4.7). */
  options: { readonly visitorsOnly?: boolean } = {},
): Promise<Comparison> {
  const ours = await readParts(store, log.shards);
  const ends = Object.fromEntries(ours.flatMap((part) => ('meta' in part ? [[part.shard, part.meta.position]] : [])));
  const { bundles, behind } = await lookThrough(log.dump, ends, (hash) => store.readBundle(hash));
  const theirs = await oracleParts({ ...log, bundles, ends });
  const compared = (parts: readonly FoldedPart[]) =>
    options.visitorsOnly ? parts.filter((part) => 'visitor' in part) : parts;
  return { ...compareParts(compared(ours), compared(theirs)), behind };
}

/** @param ours what Usher's fold made, @param theirs what the oracle made of the same log */
export function compareParts(ours: readonly FoldedPart[], theirs: readonly FoldedPart[]): Omit<Comparison, 'behind'> {
  const [usher, oracle] = [bySubject(ours), bySubject(theirs)];
  const differing = [...new Set([...usher.keys(), ...oracle.keys()])]
    .sort()
    .filter((subject) => usher.get(subject) !== oracle.get(subject));
  const [subject] = differing;
  return {
    visitors: theirs.filter((part) => 'visitor' in part).length,
    mismatches: differing.length,
    first: subject === undefined ? null : `${subject}: ${difference(usher.get(subject), oracle.get(subject))}`,
  };
}

function bySubject(parts: readonly FoldedPart[]): ReadonlyMap<string, string> {
  return new Map(parts.map((part) => [subjectOf(part), canonicalLines([part])[0]!]));
}
function subjectOf(part: FoldedPart): string {
  if ('visitor' in part) return `visitor ${part.visitor.id} of shard ${part.shard}`;
  return `${'failed' in part ? 'failed events of shard' : 'shard'} ${part.shard}`;
}

/** "visitor.counts.late: usher 1, oracle 2". */
function difference(usher: string | undefined, oracle: string | undefined): string {
  if (usher === undefined || oracle === undefined) return `only ${usher === undefined ? 'the oracle' : 'usher'} has it`;
  let [path, ours, theirs]: [string, unknown, unknown] = ['', JSON.parse(usher), JSON.parse(oracle)];
  for (;;) {
    const [a, b] = [membersOf(ours), membersOf(theirs)];
    const name = a && b && [...new Set([...Object.keys(a), ...Object.keys(b)])].find((each) => !same(a[each], b[each]));
    if (a === null || b === null || name === null || name === undefined) break;
    path = path === '' ? name : `${path}.${name}`;
    [ours, theirs] = [a[name], b[name]];
  }
  return `${path}: usher ${JSON.stringify(ours)}, oracle ${JSON.stringify(theirs)}`;
}
function membersOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return value !== null && typeof value === 'object' ? (value as Readonly<Record<string, unknown>>) : null;
}
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

type Ends = Readonly<Record<string, number>>;

/** The bundles that a log's activations name, and how many of its records lie beyond these ends. */
async function lookThrough(
  dump: string,
  ends: Ends,
  read: (hash: string) => Promise<string | null>,
): Promise<{ readonly bundles: PlainBundles; readonly behind: number }> {
  const bundles: Record<string, Json> = {};
  let behind = 0;
  for await (const line of createInterface({ input: createReadStream(dump, 'utf8') })) {
    const { shard, offset, value } = JSON.parse(line) as LogRecord;
    if (offset >= (ends[shard] ?? 0)) behind++;
    if (!value.includes('"activate"')) continue;
    for (const hash of hashesOf(value)) {
      const text = hash in bundles ? null : await read(hash);
      if (text !== null) bundles[hash] = plainBundle(text);
    }
  }
  return { bundles, behind };
}

/** Of a playbook and a catalog, if this is an activation. */
function hashesOf(value: string): readonly string[] {
  try {
    const { kind, playbook, catalog } = JSON.parse(value) as { kind?: string; playbook: string; catalog: string };
    return kind === 'activate' ? [playbook, catalog] : [];
  } catch {
    return [];
  }
}

async function oracleParts({ dump, bundles, shards, settings, ends }: OracleLog): Promise<readonly FoldedPart[]> {
  const folder = await mkdtemp(join(tmpdir(), 'usher-oracle-'));
  try {
    const args = ['--log', dump, '--shards', String(shards)];
    for (const [name, value] of Object.entries({ bundles, settings, ends })) {
      if (value === undefined) continue;
      const path = join(folder, `${name}.json`);
      await writeFile(path, JSON.stringify(value));
      args.push(`--${name}`, path);
    }
    const { child, lines, ended } = start(args);
    child.stdin!.end();
    const parts: FoldedPart[] = [];
    for await (const line of lines) parts.push(JSON.parse(line) as FoldedPart);
    await ended;
    return parts;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What the oracle saw of a short log at one moment. */
export interface OracleLook {
  readonly lines: readonly FoldedPart[];
  /** By visitor: `visitor`, `session`, `cart` and `traits`, as conditions read them. */
  readonly facts: Readonly<Record<string, object>>;
  /** Ids of events in the order they were folded, timers in the order they fired. */
  readonly folded: readonly string[];
  readonly fired: readonly string[];
  /** Events that rules appended, in order. */
  readonly appended: readonly Json[];
  /** Messages that rules sent, in order. */
  readonly ordered: readonly Json[];
  /** Merges and forwards, in order. */
  readonly sent: readonly Record<string, unknown>[];
}

export interface OracleJob {
  readonly records: readonly Omit<LogRecord, 'key'>[];
  readonly shards: number;
  readonly settings: Partial<FoldSettings>;
  /** Places of the records after which to look; at the end it looks anyway. */
  readonly looks: readonly number[];
}

/** An oracle that stays, for many short logs: starting Python takes longer than folding one. */
export class StandingOracle {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<void>;
  readonly #folder: string;

  static async start(bundles: PlainBundles): Promise<StandingOracle> {
    const folder = await mkdtemp(join(tmpdir(), 'usher-oracle-'));
    const path = join(folder, 'bundles.json');
    await writeFile(path, JSON.stringify(bundles));
    return new StandingOracle(start(['--jobs', '--bundles', path]), folder);
  }

  private constructor({ child, lines, ended }: Started, folder: string) {
    this.#child = child;
    this.#lines = lines[Symbol.asyncIterator]();
    this.#ended = ended;
    this.#folder = folder;
  }

  /** One call at a time. Answers what was seen at each look, the end last. */
  async fold(job: OracleJob): Promise<readonly OracleLook[]> {
    this.#child.stdin!.write(`${JSON.stringify(job)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) await this.#ended;
    return JSON.parse(value as string) as OracleLook[];
  }

  async stop(): Promise<void> {
    this.#child.stdin!.end();
    await this.#ended;
    await rm(this.#folder, { recursive: true });
  }
}

interface Started {
  readonly child: ChildProcess;
  readonly lines: Interface;
  /** Rejects with what it wrote to stderr, unless it ended well. */
  readonly ended: Promise<void>;
}

function start(args: readonly string[]): Started {
  const child = spawn('python3', ['-B', join(oracles, 'fold'), ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    told += part;
  });
  // What is written after its end is told by `ended`.
  child.stdin.on('error', () => {});
  const ended = once(child, 'close').then(([code]) => {
    if (code !== 0) throw new Error(`the oracle ended with ${code}:\n${told}`);
  });
  ended.catch(() => {});
  return { child, lines: createInterface({ input: child.stdout }), ended };
}
