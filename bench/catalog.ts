import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { ms, percentile, poster, spawnServer, stopChild } from './measure.ts';

const products = 50_000;
const playbook = 'test/flow/catalogPlaybook';

/** Reads of slots, and the server's event loop, for a while. */
interface Phase {
  readonly reads: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly worstMs: number;
  /** The most processor time that one turn of the server's event loop took. */
  readonly longestTurnMs: number;
}

export interface CatalogFigures {
  readonly replayAlone: Phase;
  /** From the import's start until rules saw its last product, and as long again. */
  readonly replayAndImport: Phase;
  readonly importSeconds: number;
  /** From the import's end until a rule saw the last product. */
  readonly seenAfterSeconds: number;
  readonly layers: number;
  readonly layerBytes: number;
}

/** Imports a feed of 50,000 products into an Usher that takes a replay at full speed, and times the slot reads beside it. */
export async function catalog(seconds: number): Promise<CatalogFigures> {
  const work = mkdtempSync(join(tmpdir(), 'usher-bench-feed-'));
  const server = await startServer();
  const stop = new AbortController();
  try {
    const key = readFileSync(join(server.folder, 'dev-key'), 'utf8').trim();
    const post = poster(server.port, '/graphql', 4, key);
    const feed = join(work, 'feed.csv');
    writeFileSync(feed, feedOf());
    const replayed = replayUntil(stop.signal, server, work);
    await sleep(2_000);
    const meter = new Meter(post, server);
    await sleep(seconds * 1_000);
    const replayAlone = await meter.next();
    const startedAt = performance.now();
    await usher(server, ['catalog', 'import', feed]);
    const importedAt = performance.now();
    // The snapshot of the feed's last products is the second one: 10 s after the first.
    await untilSeen(post);
    const seenAt = performance.now();
    await sleep(seconds * 1_000);
    const replayAndImport = await meter.next();
    await meter.stop();
    stop.abort();
    await replayed;
    const stored = layersIn(server.folder);
    return {
      replayAlone,
      replayAndImport,
      importSeconds: (importedAt - startedAt) / 1000,
      seenAfterSeconds: (seenAt - importedAt) / 1000,
      ...stored,
    };
  } finally {
    stop.abort();
    await server.stop();
    rmSync(work, { recursive: true, force: true });
  }
}

interface Server {
  readonly port: number;
  readonly folder: string;
  /** Of each quarter of a second that has not been asked for. */
  takeTurns(): readonly number[];
  stop(): Promise<void>;
}

async function startServer(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'usher-bench-'));
  const child = spawnServer(['bench/catalogServer.ts', folder, playbook]);
  const turns: number[] = [];
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const found = /^127\.0\.0\.1:(\d+)/.exec(line);
      if (found !== null) resolve(Number(found[1]));
      else if (line.startsWith('turn ')) turns.push(Number(line.slice('turn '.length)));
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return {
    port,
    folder,
    takeTurns: () => turns.splice(0),
    async stop() {
      await stopChild(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function layersIn(folder: string): { layers: number; layerBytes: number } {
  const db = new DatabaseSync(join(folder, 'usher.db'), { readOnly: true });
  try {
    const sql = `select count(*) as layers, sum(length(text)) as bytes from bundles where text like '{"products":[%'`;
    const row = db.prepare(sql).get()!;
    return { layers: Number(row['layers']), layerBytes: Number(row['bytes']) };
  } finally {
    db.close();
  }
}

function feedOf(): string {
  const rows = Array.from({ length: products }, (_, n) =>
    [
      `p${n}`,
      `Trekking tent number ${n} with a name of some length`,
      `${(20 + (n % 900) + 0.9).toFixed(2)} EUR`,
      n === products - 1 ? 2 : 100,
      `category_${n % 100}`,
      `Brand ${n % 200}`,
      `https://shop.example/images/p${n}.jpg`,
      `https://shop.example/products/p${n}`,
    ].join(','),
  );
  return `id,title,price,quantity,category,brand,image_link,link\n${rows.join('\n')}\n`;
}

/** Looks of 20,000 visitors at the feed's products, again and again, as fast as Usher takes them. */
async function replayUntil(signal: AbortSignal, server: Server, folder: string): Promise<void> {
  for (let round = 0; !signal.aborted; round++) {
    const path = join(folder, `looks-${round}.ndjson`);
    const from = Date.now() - 100_000;
    const lines = Array.from({ length: 100_000 }, (_, n) =>
      JSON.stringify({
        type: 'product_viewed',
        properties: { productId: `p${(n * 7919 + round) % products}` },
        occurredAt: new Date(from + n).toISOString(),
        visitor: { userId: `v${(n * 31) % 20_000}` },
      }),
    );
    writeFileSync(path, lines.join('\n'));
    await usher(server, ['replay', path, '--format', 'ndjson'], signal);
    rmSync(path);
  }
}

function usher(server: Server, words: readonly string[], signal?: AbortSignal): Promise<void> {
  const where = ['--url', `http://127.0.0.1:${server.port}`, '--data', server.folder];
  const child = spawn('taskset', ['-c', '1', process.execPath, 'src/main.ts', ...words, ...where], {
    cwd: join(import.meta.dirname, '..'),
    // A replay tells how far it is, and that it was ended.
    stdio: 'ignore',
  });
  const end = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', end, { once: true });
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => {
      signal?.removeEventListener('abort', end);
      if (code === 0 || signal?.aborted) resolve();
      else reject(new Error(`usher ${words.join(' ')} ended with ${code}`));
    });
  });
}

/** A visitor looks at the feed's last product until the rule about scarce ones says so. */
async function untilSeen(post: (body: string) => Promise<string>): Promise<void> {
  const query = `mutation ($input: TrackEventInput!) { trackEvent(input: $input) {
    slots(names: ["opinion"], waitMs: 10000) { content { id } } } }`;
  for (let n = 0; n < 1_000; n++) {
    const input = {
      type: 'product_viewed',
      properties: { productId: `p${products - 1}` },
      visitor: { userId: `seer${n}` },
    };
    if ((await post(JSON.stringify({ query, variables: { input } }))).includes('"scarce"')) return;
    await sleep(200);
  }
  throw new Error('no rule saw the last product of the feed');
}

/** Reads one slot after the other, beside what the server tells of its event loop. */
class Meter {
  readonly #post: (body: string) => Promise<string>;
  readonly #server: Server;
  #latencies: number[] = [];
  #isOn = true;
  readonly #done: Promise<unknown>;

  constructor(post: (body: string) => Promise<string>, server: Server) {
    this.#post = post;
    this.#server = server;
    server.takeTurns();
    this.#done = this.#read();
  }

  async #read(): Promise<void> {
    const query =
      'query ($v: VisitorRef) { personalizedSlots(names: ["last_look"], visitor: $v) { content { data } } }';
    for (let n = 0; this.#isOn; n++) {
      const at = performance.now();
      await this.#post(JSON.stringify({ query, variables: { v: { userId: `v${n % 20_000}` } } }));
      this.#latencies.push(performance.now() - at);
      await sleep(1);
    }
  }

  /** Of the time since the last call. */
  async next(): Promise<Phase> {
    const latencies = this.#latencies;
    this.#latencies = [];
    return {
      reads: latencies.length,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      worstMs: percentile(latencies, 1),
      longestTurnMs: Math.max(...this.#server.takeTurns()),
    };
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    await this.#done;
  }
}

export function printCatalog(figures: CatalogFigures): void {
  for (const name of ['replayAlone', 'replayAndImport'] as const) {
    const { reads, p50Ms, p99Ms, worstMs, longestTurnMs } = figures[name];
    console.log(
      `${name}: ${reads} reads, p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, worst ${ms(worstMs)}; longest turn of the server's loop ${ms(longestTurnMs)} of processor time`,
    );
  }
  const { importSeconds, seenAfterSeconds, layers, layerBytes } = figures;
  console.log(
    `${products} products imported in ${importSeconds.toFixed(1)} s, seen by rules ${seenAfterSeconds.toFixed(1)} s later; ${layers} layers, ${(layerBytes / 1e6).toFixed(1)} MB`,
  );
}
