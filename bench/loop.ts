import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { median, ms, percentile, poster, type Server, startFloor, startUsher } from './measure.ts';

/**
 * The loop: an event sent → the change received by that visitor's subscriber. Open loop: events leave at fixed moments whether
 * or not earlier ones were answered, and latency counts from the scheduled moment, so a stall is not hidden.
 */
export interface LoopResult {
  readonly perSecond: number;
  readonly floor: { readonly p50: number; readonly p99: number };
  readonly usher: { readonly p50: number; readonly p99: number };
  readonly lost: number;
}

const visitors = 50;
const warmUpMs = 3_000;

export async function loop(perSecond: number, seconds: number, rounds: number): Promise<LoopResult> {
  const floor: number[][] = [];
  const usher: number[][] = [];
  let lost = 0;
  for (let round = 0; round < rounds; round++) {
    for (const [start, connect, into] of [
      [startFloor, connectFloor, floor],
      [startUsher, connectUsher, usher],
    ] as const) {
      const server = await start();
      try {
        const latencies = await runLoop(await connect(server), perSecond, seconds);
        lost += latencies.filter(Number.isNaN).length;
        into.push(latencies.filter((value) => !Number.isNaN(value)));
      } finally {
        await server.stop();
      }
    }
  }
  const summary = (runs: number[][]) => ({
    p50: median(runs.map((run) => percentile(run, 0.5))),
    p99: median(runs.map((run) => percentile(run, 0.99))),
  });
  return { perSecond, floor: summary(floor), usher: summary(usher), lost };
}

export interface LoopEvent {
  /** Of `visitors`, from 0. */
  readonly visitor: number;
  readonly id: string;
  readonly n: number;
}

export interface Connection {
  /** Events that leave at the same moment. */
  send(events: readonly LoopEvent[]): Promise<unknown>;
  onChange(listener: (id: string) => void): void;
  close(): void;
}

export async function runLoop(connection: Connection, perSecond: number, seconds: number): Promise<number[]> {
  const scheduled = new Map<string, number>();
  const latencies: number[] = [];
  const start = performance.now() + 50;
  const measureFrom = start + warmUpMs;
  connection.onChange((id) => {
    const at = scheduled.get(id);
    if (at === undefined) return;
    scheduled.delete(id);
    if (at >= measureFrom) latencies.push(performance.now() - at);
  });
  const total = Math.round(perSecond * (seconds + warmUpMs / 1000));
  const answers: Promise<unknown>[] = [];
  for (let n = 0; n < total; ) {
    const dueBy = Math.min(total, Math.ceil(((performance.now() - start) / 1000) * perSecond));
    const due: LoopEvent[] = [];
    for (; n < dueBy; n++) {
      const id = randomUUID();
      scheduled.set(id, start + (n / perSecond) * 1000);
      due.push({ visitor: n % visitors, id, n });
    }
    if (due.length > 0) answers.push(connection.send(due));
    await sleep(1);
  }
  await Promise.all(answers);
  for (let waited = 0; scheduled.size > 0 && waited < 100; waited++) await sleep(50);
  connection.close();
  // Conflation may skip a change that a newer one overtook; those are counted, not hidden.
  for (const at of scheduled.values()) if (at >= measureFrom) latencies.push(Number.NaN);
  return latencies;
}

async function connectFloor(server: Server): Promise<Connection> {
  const post = poster(server.port, '/', 64);
  return {
    ...(await floorSockets(server.port)),
    send: (events) => Promise.all(events.map((event) => post(JSON.stringify(floorEvent(event))))),
  };
}
export const floorEvent = ({ visitor, id, n }: LoopEvent) => ({ visitor: `v${visitor}`, id, productId: `p_${n}` });

/** One socket a visitor, of a floor. */
export async function floorSockets(port: number): Promise<Omit<Connection, 'send'>> {
  let listener: (id: string) => void = () => {};
  const sockets = await Promise.all(
    Array.from({ length: visitors }, async (_, visitor) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`);
      await new Promise((resolve) => socket.once('open', resolve));
      socket.send(`v${visitor}`);
      socket.on('message', (data) => listener((JSON.parse(String(data)) as { id: string }).id));
      return socket;
    }),
  );
  return {
    onChange: (next) => {
      listener = next;
    },
    close: () => {
      for (const socket of sockets) socket.terminate();
    },
  };
}

async function connectUsher(server: Server): Promise<Connection> {
  const posts = Array.from({ length: visitors }, (_, visitor) => poster(server.port, '/graphql', 4, `dev:v${visitor}`));
  const query =
    'mutation($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status error { code message } } } }';
  const track = async ({ visitor, id, n }: LoopEvent) => {
    const variables = { input: { type: 'product_viewed', id, properties: { productId: `p_${n}` } } };
    const answer = await posts[visitor]!(JSON.stringify({ query, variables }));
    if (!answer.includes('ACCEPTED')) throw new Error(answer);
  };
  return { ...(await usherSockets(server.port)), send: (events) => Promise.all(events.map(track)) };
}

/** One subscription a visitor, each on a socket of its own. */
export async function usherSockets(port: number): Promise<Omit<Connection, 'send'>> {
  let listener: (id: string) => void = () => {};
  const sockets = await Promise.all(
    Array.from({ length: visitors }, async (_, visitor) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws');
      await new Promise((resolve) => socket.once('open', resolve));
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer dev:v${visitor}` } }));
      await new Promise<void>((resolve) => {
        socket.on('message', (data) => {
          const message = JSON.parse(String(data));
          if (message.type === 'connection_ack') {
            const query =
              'subscription { contentUpdates(names: ["last_look"]) { kind slots { content { data } } cause { eventId } } }';
            socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query } }));
          } else if (message.type === 'next') {
            const update = message.payload.data.contentUpdates;
            if (update.kind === 'SNAPSHOT') resolve();
            else if (update.cause?.eventId) listener(update.cause.eventId);
          } else if (message.type === 'error') {
            throw new Error(String(data));
          }
        });
      });
      return socket;
    }),
  );
  return {
    onChange: (next) => {
      listener = next;
    },
    close: () => {
      for (const socket of sockets) socket.terminate();
    },
  };
}

export function printLoop(result: LoopResult): void {
  const { floor, usher } = result;
  console.log(`loop at ${result.perSecond}/s    p50              p99`);
  console.log(`  floor           ${ms(floor.p50).padEnd(16)} ${ms(floor.p99)}`);
  console.log(`  usher           ${ms(usher.p50).padEnd(16)} ${ms(usher.p99)}`);
  console.log(
    `  usher / floor   ${(usher.p50 / floor.p50).toFixed(2).padEnd(16)} ${(usher.p99 / floor.p99).toFixed(2)}    (aims: 2, 3; changes overtaken by newer ones: ${result.lost})`,
  );
}
