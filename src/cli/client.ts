import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { resolve } from 'node:path';
import { loadConfig } from '../config.ts';
import { errorCatalogue, UsherError } from '../errors.ts';
import type { CliIo, CommandArgs, OptionDescription } from './command.ts';

/** How one request ended. Expected endings are values, because a sender decides by them what to do next. */
export type Answer<T> =
  | { readonly kind: 'data'; readonly data: T }
  | {
      readonly kind: 'errors';
      /** Of the first error; a code of src/errors.ts if the server is an Usher. */
      readonly code: string;
      readonly message: string;
      readonly retryable: boolean;
      readonly retryAfterMs: number | null;
    }
  /** `sent`: the request was on its way, so the server may have done what it asks. */
  | { readonly kind: 'unreached'; readonly sent: boolean; readonly message: string };

const requestDeadlineMs = 30_000;
/** No answer of the commands' own queries comes near; more is not read into memory. */
const answerBytesMax = 64_000_000;

/** A small GraphQL client over HTTP and SSE, for the commands: kept connections, one token, no cache. */
export class GraphqlClient {
  readonly url: URL;
  readonly #token: string;
  readonly #agent: HttpAgent;

  constructor(url: string, token: string, connections = 16) {
    this.url = endpointOf(url);
    this.#token = token;
    const options = { keepAlive: true, maxSockets: connections };
    this.#agent = this.url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options);
  }

  /** One operation. Never rejects, except when the signal aborts. */
  async ask<T>(query: string, variables: object = {}, signal?: AbortSignal): Promise<Answer<T>> {
    return this.askBody(JSON.stringify({ query, variables }), signal);
  }

  /** The same with the body made by the caller. */
  async askBody<T>(body: string, signal?: AbortSignal): Promise<Answer<T>> {
    let sent = false;
    try {
      const { response, done } = this.#post(body, 'application/json', signal, () => {
        sent = true;
      });
      const answer = await response;
      const text = await textOf(answer);
      done();
      return readAnswer<T>(answer, text);
    } catch (error) {
      if (signal?.aborted) throw error;
      return { kind: 'unreached', sent, message: messageOf(error) };
    }
  }

  /** @throws UsherError when there is no data: the server's code, or COMMAND_FAILED */
  async need<T>(query: string, variables: object = {}, signal?: AbortSignal): Promise<T> {
    const answer = await this.ask<T>(query, variables, signal);
    if (answer.kind === 'data') return answer.data;
    throw this.errorOf(answer);
  }

  errorOf(answer: Exclude<Answer<unknown>, { kind: 'data' }>): UsherError {
    if (answer.kind === 'unreached') {
      return new UsherError(
        'COMMAND_FAILED',
        `no Usher answers at ${this.url.href} (${answer.message}); start one, or name another with --url`,
      );
    }
    return Object.hasOwn(errorCatalogue, answer.code)
      ? new UsherError(answer.code as keyof typeof errorCatalogue, answer.message)
      : new UsherError('COMMAND_FAILED', `${this.url.href} answered ${answer.code}: ${answer.message}`);
  }

  /** Values of a subscription over SSE, until the server completes it; leaving the loop closes it. Rejects when the connection breaks. */
  async *subscribe<T>(query: string, variables: object, signal: AbortSignal): AsyncGenerator<T, void> {
    const { response, done } = this.#post(
      JSON.stringify({ query, variables }),
      'text/event-stream',
      signal,
      () => {},
      false,
    );
    try {
      const stream = await response;
      if (!(stream.headers['content-type'] ?? '').startsWith('text/event-stream')) {
        const answer = readAnswer<T>(stream, await textOf(stream));
        throw answer.kind === 'data'
          ? new UsherError('BAD_REQUEST', 'the server answered a subscription with a single result')
          : this.errorOf(answer);
      }
      for await (const event of serverSentEvents(stream)) {
        if (event.name === 'complete') return;
        if (event.name !== 'next') continue;
        const value = readBody<T>(event.data, stream);
        if (value.kind !== 'data') throw this.errorOf(value);
        yield value.data;
      }
      throw new Error('the server closed the connection');
    } finally {
      done();
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #post(body: string, accept: string, signal: AbortSignal | undefined, onSent: () => void, withDeadline = true) {
    const send = this.url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(this.url, {
      method: 'POST',
      agent: this.#agent,
      headers: {
        accept,
        authorization: `Bearer ${this.#token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      },
      ...(signal === undefined ? {} : { signal }),
    });
    const deadline = withDeadline
      ? setTimeout(() => request.destroy(new Error(`no answer within ${requestDeadlineMs} ms`)), requestDeadlineMs)
      : undefined;
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.on('error', (error) => {
        clearTimeout(deadline);
        reject(error);
      });
    });
    // From the first byte on a connection the server may act on it; before that it cannot have seen anything.
    request.once('socket', (socket) => (socket.connecting ? socket.once('connect', onSent) : onSent()));
    request.end(body);
    const done = () => {
      clearTimeout(deadline);
      if (!withDeadline) request.destroy();
    };
    return { response, done };
  }
}

function endpointOf(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new UsherError('COMMAND_FAILED', `--url is ${text}; expected one like http://127.0.0.1:4000`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new UsherError('COMMAND_FAILED', `--url is ${text}; expected http or https`);
  }
  if (url.pathname === '/') url.pathname = '/graphql';
  return url;
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > answerBytesMax) throw new Error(`the answer has more than ${answerBytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function readAnswer<T>(response: IncomingMessage, text: string): Answer<T> {
  return readBody<T>(text, response);
}

function readBody<T>(text: string, response: IncomingMessage): Answer<T> {
  const status = response.statusCode ?? 0;
  let body: {
    data?: T | null;
    errors?: { message?: unknown; extensions?: { code?: unknown; retryAfterMs?: unknown } }[];
  };
  try {
    body = JSON.parse(text);
  } catch {
    return failure(`HTTP_${status}`, text.slice(0, 200), status, response);
  }
  const first = body.errors?.[0];
  if (first === undefined && body.data !== null && body.data !== undefined) return { kind: 'data', data: body.data };
  const code = typeof first?.extensions?.code === 'string' ? first.extensions.code : `HTTP_${status}`;
  const message = typeof first?.message === 'string' ? first.message : text.slice(0, 200);
  return failure(code, message, status, response, first?.extensions?.retryAfterMs);
}

function failure<T>(
  code: string,
  message: string,
  status: number,
  response: IncomingMessage,
  afterMs?: unknown,
): Answer<T> {
  const seconds = Number(response.headers['retry-after'] ?? Number.NaN);
  return {
    kind: 'errors',
    code,
    message,
    // A proxy's 502 or 429 has no code of ours, and is worth another try all the same.
    retryable: Object.hasOwn(errorCatalogue, code)
      ? errorCatalogue[code as keyof typeof errorCatalogue].retryable
      : status === 429 || status >= 500,
    retryAfterMs: typeof afterMs === 'number' ? afterMs : Number.isFinite(seconds) ? seconds * 1000 : null,
  };
}

/** The WHATWG event stream format: fields `event` and `data`, an empty line ends an event, `:` begins a comment. */
export async function* serverSentEvents(
  stream: AsyncIterable<Buffer>,
): AsyncGenerator<{ name: string; data: string }, void> {
  const decoder = new TextDecoder();
  let rest = '';
  let name = 'message';
  let data: string[] = [];
  for await (const part of stream) {
    const lines = (rest + decoder.decode(part, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { name, data: data.join('\n') };
        else if (name !== 'message') yield { name, data: '' };
        name = 'message';
        data = [];
      } else if (line.startsWith('event:')) name = line.slice(6).trim();
      else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
  }
}

function messageOf(error: unknown): string {
  const cause = error as NodeJS.ErrnoException & { errors?: Error[] };
  // Both addresses of `localhost` refused: the message is empty and the reasons are inside.
  return cause.message || cause.errors?.[0]?.message || cause.code || String(error);
}

/** `--url`, `--key`, `--data`: the same for every command that talks to a running Usher. */
export const clientOptions: Readonly<Record<string, OptionDescription>> = {
  url: {
    type: 'string',
    value: 'URL',
    help: 'The Usher to talk to [http://127.0.0.1:PORT, PORT as `usher start` here would take it]',
  },
  key: { type: 'string', value: 'usk_…', help: 'Secret key [in development the dev-key of the data folder]' },
  data: {
    type: 'string',
    value: 'DIR',
    help: 'Data folder to read the dev-key from [as `usher start` here would take it]',
  },
};

/**
 * A client as the arguments say. Without them: the port, the data folder and the dev-key of the Usher that was started here.
 * @param as A token to use instead of the secret key, for example `dev:alice`.
 * @throws UsherError COMMAND_FAILED when there is no key
 */
export function connect(args: CommandArgs, io: CliIo, as?: string, connections?: number): GraphqlClient {
  const { config } = loadConfig({ env: io.env, file: { path: resolve(io.cwd, 'usher.yaml'), required: false } });
  const url =
    textOption(args, 'url') ?? `http://${config.host === '0.0.0.0' ? '127.0.0.1' : config.host}:${config.port}`;
  return new GraphqlClient(
    url,
    as ?? textOption(args, 'key') ?? devKey(resolve(io.cwd, textOption(args, 'data') ?? config.data)),
    connections,
  );
}

function devKey(folder: string): string {
  const path = resolve(folder, 'dev-key');
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new UsherError(
      'COMMAND_FAILED',
      `there is no key: ${path} cannot be read (\`usher start\` writes it in development); give one with --key usk_…`,
    );
  }
}

export function textOption(args: CommandArgs, name: string): string | undefined {
  const value = args.options[name];
  return typeof value === 'string' ? value : undefined;
}

/** A whole number of an option. @throws UsherError COMMAND_FAILED, naming the option and its range */
export function wholeOption(args: CommandArgs, name: string, min: number, max: number): number {
  const text = textOption(args, name) ?? '';
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new UsherError('COMMAND_FAILED', `--${name} is ${text}; expected a whole number from ${min} to ${max}`);
  }
  return value;
}
