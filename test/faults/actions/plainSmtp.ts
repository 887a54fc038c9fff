import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Destination } from '../../../src/actions/destination.ts';

/** Where a mail may be when its process dies. */
export type MailStage = 'beforeAttempting' | 'attempting' | 'dot' | 'replied';

/**
 * Mail, as little of SMTP as is needed to say exactly where it stands: a connection a mail, and `at` is called between every two steps
 * that a crash may fall between.
 */
export function plainSmtp(port: number, at: (stage: MailStage, id: string) => void): Destination {
  return {
    kind: 'smtp',
    repeatable: false,
    async deliver(message, { beforeFinal, signal }) {
      const socket = connect(port, '127.0.0.1');
      const gone = () => socket.destroy();
      signal.addEventListener('abort', gone, { once: true });
      let isFinal = false;
      try {
        const session = new Session(socket);
        await session.said(220);
        await session.ask('EHLO usher.test', 250);
        await session.ask('MAIL FROM:<shop@example.com>', 250);
        await session.ask(`RCPT TO:<${message.to}>`, 250);
        await session.ask('DATA', 354);
        socket.write(`Message-ID: <${message.id}@usher.test>\r\nSubject: your cart\r\n\r\nThree things wait.\r\n`);
        at('beforeAttempting', message.id);
        await beforeFinal();
        at('attempting', message.id);
        isFinal = true;
        await new Promise((resolve) => socket.write('.\r\n', resolve));
        at('dot', message.id);
        const reply = await session.said(250);
        at('replied', message.id);
        return { kind: 'delivered', detail: reply };
      } catch (error) {
        return { kind: isFinal ? 'unknown' : 'retry', detail: (error as Error).message };
      } finally {
        signal.removeEventListener('abort', gone);
        socket.destroy();
      }
    },
    async close() {},
  };
}

class Session {
  readonly #socket: Socket;
  readonly #lines: string[] = [];
  #rest = '';
  #failed: Error | null = null;
  #heard: (() => void) | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    const end = (error: Error) => {
      this.#failed ??= error;
      this.#heard?.();
    };
    socket.setEncoding('utf8').on('data', (part: string) => {
      const lines = (this.#rest + part).split('\r\n');
      this.#rest = lines.pop()!;
      this.#lines.push(...lines);
      this.#heard?.();
    });
    socket.on('error', end);
    socket.on('close', () => end(new Error('the server closed the connection')));
  }

  async ask(line: string, expected: number): Promise<string> {
    if (this.#socket.connecting) await once(this.#socket, 'connect');
    this.#socket.write(`${line}\r\n`);
    return this.said(expected);
  }

  /** The last line of a reply. */
  async said(expected: number): Promise<string> {
    for (;;) {
      const last = this.#lines.findIndex((line) => line[3] === ' ');
      if (last !== -1) {
        const reply = this.#lines.splice(0, last + 1).at(-1)!;
        if (!reply.startsWith(`${expected} `)) throw new Error(`expected ${expected}, the server said ${reply}`);
        return reply;
      }
      if (this.#failed !== null) throw this.#failed;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }
}
