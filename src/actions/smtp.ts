import { Readable } from 'node:stream';
import { isMailAddress } from '../model/mailAddress.ts';
import { composeMail } from './composeMail.ts';
import type { Attempt, DeliveryOutcome, Destination, OutgoingMessage } from './destination.ts';
import { asciiDomain, type Mailbox, mailbox } from './mailAddress.ts';
import { delivered, refused, retry, Underway, unknown } from './outcomes.ts';
import { SmtpPool } from './smtpPool.ts';
import { type SmtpError, type SmtpLimits, type SmtpSession, smtpDefaults } from './smtpSession.ts';
import { smtpServer } from './smtpUrl.ts';

export interface SmtpOptions {
  /** `smtp://user:password@host:587`, see `smtpServer`. */
  readonly url: string;
  /** `Shop <shop@example.com>`. */
  readonly from: string;
  /** Certificates of authorities besides the system's, PEM. */
  readonly ca?: string;
  readonly limits?: Partial<SmtpLimits>;
}

/**
 * Mail, at most once: what may have been taken is not sent again.
 * @throws Error naming what is wrong with the options
 */
export function smtpDestination(options: SmtpOptions): Destination {
  return new Smtp(options);
}

/** Replies that are about us, not about the mail: log in, log in rightly, encrypt. Whoever runs Usher can mend that. */
const ourFault = new Set([530, 534, 535, 538]);

class Smtp implements Destination {
  readonly kind = 'smtp';
  readonly repeatable = false;
  readonly #from: Mailbox;
  readonly #limits: SmtpLimits;
  readonly #pool: SmtpPool;
  readonly #underway = new Underway();

  constructor({ url, from, ca, limits }: SmtpOptions) {
    this.#from = mailbox(from);
    this.#limits = { ...smtpDefaults, ...limits };
    this.#pool = new SmtpPool(smtpServer(url), ca ?? null, this.#limits);
  }

  deliver(message: OutgoingMessage, attempt: Attempt): Promise<DeliveryOutcome> {
    return this.#underway.run(() => this.#deliver(message, attempt));
  }

  async close(): Promise<void> {
    await this.#underway.end();
    await this.#pool.end();
  }

  async #deliver({ id, to, mail, attemptAt: at }: OutgoingMessage, attempt: Attempt): Promise<DeliveryOutcome> {
    if (mail === null) return refused('the action has no subject and text, so there is no mail to send');
    if (to === null) return refused('the visitor has no address');
    if (!isMailAddress(to)) return refused(`${JSON.stringify(to)} is no address of mail`);
    let raw: Buffer;
    try {
      raw = await composeMail({ id, from: this.#from, to, mail, at });
    } catch (error) {
      return refused((error as Error).message);
    }
    for (let fresh = false; ; fresh = true) {
      let session: SmtpSession;
      try {
        session = await this.#pool.take(attempt.signal, { fresh });
      } catch (error) {
        return attempt.signal.aborted ? retry('the attempt was broken off') : retry(told(error as SmtpError));
      }
      const isUsed = session.mails > 0;
      const handOver = new HandOver(raw, attempt, this.#limits);
      const outcome = await handOver.run(session, asciiDomain(this.#from.address), asciiDomain(to));
      this.#pool.giveBack(session, outcome.kind === 'delivered');
      // The server had ended a connection that was not in use, which shows only now.
      if (isUsed && handOver.isLostEarly) continue;
      return outcome;
    }
  }
}

/** One message's way over one connection. */
class HandOver {
  readonly #raw: Buffer;
  readonly #attempt: Attempt;
  readonly #limits: SmtpLimits;
  readonly #limit = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** Settled when `beforeFinal` is; null: it was not asked. */
  #gate: Promise<unknown> | null = null;
  #isOver = false;
  /** The final dot may be on its way: only the server knows what becomes of the message. */
  #isFinal = false;
  /** Before anything of the message was sent, without a word of the server. */
  isLostEarly = false;

  constructor(raw: Buffer, attempt: Attempt, limits: SmtpLimits) {
    this.#raw = raw;
    this.#attempt = attempt;
    this.#limits = limits;
  }

  async run(session: SmtpSession, from: string, to: string): Promise<DeliveryOutcome> {
    const { handOverMs } = this.#limits;
    this.#arm(handOverMs, `not handed over within ${handOverMs} ms`);
    const signal = AbortSignal.any([this.#attempt.signal, this.#limit.signal]);
    const message = Readable.from(this.#bytes());
    // Its failures are told by `send` too, and after the end nobody listens.
    message.on('error', () => {});
    try {
      const reply = await session.send(from, to, message, this.#raw.length, signal);
      return delivered(reply);
    } catch (error) {
      this.#isOver = true;
      session.destroy();
      message.destroy();
      await this.#gate;
      return this.#outcomeOf(error as SmtpError);
    } finally {
      clearTimeout(this.#timer);
    }
  }

  /** The end is what makes nodemailer send the final dot, so it waits. */
  async *#bytes(): AsyncGenerator<Buffer> {
    yield this.#raw;
    const asked = this.#attempt.beforeFinal();
    this.#gate = asked.catch(() => {});
    await asked;
    if (this.#isOver) throw new Error('the connection was lost before the final dot');
    this.#isFinal = true;
    const { finalReplyMs } = this.#limits;
    this.#arm(finalReplyMs, `no reply to the final dot within ${finalReplyMs} ms`);
  }

  #arm(ms: number, words: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#limit.abort(new Error(words)), ms);
  }

  #outcomeOf(error: SmtpError): DeliveryOutcome {
    const { code, responseCode: reply = 0 } = error;
    const detail = this.#attempt.signal.aborted ? 'the attempt was broken off' : told(error);
    if (this.#isFinal) {
      // A reply to the dot is an answer: the server has not taken the mail. 421 alone may be about the connection.
      const isAnswer = code === 'EMESSAGE' && reply >= 400 && reply !== 421;
      if (!isAnswer)
        return unknown(`${detail}; all of the mail was sent, and the server did not say whether it took it`);
      return reply >= 500 ? refused(detail) : retry(detail);
    }
    this.isLostEarly = this.#gate === null && reply === 0 && (code === 'ECONNECTION' || code === 'ESOCKET');
    const isAboutMail = code === 'EENVELOPE' || code === 'EMESSAGE';
    // Without a reply nodemailer itself found the mail to be too large, or an address to be none.
    if (isAboutMail && (reply === 0 || (reply >= 500 && !ourFault.has(reply)))) return refused(detail);
    return retry(detail);
  }
}

function told({ code, message }: SmtpError): string {
  return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
}
