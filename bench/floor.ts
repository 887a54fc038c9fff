import { createServer } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type WebSocket, WebSocketServer } from 'ws';

/**
 * The floor of the loop: HTTP in, one grouped durable SQLite commit, one WebSocket frame out, no logic. The same durability
 * (`synchronous=FULL`, WAL) and gathering (all that waits while a commit runs is the next commit, in a writer thread) as Usher.
 * Prints its port. Arguments: the database file.
 */
if (isMainThread) serve(process.argv[2]!);
else write(workerData as string);

function serve(path: string): void {
  const writer = new Worker(new URL(import.meta.url), { workerData: path });
  const subscribers = new Map<string, WebSocket>();
  let waiting: { visitor: string; body: string; done: () => void }[] = [];
  let inFlight: typeof waiting | null = null;
  const flush = () => {
    if (inFlight !== null || waiting.length === 0) return;
    inFlight = waiting;
    waiting = [];
    writer.postMessage(inFlight.map(({ body }) => body));
  };
  writer.on('message', () => {
    const written = inFlight!;
    inFlight = null;
    flush();
    for (const { visitor, body, done } of written) {
      done();
      subscribers.get(visitor)?.send(body);
    }
  });
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      const { visitor } = JSON.parse(body) as { visitor: string };
      waiting.push({ visitor, body, done: () => response.end('{"ok":true}') });
      flush();
    });
  });
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (name) => subscribers.set(String(name), socket));
  });
  server.listen(0, '127.0.0.1', () => console.log((server.address() as { port: number }).port));
}

function write(path: string): void {
  const db = new DatabaseSync(path);
  db.exec('pragma journal_mode = wal; pragma synchronous = full; create table log (body text)');
  const insert = db.prepare('insert into log values (?)');
  parentPort!.on('message', (bodies: string[]) => {
    db.exec('begin');
    for (const body of bodies) insert.run(body);
    db.exec('commit');
    parentPort!.postMessage(bodies.length);
  });
}
