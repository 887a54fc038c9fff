import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and Redis, to lose what a network may lose. */
export interface LossyProxy {
  readonly url: string;
  /** The next answer of Redis that has this text in it is thrown away and its connection cut, after Redis has sent it. */
  loseNextAnswer(text?: string): void;
  /** Answers lost so far. */
  readonly lost: number;
  /** Commits that were repeated after a lost answer, and found to be done. */
  readonly repeated: number;
  /** Connections that ever came. */
  readonly opened: number;
  /** From now on nothing comes back, and nobody is told: half-open connections. */
  stall(): void;
  /** Cuts what is stalled; new connections go through again. */
  resume(): void;
  close(): Promise<void>;
}

export async function startLossyProxy(redisPort: number): Promise<LossyProxy> {
  let loses: string | null = null;
  let repeated = 0;
  let isStalled = false;
  let lost = 0;
  let opened = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const redis = connect(redisPort, '127.0.0.1');
    opened++;
    const cut = () => {
      client.destroy();
      redis.destroy();
    };
    for (const socket of [client, redis]) {
      sockets.add(socket);
      socket.on('error', cut);
      socket.on('close', () => {
        sockets.delete(socket);
        cut();
      });
    }
    client.on('data', (bytes) => redis.write(bytes));
    redis.on('data', (bytes) => {
      if (isStalled) return;
      if (loses === null || !bytes.includes(loses)) {
        if (bytes.includes('ALREADY')) repeated++;
        client.write(bytes);
        return;
      }
      loses = null;
      lost++;
      cut();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as { port: number }).port}`,
    loseNextAnswer(text = '') {
      loses = text;
    },
    get lost() {
      return lost;
    },
    get repeated() {
      return repeated;
    },
    get opened() {
      return opened;
    },
    stall() {
      isStalled = true;
    },
    resume() {
      isStalled = false;
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
