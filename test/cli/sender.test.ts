import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { GraphqlClient } from '../../src/cli/client.ts';
import type { EventInput, Row } from '../../src/cli/replay/row.ts';
import { Sender, type SenderLimits, senderLimits } from '../../src/cli/replay/sender.ts';
import { Tally } from '../../src/cli/replay/tally.ts';
import { seededRandom } from '../support/random.ts';

type Outcome = {
  status: string;
  error: { code: string; message: string; retryable: boolean; retryAfterMs: number | null } | null;
};
/** What the server does with a call: answers outcomes, or null: breaks the connection. */
type Handler = (events: EventInput[], call: number) => Outcome[] | null | { status: number; body: string };

const accepted: Outcome = { status: 'ACCEPTED', error: null };
const refused = (code: string, retryable = false, retryAfterMs: number | null = null): Outcome => ({
  status: code === 'UNKNOWN' ? 'UNKNOWN' : 'REFUSED',
  error: { code, message: `because ${code}`, retryable, retryAfterMs },
});

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** An HTTP server that fails as the test says: what a real one does only now and then. */
async function faultyServer(
  handler: Handler,
): Promise<{ client: GraphqlClient; calls: EventInput[][]; server: Server }> {
  const calls: EventInput[][] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const { events } = JSON.parse(Buffer.concat(parts).toString()).variables.input as { events: EventInput[] };
      calls.push(events);
      const answer = handler(events, calls.length);
      if (answer === null) response.destroy();
      else if (Array.isArray(answer)) response.end(JSON.stringify({ data: { trackEvents: { outcomes: answer } } }));
      else response.writeHead(answer.status).end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new GraphqlClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'usk_test');
  closers.push(() => {
    client.close();
    server.close();
    server.closeAllConnections();
  });
  return { client, calls, server };
}

function rowsOf(...names: string[]): Row[] {
  const sequences = new Map<string, number>();
  return names.map((visitor, i) => {
    const sequence = (sequences.get(visitor) ?? 0) + 1;
    sequences.set(visitor, sequence);
    const id = `00000000-0000-4000-8000-${String(i + 1).padStart(12, '0')}`;
    const event = { id, type: 't', source: `s-${visitor}`, sequence, visitor: { visitorId: visitor } };
    return { kind: 'row', number: i + 1, visitor, at: i, event };
  });
}

async function sendAll(client: GraphqlClient, rows: Row[], limits: Partial<SenderLimits> = {}): Promise<Tally> {
  const tally = new Tally();
  const sender = new Sender(client, { ...senderLimits, ...limits }, tally, new AbortController().signal);
  try {
    for (const row of rows) await sender.offer(row);
    await sender.end();
  } catch (error) {
    await sender.abort(error);
    throw error;
  }
  return tally;
}

describe('sending rows', () => {
  it('keeps every visitor in order and loses nothing through broken connections, UNKNOWN and OVERLOADED', async () => {
    const random = seededRandom(20_191_001);
    const log: EventInput[] = [];
    const { client } = await faultyServer((events) => {
      const fate = random();
      if (fate < 0.1) return null;
      if (fate < 0.2) return { status: 503, body: 'no gateway' };
      if (fate < 0.3) return events.map(() => refused('OVERLOADED', true, 1));
      log.push(...events);
      if (fate < 0.4) return null;
      return events.map(() => (fate < 0.5 ? refused('UNKNOWN', true) : accepted));
    });
    const rows = rowsOf(...Array.from({ length: 200 }, () => `v${Math.floor(random() * 12)}`));
    const tally = await sendAll(client, rows, { batchRows: 7, inFlight: 5, waitingRows: 50 });
    expect(tally.accepted).toBe(200);
    expect(tally.settled).toBe(200);
    for (const what of ['brokenCalls', 'unknown', 'deferred', 'resent'] as const)
      expect(tally[what]).toBeGreaterThan(0);
    const firsts = [...new Map(log.map((event) => [event.id, event])).values()];
    expect(firsts).toHaveLength(200);
    const last = new Map<string, number>();
    for (const event of firsts) {
      expect(event.sequence).toBe((last.get(event.source!) ?? 0) + 1);
      last.set(event.source!, event.sequence!);
    }
    // A repeat is the same event to the letter.
    for (const event of log) expect(event).toEqual(log.find(({ id }) => id === event.id));
  });

  it('counts refusals by reason, does not repeat them, and tells their numbers in the next record of that visitor that is taken', async () => {
    const { client, calls } = await faultyServer((events) =>
      events.map((event) => (event.sequence! <= 2 ? refused('EVENT_INVALID') : accepted)),
    );
    const tally = await sendAll(client, rowsOf('a', 'a', 'a', 'b', 'a'), { batchRows: 1, inFlight: 1 });
    expect(Object.fromEntries(tally.refused)).toEqual({ EVENT_INVALID: 3 });
    expect(tally.examples[0]).toEqual({ row: 1, code: 'EVENT_INVALID', message: 'because EVENT_INVALID' });
    const told = calls
      .flat()
      .filter((event) => event.source === 's-a')
      .map(({ sequence, skipped }) => [sequence, skipped]);
    expect(told).toEqual([
      [1, undefined],
      [2, [1]],
      [3, [1, 2]],
      [4, undefined],
    ]);
  });

  it('tells at most 16 numbers in one record, the rest in the following ones', async () => {
    const { client, calls } = await faultyServer((events) =>
      events.map((event) => (event.sequence! <= 20 ? refused('EVENT_INVALID') : accepted)),
    );
    // The first batch has all that is refused, so nothing can be told before the second.
    await sendAll(client, rowsOf(...Array.from({ length: 24 }, () => 'a')), { batchRows: 20, inFlight: 1 });
    const told = calls.flat().flatMap(({ skipped }) => (skipped === undefined ? [] : [skipped.length]));
    expect(Math.max(...told)).toBeLessThanOrEqual(16);
    const taken = calls.flat().filter((event) => event.sequence! > 20);
    expect(taken.flatMap(({ skipped }) => skipped ?? [])).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  it('waits as long as it is asked to', async () => {
    let askedAt = 0;
    let cameAfterMs = 0;
    const { client } = await faultyServer((events, call) => {
      if (call === 1) {
        askedAt = performance.now();
        return events.map(() => refused('OVERLOADED', true, 150));
      }
      cameAfterMs = performance.now() - askedAt;
      return events.map(() => accepted);
    });
    await sendAll(client, rowsOf('a'));
    expect(cameAfterMs).toBeGreaterThanOrEqual(145);
  });

  it('goes on with everything as soon as one call gets through', async () => {
    let failures = 0;
    let backAt = 0;
    let againAt = 0;
    const { client } = await faultyServer((events) => {
      if (events[0]!.source === 's-late') backAt = performance.now();
      else if (backAt === 0) {
        failures++;
        return null;
      } else againAt = performance.now();
      return events.map(() => accepted);
    });
    const [early, late] = rowsOf('early', 'late');
    const sender = new Sender(client, { ...senderLimits, inFlight: 2 }, new Tally(), new AbortController().signal);
    await sender.offer(early!);
    // By now it waits for at least 800 ms before the next try.
    while (failures < 6) await new Promise((resolve) => setTimeout(resolve, 5));
    await sender.offer(late!);
    await sender.end();
    expect(againAt - backAt).toBeLessThan(400);
  });

  it('gives up when nothing goes forward for longer than its patience, and says what came last', async () => {
    const { client } = await faultyServer((events) => events.map(() => refused('LOG_FULL', true)));
    await expect(sendAll(client, rowsOf('a', 'b'), { patienceMs: 200 })).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('LOG_FULL: because LOG_FULL'),
    });
  });

  it('ends at once when the whole call is refused for good', async () => {
    const body = JSON.stringify({ errors: [{ message: 'no scope', extensions: { code: 'FORBIDDEN' } }] });
    const { client, calls } = await faultyServer(() => ({ status: 200, body }));
    await expect(sendAll(client, rowsOf('a', 'b', 'c'), { inFlight: 1 })).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: 'no scope',
    });
    expect(calls).toHaveLength(1);
  });
});
