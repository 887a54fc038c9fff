import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ComposeOptions, type RunningUsher, startUsher } from '../../src/compose.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/observe/logger.ts';

export interface TestUsher extends RunningUsher {
  readonly config: Config;
  /** GraphQL over HTTP, with a token: `dev:alice`, a visit token or a secret key. Answers the whole response body. */
  query(document: string, variables?: object, token?: string): Promise<GraphQLAnswer>;
  /** Starts again over the same data folder, after a `stop` or beside a kill. */
  restart(overrides?: Partial<Config>): Promise<TestUsher>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface GraphQLAnswer {
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever they asked for
  readonly data: any;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions?: { readonly code?: string };
  }[];
}

/** A whole Usher on a free port over a temporary folder; `await using` stops it and removes the folder. */
export async function startTestUsher(
  overrides: Partial<Config> = {},
  options: ComposeOptions = {},
): Promise<TestUsher> {
  const folder = overrides.data ?? (await mkdtemp(join(tmpdir(), 'usher-test-')));
  const { config: defaults } = loadConfig({});
  // The demo store sends mails, from which one unsubscribes somewhere.
  const production = overrides.mode === 'production' ? { publicUrl: 'https://usher.shop.example' } : {};
  const own = { port: 0, watch: false, logLevel: 'silent', data: folder, ...production } as const;
  const config: Config = { ...defaults, ...own, ...overrides };
  const usher = await startUsher(config, { logger: createLogger(config), ...options });
  return {
    ...usher,
    config,
    query: queryOf(usher.url),
    restart: async (more = {}) => startTestUsher({ ...config, ...more, data: folder }, options),
    async [Symbol.asyncDispose]() {
      await usher.stop();
      if (overrides.data === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Asks the gateway at this address. */
export function queryOf(url: string): TestUsher['query'] {
  return async (document, variables = {}, token = 'dev:alice') => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query: document, variables }),
    });
    return (await response.json()) as GraphQLAnswer;
  };
}
