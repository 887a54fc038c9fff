import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, poster, type Server, startUsher } from './measure.ts';
import { lagOf, sendVisits, visitorsOfVisits } from './visits.ts';

/** How many events one core takes in, checks, logs durably and folds; and how long the fold is behind at the end. */
export interface IngestResult {
  readonly batchPerSecond: number;
  readonly batchLagMs: number;
  readonly singlePerSecond: number;
  readonly singleLagMs: number;
  readonly bytesPerVisitor: number;
}

const perCall = 100;
const visitors = 5_000;

export async function ingest(seconds: number, rounds: number): Promise<IngestResult> {
  const batch = await repeat(rounds, (server, key) => measure(server, key, seconds, 8, batchBody, perCall));
  const single = await repeat(rounds, (server, key) => measure(server, key, seconds, 64, singleBody, 1));
  const bytesPerVisitor = await withUsher(bytesAfter20Events, 'playbooks/demo-store');
  return {
    batchPerSecond: batch.perSecond,
    batchLagMs: batch.lagMs,
    singlePerSecond: single.perSecond,
    singleLagMs: single.lagMs,
    bytesPerVisitor,
  };
}

async function withUsher<T>(run: (server: Server, key: string) => Promise<T>, playbook?: string): Promise<T> {
  const server = await startUsher(playbook);
  try {
    return await run(server, readFileSync(join(server.folder, 'dev-key'), 'utf8').trim());
  } finally {
    await server.stop();
  }
}

interface Intake {
  readonly perSecond: number;
  readonly lagMs: number;
}

/** Each round on a fresh server; the median of each figure. */
async function repeat(rounds: number, run: (server: Server, key: string) => Promise<Intake>): Promise<Intake> {
  const results: Intake[] = [];
  for (let round = 0; round < rounds; round++) results.push(await withUsher(run));
  return {
    perSecond: median(results.map(({ perSecond }) => perSecond)),
    lagMs: median(results.map(({ lagMs }) => lagMs)),
  };
}

const batchQuery = 'mutation($input: TrackEventsInput!) { trackEvents(input: $input) { accepted refused unknown } }';
function batchBody(n: number): string {
  const events = Array.from({ length: perCall }, (_, i) => event(n * perCall + i));
  return JSON.stringify({ query: batchQuery, variables: { input: { events } } });
}
const singleQuery = 'mutation($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status } } }';
function singleBody(n: number): string {
  return JSON.stringify({ query: singleQuery, variables: { input: event(n) } });
}
function event(n: number) {
  return {
    id: randomUUID(),
    type: 'product_viewed',
    properties: { productId: `p_${n % 977}` },
    visitor: { userId: `u${(n * 7) % visitors}` },
  };
}

async function measure(
  server: Server,
  key: string,
  seconds: number,
  connections: number,
  body: (n: number) => string,
  eventsPerCall: number,
): Promise<Intake> {
  const post = poster(server.port, '/graphql', connections, key);
  // Bodies are made before the clock runs: the load must not be what is measured.
  const bodies = Array.from({ length: eventsPerCall === 1 ? 20_000 : 2_000 }, (_, n) => body(n));
  let calls = 0;
  const sendUntil = async (end: number) => {
    while (performance.now() < end) {
      const answer = await post(bodies[calls++ % bodies.length]!);
      if (!answer.includes(eventsPerCall === 1 ? 'ACCEPTED' : `"accepted":${eventsPerCall}`))
        throw new Error(answer.slice(0, 500));
    }
  };
  const all = async (ms: number) => {
    const end = performance.now() + ms;
    await Promise.all(Array.from({ length: connections }, () => sendUntil(end)));
  };
  await all(2_000);
  calls = 0;
  const from = performance.now();
  await all(seconds * 1000);
  const perSecond = (calls * eventsPerCall) / ((performance.now() - from) / 1000);
  const endedAt = performance.now();
  while ((await lagOf(post)) > 0) await sleep(5);
  return { perSecond, lagMs: performance.now() - endedAt };
}

/** Profile and slots as stored, on average over the visitors of `visits.ts`. */
async function bytesAfter20Events(server: Server, key: string): Promise<number> {
  await sendVisits(poster(server.port, '/graphql', 1, key));
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(join(server.folder, 'usher.db'), { readOnly: true });
  const row = db
    .prepare(
      'select avg(length(cast(profile as blob)) + length(cast(slots as blob))) as bytes, count(*) as n from visitors',
    )
    .get();
  db.close();
  if (row?.['n'] !== visitorsOfVisits.length)
    throw new Error(`expected ${visitorsOfVisits.length} visitors in the state, found ${row?.['n']}`);
  return Number(row['bytes']);
}

export function printIngest(result: IngestResult): void {
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  console.log(
    `ingest on one core, trackEvents of ${perCall}: ${whole(result.batchPerSecond)} events/s, lag gone after ${whole(result.batchLagMs)} ms (aims: 15,000; 1,000 ms)`,
  );
  console.log(
    `ingest on one core, trackEvent on 64 connections: ${whole(result.singlePerSecond)} events/s, lag gone after ${whole(result.singleLagMs)} ms (aims: 4,000; 1,000 ms)`,
  );
  console.log(`state of a visitor after 20 events: ${whole(result.bytesPerVisitor)} bytes (aim: 1,500)`);
}
