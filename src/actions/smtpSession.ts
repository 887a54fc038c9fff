import type { Readable } from 'node:stream';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { SmtpServer } from './smtpUrl.ts';

export interface SmtpLimits {
  /** From the first byte to the server's readiness, TLS and login included, ms [15,000]. */
  readonly connectMs: number;
  /** From the sender's address to the final dot, ms [60,000]. */
  readonly handOverMs: number;
  /** For the reply to the final dot, ms [300,000]: who gives up early does not know what became of the mail (RFC 5321, 4.5.3.2). */
  readonly finalReplyMs: number;
  /** A connection that is not used is closed after this, ms [20,000]. */
  readonly idleMs: number;
  /** Connections at the same time [8]. */
  readonly connections: number;
  /** Mails over one connection [100]. */
  readonly mailsPerConnection: number;
}

export const smtpDefaults: SmtpLimits = {
  connectMs: 15_000,
  handOverMs: 60_000,
  finalReplyMs: 300_000,
  idleMs: 20_000,
  connections: 8,
  mailsPerConnection: 100,
};

/** A server that does not close its side after QUIT is left after this. */
const farewellMs = 1_000;

/** What went wrong, as nodemailer tells it. */
export interface SmtpError extends Error {
  readonly code?: string;
  /** Of the server's reply, if there was one. */
  readonly responseCode?: number;
}

/** One connection, ready for mail. */
export class SmtpSession {
  readonly #connection: SMTPConnection;
  #mails = 0;
  #isOpen = true;
  #lost: (error: Error) => void = () => {};

  /** @throws SmtpError; nothing is left open then, nor when the signal aborts */
  static async open(server: SmtpServer, ca: string | null, limits: SmtpLimits, signal: AbortSignal) {
    const { default: SMTPConnection } = await import('nodemailer/lib/smtp-connection');
    const connection = new SMTPConnection({
      host: server.host,
      port: server.port,
      secure: server.tls === 'always',
      requireTLS: server.tls === 'required',
      // Longer than any wait of ours: those are told by what they wait for.
      connectionTimeout: 2 * limits.connectMs,
      greetingTimeout: 2 * limits.connectMs,
      socketTimeout: limits.handOverMs + limits.finalReplyMs + limits.idleMs,
      socketCloseTimeout: farewellMs,
      tls: { minVersion: 'TLSv1.2', ...(ca !== null && { ca }) },
    });
    const session = new SmtpSession(connection);
    const limit = AbortSignal.timeout(limits.connectMs);
    try {
      await session.#within(AbortSignal.any([signal, limit]), (done) => connection.connect(done));
      if (server.login !== null) await session.#login(server.login, AbortSignal.any([signal, limit]));
      return session;
    } catch (error) {
      session.destroy();
      if (limit.aborted && !signal.aborted)
        throw new Error(`not ready within ${limits.connectMs} ms`, { cause: error });
      throw error;
    }
  }

  private constructor(connection: SMTPConnection) {
    this.#connection = connection;
    // As long as the connection lives: an error without a listener would end the process.
    connection.on('error', (error: Error) => this.#lost(error));
    connection.once('end', () => {
      this.#isOpen = false;
      this.#lost(Object.assign(new Error('the connection was closed'), { code: 'ECONNECTION' }));
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Mails that were begun over it. */
  get mails(): number {
    return this.#mails;
  }

  async #login({ user, password }: NonNullable<SmtpServer['login']>, signal: AbortSignal): Promise<void> {
    if (!this.#connection.secure) throw new Error('the server offers no TLS, and the password is not sent without it');
    await this.#within(signal, (done) => this.#connection.login({ user, pass: password }, done));
  }

  /**
   * Hands a message over; the stream's end is what sends the final dot. Resolves with the reply to it.
   * @throws SmtpError, or the signal's reason
   */
  async send(from: string, to: string, message: Readable, size: number, signal: AbortSignal): Promise<string> {
    this.#mails++;
    const sent = await this.#within<{ response: string }>(signal, (done) =>
      this.#connection.send({ from, to: [to], size }, message, done),
    );
    return sent.response;
  }

  /** Whatever nodemailer's callback says, the loss of the connection, or the signal: it tells not all of them by its callback. */
  #within<T>(signal: AbortSignal, start: (done: (error?: Error | null, result?: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const end = (settle: () => void) => {
        signal.removeEventListener('abort', abort);
        this.#lost = () => {};
        settle();
      };
      const abort = () => end(() => reject(signal.reason as Error));
      if (signal.aborted) return abort();
      signal.addEventListener('abort', abort, { once: true });
      // A moment later: the callback, if it comes too, says it better.
      this.#lost = (error) => setImmediate(() => end(() => reject(error)));
      start((error, result) => end(() => (error ? reject(error) : resolve(result as T))));
    });
  }

  /** At once, in the middle of whatever is said. */
  destroy(): void {
    this.#isOpen = false;
    const socket = this.#connection._socket;
    if (socket) socket.destroy();
    this.#connection.close();
  }

  /** Politely; resolves when the connection is gone. */
  async farewell(): Promise<void> {
    const socket = this.#connection._socket;
    this.#isOpen = false;
    if (!socket || socket.destroyed) return this.destroy();
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    this.#connection.quit();
    this.#connection.close();
    await gone;
  }
}
