import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { decodeVisitor } from '../src/model/codec.ts';
import { shardOf } from '../src/model/shard.ts';
import type { Visitor } from '../src/model/visitor.ts';
import { localBroadcast } from '../src/push/localBroadcast.ts';
import { openSqlite } from '../src/sqlite/sqlite.ts';
import { sqliteStore } from '../src/state/sqliteStore.ts';
import { writeOf } from '../src/worker/visitorWrite.ts';
import { ms, percentile, poster, processorTime, type Server, startUsher } from './measure.ts';
import { lagOf } from './visits.ts';

/** What it costs that many visitors wait for time alone: all of it in one process, with its file. */
export interface PendingResult {
  /** Visitors whom time alone will take out of a segment. */
  readonly visitors: number;
  /** Of one core, while nobody does anything. */
  readonly idleShare: number;
  /** From when time took a visitor out of a segment, beside those that wait, until a watcher was told. */
  readonly exits: number;
  readonly exitTypicalMs: number;
  readonly exitWorstMs: number;
  readonly timers: number;
  /** From the start of the process until each shard has folded an event: with no timer, with these, and after kill -9. */
  readonly emptyStartMs: number;
  readonly startMs: number;
  readonly takeoverMs: number;
}

const playbook = 'bench/pendingPlaybook';
const shards = 8;
const exits = 500;
const perCall = 100;

export async function pending(quick: boolean): Promise<PendingResult> {
  return { ...(await timedExits(quick ? 10_000 : 100_000)), ...(await starts(quick ? 100_000 : 1_000_000)) };
}

type Post = (body: string) => Promise<string>;
const keyOf = (server: Server) => readFileSync(join(server.folder, 'dev-key'), 'utf8').trim();

async function timedExits(visitors: number) {
  const server = await startUsher(playbook);
  try {
    const post = poster(server.port, '/graphql', 8, keyOf(server));
    const calls = Array.from({ length: visitors / perCall }, (_, call) =>
      Array.from({ length: perCall }, (_, i) => eventOf('page_viewed', {}, call * perCall + i)),
    );
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let events = calls.pop(); events !== undefined; events = calls.pop()) await track(post, events);
      }),
    );
    await untilFolded(post);
    const idleShare = await shareWhileIdle(server);
    const lateness = await latenessOfExits(server, post);
    return {
      visitors,
      idleShare,
      exits: lateness.length,
      exitTypicalMs: percentile(lateness, 0.5),
      exitWorstMs: Math.max(...lateness),
    };
  } finally {
    await server.stop();
  }
}

/** After a rest in which what was just written comes to the file. */
async function shareWhileIdle(server: Server): Promise<number> {
  await sleep(5_000);
  const [before, from] = [processorTime(server.pid), performance.now()];
  await sleep(20_000);
  return (processorTime(server.pid) - before) / ((performance.now() - from) * 1_000);
}

/** Visitors search, 100 a second, and five seconds later each stops to be one who searched just now. */
async function latenessOfExits(server: Server, post: Post): Promise<number[]> {
  const lateness: number[] = [];
  const socket = await watchExits(server, (dueAt) => lateness.push(Date.now() - dueAt));
  for (let n = 0; n < exits; n += 10) {
    await track(
      post,
      Array.from({ length: 10 }, (_, i) => eventOf('search_performed', { query: 'tent', results: 3 }, n + i)),
    );
    await sleep(100);
  }
  for (let waited = 0; lateness.length < exits && waited < 30_000; waited += 100) await sleep(100);
  socket.terminate();
  if (lateness.length < exits) throw new Error(`${lateness.length} of ${exits} exits were told of`);
  return lateness;
}

async function watchExits(server: Server, told: (dueAt: number) => void): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/graphql`, 'graphql-transport-ws');
  await new Promise((resolve) => socket.once('open', resolve));
  const send = (message: object) => socket.send(JSON.stringify(message));
  send({ type: 'connection_init', payload: { authorization: `Bearer ${keyOf(server)}` } });
  await new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      const { type, payload } = JSON.parse(String(data));
      if (type === 'error') throw new Error(String(data));
      if (type === 'connection_ack') {
        send({ type: 'subscribe', id: '1', payload: { query: 'subscription { activity { what at segments } }' } });
        resolve();
      } else if (type === 'next') {
        const { what, at, segments } = payload.data.activity;
        if (what === 'TIMER' && segments.includes('-searching')) told(Date.parse(at));
      }
    });
  });
  return socket;
}

async function starts(timers: number) {
  const folder = mkdtempSync(join(tmpdir(), 'usher-bench-'));
  try {
    const { stop: end, tookMs: emptyStartMs } = await startTimed(folder);
    await end();
    await writeVisitors(folder, timers);
    const started = await startTimed(folder);
    await started.stop('SIGKILL');
    const again = await startTimed(folder);
    await again.stop();
    return { timers, emptyStartMs, startMs: started.tookMs, takeoverMs: again.tookMs };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startTimed(folder: string): Promise<{ stop: Server['stop']; tookMs: number }> {
  const from = performance.now();
  const server = await startUsher(playbook, folder);
  const post = poster(server.port, '/graphql', 1, keyOf(server));
  // Enough that each shard has some.
  await track(
    post,
    Array.from({ length: perCall }, (_, n) => eventOf('page_viewed', {}, n)),
  );
  await untilFolded(post);
  return { stop: server.stop, tookMs: performance.now() - from };
}

/**
 * Visitors with two timers each (the end of the session, the end of the segment), as the one of them that was folded has, spread over an hour: what their events would
 * leave, through the store's own commits.
 */
async function writeVisitors(folder: string, timers: number): Promise<void> {
  const retention = { ageMs: 86_400_000, bytes: 1e9 };
  const file = await openSqlite({ folder, shards, appendDeadlineMs: 10_000, retention });
  const store = sqliteStore(file, localBroadcast());
  const model = 'u:u0';
  const stored = await store.readProfile(shardOf(model, shards), model);
  const visitor = decodeVisitor(stored!.profile, stored!.slots);
  if (visitor.timers.length !== 2)
    throw new Error(`expected a visitor with two timers, found ${visitor.timers.length}`);
  const byShard = Map.groupBy(
    Array.from({ length: timers / 2 }, (_, n) => n),
    (n) => shardOf(`u:waits${n}`, shards),
  );
  for (const [shard, all] of byShard) {
    let meta = await store.own(shard, 'bench', shards);
    for (let from = 0; from < all.length; from += 256) {
      const next = { ...meta, commits: meta.commits + 1, commit: randomUUID() };
      const visitors = all.slice(from, from + 256).map((n) => {
        const waiting = laterBy(visitor, `u:waits${n}`, 3_600_000 + n * 7);
        return writeOf(waiting.id, waiting);
      });
      const { lineage, position, appendTime } = next;
      const told = { shard, commit: next.commit, lineage, position, appendTime, visitors: [], activity: [] };
      const message = { ...told, takenAt: 0, foldedAt: 0 };
      const nothing = { outbox: [], failed: [], retried: [] };
      const result = await store.commit({ meta: next, previous: meta.commit, visitors, ...nothing, message });
      if (result !== 'DONE') throw new Error(`a commit of shard ${shard} was answered ${result}`);
      meta = next;
    }
  }
  await file.close();
}

function laterBy(visitor: Visitor, id: string, byMs: number): Visitor {
  const later = (at: number | null) => (at === null ? null : at + byMs);
  const timers = visitor.timers.map((timer) => ({ ...timer, due: later(timer.due), wallDue: later(timer.wallDue) }));
  return { ...visitor, id, timers };
}

function eventOf(type: string, properties: object, n: number) {
  return { id: randomUUID(), type, properties, visitor: { userId: `u${n}` } };
}

const mutation = 'mutation($input: TrackEventsInput!) { trackEvents(input: $input) { accepted refused unknown } }';
async function track(post: Post, events: readonly object[]): Promise<void> {
  const answer = await post(JSON.stringify({ query: mutation, variables: { input: { events } } }));
  if (!answer.includes(`"accepted":${events.length}`)) throw new Error(answer.slice(0, 500));
}

async function untilFolded(post: Post): Promise<void> {
  while ((await lagOf(post)) > 0) await sleep(5);
}

export function printPending(result: PendingResult): void {
  const many = (value: number) => value.toLocaleString('en');
  const { visitors, idleShare, exitTypicalMs, exitWorstMs, timers, emptyStartMs, startMs, takeoverMs } = result;
  console.log(
    `${many(visitors)} visitors whom time alone takes out of a segment: ${(idleShare * 100).toFixed(2)} % of a core while idle (aim: < 2)`,
  );
  console.log(
    `  ${result.exits} of them left, told ${ms(exitTypicalMs)} after it was time, at worst ${ms(exitWorstMs)} (aim: < 1000)`,
  );
  console.log(
    `${many(timers)} timers: started after ${ms(startMs)}, after kill -9 ${ms(takeoverMs)} (aim: < 2000); without timers ${ms(emptyStartMs)}`,
  );
}
