import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { redisNeeds, startRedis, stopRedis } from '../scripts/engines/redis.ts';
import { median, poster, processorTime, spawnServer, startSlots, stopChild } from './measure.ts';

/**
 * A query of two slots with a signed visit token, answered from Redis by one core: Usher beside other servers that do the same job
 * (`$USHER_SAMPLES/peers/graphql`), in turn, with the same load.
 */
export interface SlotsResult {
  readonly servers: readonly ServerResult[];
  /** Usher's requests a second by those of Mercurius with JIT in the same round, of each round. */
  readonly ratios: readonly number[];
}
interface ServerResult extends Load {
  readonly name: string;
}
interface Load {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Processor time of the server for one request. */
  readonly cpuUs: number;
}

const peers = ['http', 'fast', 'yoga', 'yoga-jit', 'mercurius', 'mercurius-jit', 'apollo'];
/** The peers' programs have it written in them. */
const redisPort = 29_079;
const peerPort = 29_080;
const connections = 32;

/** null: not run, and why was printed. */
export async function slots(seconds: number, rounds: number): Promise<SlotsResult | null> {
  const samples = process.env['USHER_SAMPLES'];
  const missing = samples === undefined ? 'USHER_SAMPLES is not set, the peers are there' : redisNeeds();
  if (missing !== null) {
    console.log(`slots: skipped: ${missing}`);
    return null;
  }
  const folder = installPeers(join(samples!, 'peers/graphql'));
  const data = mkdtempSync(join(tmpdir(), 'usher-bench-redis-'));
  await startRedis({ folder: data, port: redisPort });
  try {
    const found = new Map<string, Load[]>();
    const note = (name: string, load: Load) => found.set(name, [...(found.get(name) ?? []), load]);
    for (let round = 0; round < rounds; round++) {
      note('usher', await loadUsher('fast', folder, seconds));
      for (const peer of peers) note(peer, await loadPeer(peer, folder, seconds));
      note('usher, fastLane off', await loadUsher('yoga', folder, seconds));
    }
    const of = (name: string) => found.get(name)!;
    return {
      servers: [...found].map(([name, loads]) => ({
        name,
        perSecond: median(loads.map(({ perSecond }) => perSecond)),
        p50: median(loads.map(({ p50 }) => p50)),
        p99: median(loads.map(({ p99 }) => p99)),
        cpuUs: median(loads.map(({ cpuUs }) => cpuUs)),
      })),
      ratios: of('usher').map(({ perSecond }, round) => perSecond / of('mercurius-jit')[round]!.perSecond),
    };
  } finally {
    await stopRedis(data);
    rmSync(data, { recursive: true, force: true });
  }
}

/** Their packages are no part of ours: they are installed beside a copy of their programs, once. */
function installPeers(from: string): string {
  const folder = join(tmpdir(), 'usher-bench-peers');
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', 'server.mjs']) {
    rmSync(join(folder, name), { force: true });
    copyFileSync(join(from, name), join(folder, name));
  }
  if (!existsSync(join(folder, 'node_modules/autocannon'))) {
    const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'ignore' });
    if (status !== 0) throw new Error(`npm install in ${folder} ended with ${status}`);
  }
  return folder;
}

const ourQuery = 'query S($n: [String!]) { personalizedSlots(names: $n) { name source version content { id data } } }';

async function loadUsher(lane: 'fast' | 'yoga', folder: string, seconds: number): Promise<Load> {
  // Its log is a new one, and a state is of one log.
  execFileSync('redis-cli', ['-p', String(redisPort), 'flushall']);
  const server = await startSlots(`redis://127.0.0.1:${redisPort}`, lane);
  try {
    const ask = async (token: string | undefined, query: string, variables: object = {}) =>
      JSON.parse(await poster(server.port, '/graphql', 1, token)(JSON.stringify({ query, variables }))).data;
    const { token } = (await ask(undefined, 'mutation { startVisit { token } }')).startVisit;
    const event = { type: 'product_viewed', properties: { productId: 'p_17' } };
    await ask(token, 'mutation ($e: TrackEventInput!) { trackEvent(input: $e) { outcome { status } } }', { e: event });
    const variables = { n: ['hero', 'rail'] };
    const isDecided = async () =>
      (await ask(token, ourQuery, variables)).personalizedSlots.every(
        ({ source }: { source: string }) => source === 'RULE',
      );
    await until('the slots are decided', isDecided);
    return load(folder, server, { query: ourQuery, variables }, seconds, token);
  } finally {
    await server.stop();
  }
}

/** As in the peers' run.sh. */
const peerQuery =
  'query S($v: ID!, $n: [String!]!) { personalizedSlots(visitorId: $v, names: $n) { name contentId reason version title image url } }';
const peerSlots = {
  hero: slot('hero', 'c1', 'RULE', 3, 'Spring shoes for you', 1),
  rail: slot('rail', 'c2', 'MODEL', 2, 'Goes well with it', 2),
};
function slot(name: string, contentId: string, reason: string, version: number, title: string, n: number) {
  return { name, contentId, reason, version, title, image: `https://cdn.example/${n}.jpg`, url: `/p/${n}` };
}

async function loadPeer(mode: string, folder: string, seconds: number): Promise<Load> {
  execFileSync('redis-cli', ['-p', String(redisPort), 'set', 'slots:v1', JSON.stringify(peerSlots)]);
  const child = spawnServer([join(folder, 'server.mjs'), mode, String(peerPort)]);
  try {
    const body = { query: peerQuery, variables: { v: 'v1', n: ['hero', 'rail'] } };
    const post = poster(peerPort, '/graphql', 1);
    const answers = () =>
      post(JSON.stringify(body)).then(
        (text) => text.includes('Spring shoes'),
        () => false,
      );
    await until(`${mode} answers`, answers);
    return load(folder, { port: peerPort, pid: child.pid! }, body, seconds);
  } finally {
    await stopChild(child);
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited 30 s until ${what}`);
    await sleep(20);
  }
}

/** 32 connections, each with one request under way, after two seconds to warm up. */
function load(
  folder: string,
  server: { readonly port: number; readonly pid: number },
  body: object,
  seconds: number,
  token?: string,
): Load {
  const run = (duration: number) => {
    const before = processorTime(server.pid);
    const headers = [
      'content-type: application/json',
      ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    ];
    const args = ['-j', '-c', String(connections), '-d', String(duration), '-m', 'POST', '-b', JSON.stringify(body)];
    for (const header of headers) args.push('-H', header);
    const tool = join(folder, 'node_modules/autocannon/autocannon.js');
    const url = `http://127.0.0.1:${server.port}/graphql`;
    const text = execFileSync(process.execPath, [tool, ...args, url], {
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
    const { requests, latency, errors, non2xx } = JSON.parse(text);
    if (errors + non2xx > 0) throw new Error(`${errors + non2xx} of ${requests.total} requests were not answered`);
    const cpuUs = (processorTime(server.pid) - before) / requests.total;
    return { perSecond: requests.total / duration, p50: latency.p50, p99: latency.p99, cpuUs };
  };
  run(2);
  return run(seconds);
}

export function printSlots(result: SlotsResult | null): void {
  if (result === null) return;
  for (const { name, perSecond, p50, p99, cpuUs } of result.servers) {
    console.log(
      `slots by ${name.padEnd(19)} ${Math.round(perSecond).toLocaleString('en').padStart(7)} req/s  p50 ${p50} ms  p99 ${p99} ms  ${cpuUs.toFixed(0)} µs of the processor each`,
    );
  }
  const ratios = result.ratios.map((ratio) => ratio.toFixed(2)).join(', ');
  console.log(`slots: Usher by Mercurius with JIT, by round: ${ratios} (aim: 1.0)`);
}
