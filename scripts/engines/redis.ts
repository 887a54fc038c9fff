import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { has, type Server, startServer, stopServer } from './server.ts';

/** What this machine lacks to run Redis, as a sentence; null: nothing. */
export function redisNeeds(): string | null {
  return has('redis-server') ? null : 'Redis needs redis-server (7 or later: apt-get install redis-server)';
}

/** On loopback, never evicting, every second to disk: what Usher asks of a Redis. */
export async function startRedis({ folder, port }: { folder: string; port: number }): Promise<Server> {
  mkdirSync(folder, { recursive: true });
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
    // Its command line stays as it is, with the folder in it: so it is known again.
    'set-proc-title': 'no',
  };
  return startServer({
    name: 'Redis',
    folder,
    command: 'redis-server',
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    address: `127.0.0.1:${port}`,
    answers: () => redisAnswers(port),
  });
}

export function stopRedis(folder: string): Promise<boolean> {
  return stopServer(folder);
}

/** Whether a Redis that has read its data answers there. */
export async function redisAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write('PING\r\n'));
    const done = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.setTimeout(1_000, () => done(false));
    socket.once('error', () => done(false));
    socket.once('data', (data) => done(data.toString().startsWith('+PONG')));
  });
}
