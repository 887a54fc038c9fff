import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { AddressList, isPublic } from './addresses.ts';
import type { Attempt, DeliveryOutcome, Destination, OutgoingMessage } from './destination.ts';
import { ForbiddenAddress, forbids, guardedAgents, type Resolve, systemResolve } from './guardedAgent.ts';
import { delivered, oneLine, refused, retry, Underway } from './outcomes.ts';
import { retryAfterMs } from './retryAfter.ts';
import { signedHeaders, signingKey } from './signature.ts';

export interface WebhookOptions {
  /** https, or http to an address of `allowPrivate`; without user and password. */
  readonly url: string;
  /** The newest first; each signs. */
  readonly secrets: readonly string[];
  /** Addresses and networks that may be called though they are not public, and without TLS. */
  readonly allowPrivate: readonly string[];
  /** Connections at the same time [32]. */
  readonly connections?: number;
  /** From the request to the end of the answer, ms [15,000]. */
  readonly limitMs?: number;
  readonly resolve?: Resolve;
  /** Certificates of authorities besides the system's, PEM. */
  readonly ca?: string;
}

/** Beyond it an answer is not read: its status says all that is asked. */
const answerBytesMax = 64_000;
/** Of an answer's text, for whoever reads the dead letter. */
const answerShown = 200;
/** Statuses below 500 after which the same request may be taken. */
const laterStatuses = new Set([408, 425, 429]);

/**
 * POSTs the payload as JSON, signed as the Standard Webhooks specification says. At least once, with the action's id.
 * @throws Error naming what is wrong with the options
 */
export function webhookDestination(options: WebhookOptions): Destination {
  return new Webhook(options);
}

class Webhook implements Destination {
  readonly kind = 'webhook';
  readonly repeatable = true;
  readonly #url: URL;
  readonly #keys: readonly Buffer[];
  readonly #listed: AddressList;
  readonly #limitMs: number;
  readonly #agents;
  readonly #underway = new Underway();

  constructor({ url, secrets, allowPrivate, connections = 32, limitMs = 15_000, resolve, ca }: WebhookOptions) {
    this.#url = webhookUrl(url);
    if (secrets.length === 0) throw new Error('expected a secret to sign with, came none');
    this.#keys = secrets.map(signingKey);
    this.#listed = new AddressList(allowPrivate);
    this.#limitMs = limitMs;
    this.#agents = guardedAgents({
      resolve: resolve ?? systemResolve,
      whyNot: (address) => this.#whyNot(address),
      connections,
      ...(ca !== undefined && { ca }),
    });
  }

  deliver(message: OutgoingMessage, { signal }: Attempt): Promise<DeliveryOutcome> {
    return this.#underway.run(() => this.#deliver(message, signal));
  }

  async close(): Promise<void> {
    await this.#underway.end();
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  #whyNot(address: string): string | null {
    if (this.#listed.has(address)) return null;
    if (!isPublic(address)) {
      return 'may not be called: it is not public. If it should be, list it in the setting webhookAllowPrivate';
    }
    return this.#url.protocol === 'https:' ? null : 'is called over TLS alone: give an address that begins with https:';
  }

  async #deliver(message: OutgoingMessage, signal: AbortSignal): Promise<DeliveryOutcome> {
    if (signal.aborted) return retry('the attempt was broken off');
    const limit = AbortSignal.timeout(this.#limitMs);
    try {
      const answer = await this.#post(message, AbortSignal.any([signal, limit]));
      return outcomeOf(answer, await textOf(answer), message.attemptAt);
    } catch (error) {
      if (error instanceof ForbiddenAddress) return refused(error.message);
      if (signal.aborted) return retry('the attempt was broken off');
      if (limit.aborted) return retry(`no answer within ${this.#limitMs} ms`);
      const { code, message: words } = error as NodeJS.ErrnoException;
      if (code === 'ERR_INVALID_CHAR') return refused(words);
      return retry(code === undefined || words.includes(code) ? words : `${code}: ${words}`);
    }
  }

  /** Resolves with the answer's head. A redirect is an answer like any: node:http follows none. */
  #post(message: OutgoingMessage, signal: AbortSignal): Promise<IncomingMessage> {
    const { hostname, protocol } = this.#url;
    const literal = hostname.replace(/^\[|\]$/g, '');
    // An address is not looked up, so it is checked here.
    const why = isIP(literal) === 0 ? null : this.#whyNot(literal);
    if (why !== null) return Promise.reject(forbids(literal, why));
    const body = JSON.stringify(message.payload);
    const [send, agent] = protocol === 'http:' ? [httpRequest, this.#agents.http] : [httpsRequest, this.#agents.https];
    return new Promise((resolve, reject) => {
      const sent = send(this.#url, {
        method: 'POST',
        agent,
        signal,
        headers: {
          ...signedHeaders({ ...message, body }, this.#keys),
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'user-agent': 'Usher',
        },
      });
      sent.on('response', resolve);
      // Also after the answer has begun; its reader is told then, and this is no longer heard.
      sent.on('error', reject);
      sent.end(body);
    });
  }
}

/** @throws Error */
export function webhookUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null)
    throw new Error(`expected an address like https://shop.example/hook; ${JSON.stringify(text)} is none`);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error(`expected https, came ${url.protocol}`);
  if (url.username !== '' || url.password !== '') {
    throw new Error('expected an address without user and password: they would stand in the playbook');
  }
  return url;
}

/** The beginning of the answer's text. What comes later, or breaks off, changes nothing: the status is there. */
async function textOf(answer: IncomingMessage): Promise<string> {
  let text = '';
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (text.length < answerShown) text += chunk.toString('utf8');
      if (bytes > answerBytesMax) break;
    }
  } catch {
    // Broken off.
  }
  return oneLine(text, answerShown);
}

function outcomeOf({ statusCode = 0, headers }: IncomingMessage, text: string, now: number): DeliveryOutcome {
  const told = text === '' ? `status ${statusCode}` : `status ${statusCode}: ${text}`;
  if (statusCode >= 200 && statusCode < 300) return delivered(`status ${statusCode}`);
  if (statusCode >= 300 && statusCode < 400) {
    return refused(
      `status ${statusCode}: redirects are not followed; give the address that it leads to, ${headers.location ?? 'which it does not tell'}`,
    );
  }
  if (statusCode >= 500 || laterStatuses.has(statusCode)) return retry(told, retryAfterMs(headers['retry-after'], now));
  return refused(statusCode === 410 ? `${told}; the receiver is gone for good` : told);
}
