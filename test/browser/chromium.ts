import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { describe } from 'vitest';

const executablePath = process.env['USHER_TEST_CHROMIUM'] ?? '/usr/bin/chromium';
const root = join(import.meta.dirname, '..', '..');

/**
 * Describes behaviour in a real browser. Without one it is skipped, with the reason in its name; in CI that is a failure.
 * The web files are built first, if what they are made of has changed.
 */
export function describeInBrowser(name: string, tests: () => void): void {
  if (!existsSync(executablePath)) {
    const reason = `no Chromium at ${executablePath} (USHER_TEST_CHROMIUM names another one)`;
    if (process.env['CI'] === 'true') throw new Error(`${name}: ${reason}; CI may not skip it`);
    describe.skip(`${name}: skipped, ${reason}`, tests);
    return;
  }
  describe(name, tests);
}

export function buildWeb(): void {
  execFileSync(process.execPath, [join(root, 'scripts', 'build-web.ts')], { stdio: ['ignore', 'ignore', 'inherit'] });
}

export interface TestBrowser {
  /** A page of a browser of its own: its own storage, as another person's. */
  page(options?: BrowserContextOptions): Promise<Page>;
  /** Addresses outside this machine that a page asked for; all were refused. */
  readonly foreign: readonly string[];
  /** Errors that pages logged or threw. */
  readonly faults: readonly string[];
  [Symbol.asyncDispose](): Promise<void>;
}

export async function openBrowser(): Promise<TestBrowser> {
  const browser = await chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });
  const foreign: string[] = [];
  const faults: string[] = [];
  return {
    foreign,
    faults,
    async page(options = {}) {
      const context: BrowserContext = await browser.newContext(options);
      await context.route('**/*', (route) => {
        const { protocol, hostname } = new URL(route.request().url());
        const isLocal = !/^(http|ws)s?:$/.test(protocol) || ['127.0.0.1', 'localhost', '[::1]'].includes(hostname);
        if (isLocal) return route.continue();
        foreign.push(route.request().url());
        return route.abort();
      });
      context.setDefaultTimeout(10_000);
      const page = await context.newPage();
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error') faults.push(`${message.text()} ${message.location().url}`);
      });
      return page;
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}
