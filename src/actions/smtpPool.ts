import { type SmtpLimits, SmtpSession } from './smtpSession.ts';
import type { SmtpServer } from './smtpUrl.ts';

/** Connections to one server: no more than may be at a time, each used for one mail after another. */
export class SmtpPool {
  readonly #server: SmtpServer;
  readonly #ca: string | null;
  readonly #limits: SmtpLimits;
  /** Least recently used first. */
  readonly #idle = new Map<SmtpSession, NodeJS.Timeout>();
  readonly #leaving = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  /** In use, or being opened. */
  #used = 0;

  constructor(server: SmtpServer, ca: string | null, limits: SmtpLimits) {
    this.#server = server;
    this.#ca = ca;
    this.#limits = limits;
  }

  /**
   * A session for one mail, to be given back. `fresh`: one that no mail has been sent over.
   * @throws SmtpError; the signal's reason
   */
  async take(signal: AbortSignal, { fresh = false } = {}): Promise<SmtpSession> {
    await this.#slot(signal);
    try {
      const idle = fresh ? undefined : [...this.#idle.keys()].filter(({ isOpen }) => isOpen).at(-1);
      if (idle === undefined) {
        const [oldest] = this.#idle.keys();
        if (oldest !== undefined && this.#used + this.#idle.size > this.#limits.connections) this.#leave(oldest);
        return await SmtpSession.open(this.#server, this.#ca, this.#limits, signal);
      }
      clearTimeout(this.#idle.get(idle));
      this.#idle.delete(idle);
      return idle;
    } catch (error) {
      this.#free();
      throw error;
    }
  }

  /** One over which something went wrong is not used again: what the two sides think of where they are may differ. */
  giveBack(session: SmtpSession, isSound: boolean): void {
    const { idleMs, mailsPerConnection } = this.#limits;
    for (const other of this.#idle.keys()) if (!other.isOpen) this.#leave(other);
    if (!isSound || !session.isOpen) session.destroy();
    else if (session.mails >= mailsPerConnection) this.#leave(session);
    else this.#idle.set(session, setTimeout(() => this.#leave(session), idleMs).unref());
    this.#free();
  }

  /** Once nothing is in use. */
  async end(): Promise<void> {
    for (const session of this.#idle.keys()) this.#leave(session);
    await Promise.allSettled(this.#leaving);
  }

  #leave(session: SmtpSession): void {
    clearTimeout(this.#idle.get(session));
    this.#idle.delete(session);
    const leaving = session.farewell().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
  }

  async #slot(signal: AbortSignal): Promise<void> {
    while (this.#used >= this.#limits.connections) {
      await new Promise<void>((resolve, reject) => {
        const abort = () => {
          this.#waiting.splice(this.#waiting.indexOf(go), 1);
          reject(signal.reason as Error);
        };
        const go = () => {
          signal.removeEventListener('abort', abort);
          resolve();
        };
        if (signal.aborted) return reject(signal.reason as Error);
        signal.addEventListener('abort', abort, { once: true });
        this.#waiting.push(go);
      });
    }
    this.#used++;
  }

  #free(): void {
    this.#used--;
    this.#waiting.shift()?.();
  }
}
