import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** Where in a session: `body` after the first bytes of a message, `final` after its final dot. */
export type Stage = 'connect' | 'auth' | 'mail' | 'rcpt' | 'data' | 'body' | 'final';

/** `die` takes the process, `close` the connection; `hang` says nothing more. */
export type Act =
  | { readonly do: 'reply'; readonly code: number; readonly text?: string; readonly once?: boolean }
  | { readonly do: 'hang' | 'close' | 'die'; readonly once?: boolean };

export interface MailServerOptions {
  readonly port?: number;
  /** STARTTLS is offered, or TLS from the first byte, or none. */
  readonly tls?: 'offered' | 'always' | 'none';
  readonly login?: { readonly user: string; readonly password: string };
  readonly pipelining?: boolean;
  readonly sizeMax?: number;
}

export interface TakenMail {
  /** Bytes as latin1, without the final dot. */
  readonly raw: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly secure: boolean;
}

export type FromMailServer =
  | { readonly what: 'listening'; readonly port: number }
  | { readonly what: 'reached'; readonly stage: Stage }
  | { readonly what: 'login'; readonly secure: boolean; readonly user: string }
  | { readonly what: 'taken'; readonly mail: TakenMail }
  | { readonly what: 'connections'; readonly count: number }
  | { readonly what: 'done' };
export type ToMailServer =
  | { readonly what: 'behave'; readonly stage: Stage; readonly act: Act | null }
  | { readonly what: 'connections' }
  | { readonly what: 'drop' }
  | { readonly what: 'reset' };

/** A real mail server in a process of its own. What it took stays known when it has died. */
export class MailServer {
  readonly #taken: TakenMail[] = [];
  readonly #logins: { readonly secure: boolean; readonly user: string }[] = [];
  readonly #options: MailServerOptions;
  readonly #reached = new Map<Stage, number>();
  #child: ChildProcess;
  #answers: ((message: FromMailServer) => void)[] = [];
  port = 0;

  static async start(options: MailServerOptions = {}): Promise<MailServer> {
    const server = new MailServer(options);
    await server.#listening();
    return server;
  }

  private constructor(options: MailServerOptions) {
    this.#options = options;
    this.#child = this.#fork();
  }

  /** What it has taken until now, also the mails whose sender was not told so. */
  async taken(): Promise<readonly TakenMail[]> {
    await this.#heard();
    return [...this.#taken];
  }

  async logins(): Promise<readonly { readonly secure: boolean; readonly user: string }[]> {
    await this.#heard();
    return [...this.#logins];
  }

  /** How often a session has got there. */
  async reached(stage: Stage): Promise<number> {
    await this.#heard();
    return this.#reached.get(stage) ?? 0;
  }

  /** null: as a mail server does. */
  async behave(stage: Stage, act: Act | null): Promise<void> {
    await this.#ask({ what: 'behave', stage, act });
  }

  async connections(): Promise<number> {
    if (this.#isGone) return 0;
    const answer = await this.#ask({ what: 'connections' });
    return answer.what === 'connections' ? answer.count : 0;
  }

  /** Cuts every connection, as a restart of the server would. */
  async drop(): Promise<void> {
    await this.#ask({ what: 'drop' });
  }

  /** As it was when it was started. */
  async reset(): Promise<void> {
    // It may be dying, which shows when it is asked.
    if (this.#isGone) await this.restart();
    else await this.#ask({ what: 'reset' }).catch(() => this.restart());
    this.#reached.clear();
    this.#taken.length = 0;
    this.#logins.length = 0;
  }

  /** After it has died: on the same port. */
  async restart(): Promise<void> {
    if (!this.#isGone) await once(this.#child, 'exit');
    this.#answers = [];
    this.#child = this.#fork(this.port);
    await this.#listening();
  }

  async close(): Promise<void> {
    if (this.#isGone) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  get #isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #fork(port?: number): ChildProcess {
    const options = { ...this.#options, ...(port !== undefined && { port }) };
    const child = fork(join(import.meta.dirname, 'mailServerProcess.ts'), [JSON.stringify(options)], { execArgv: [] });
    child.on('message', (message: FromMailServer) => this.#hear(message));
    return child;
  }

  #hear(message: FromMailServer): void {
    if (message.what === 'reached') this.#reached.set(message.stage, (this.#reached.get(message.stage) ?? 0) + 1);
    else if (message.what === 'login') this.#logins.push(message);
    else if (message.what === 'taken') this.#taken.push(message.mail);
    else this.#answers.shift()?.(message);
  }

  /** Resolves when all that it has told by now is heard: what a client sees may be faster. */
  async #heard(): Promise<void> {
    try {
      await this.#ask({ what: 'connections' });
    } catch {
      if (this.#child.connected) await once(this.#child, 'disconnect');
    }
  }

  async #listening(): Promise<void> {
    const answer = await this.#next();
    if (answer.what === 'listening') this.port = answer.port;
  }

  async #ask(message: ToMailServer): Promise<FromMailServer> {
    if (this.#isGone) throw new Error('the mail server has died');
    const answer = this.#next();
    // That it cannot be sent shows by the process’s end.
    this.#child.send(message, () => {});
    return answer;
  }

  #next(): Promise<FromMailServer> {
    return new Promise((resolve, reject) => {
      const gone = () => reject(new Error('the mail server has died'));
      this.#child.once('exit', gone);
      this.#answers.push((message) => {
        this.#child.off('exit', gone);
        resolve(message);
      });
    });
  }
}
