import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and a server, and can keep both from hearing of each other without a connection breaking. */
export class TcpProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #stalled = false;

  static async to(address: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(address);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(address: string) {
    const [host, port] = address.split(':') as [string, string];
    this.#server = createServer((near) => {
      const far = connect({ host, port: Number(port) });
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from);
        from.setNoDelay(true);
        from.on('data', (data) => to.write(data));
        from.on('end', () => to.end());
        from.on('error', () => to.destroy());
        from.on('close', () => this.#sockets.delete(from));
        if (this.#stalled) from.pause();
      }
    });
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as { port: number }).port };
  }

  /** Until `release`, what is sent is kept, and arrives then, in order. */
  stall(): void {
    this.#stalled = true;
    for (const socket of this.#sockets) socket.pause();
  }

  release(): void {
    this.#stalled = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
