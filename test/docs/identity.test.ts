import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { createUsher } from '../../src/sdk/usher.ts';
import { recordedIo } from '../support/cliIo.ts';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { shopPage, shopServer } from './identityShop.ts';

const playbook = join(import.meta.dirname, '../gateway/identityPlaybook');
const page = readFileSync(join(import.meta.dirname, '../../docs/identity.md'), 'utf8');
const blocks = [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({
  language: language!,
  text: text!,
}));
const blocksOf = (language: string) => blocks.filter((block) => block.language === language).map(({ text }) => text);

const secret = 'what the shop signs with, 32 letters or more';
let usher: TestUsher;
beforeAll(async () => {
  usher = await startTestUsher({ playbook, identitySecrets: [secret] });
});
afterAll(() => usher[Symbol.asyncDispose]());

describe('docs/identity.md', () => {
  it('has no block of a language that nothing here looks at', () => {
    expect([...new Set(blocks.map(({ language }) => language))].sort()).toEqual([
      'csv',
      'graphql',
      'sh',
      'text',
      'ts',
      'yaml',
    ]);
    const prose = page.replace(/^```[\s\S]*?^```$/gm, '');
    expect(prose).not.toMatch(/^(?: {4}|\t)\S/m);
    expect(prose).not.toMatch(/^\s*(?:```|~~~)/m);
  });

  it.each<[string, string[], string]>([
    ['its playbook', blocksOf('yaml'), readFileSync(join(playbook, 'playbook.yaml'), 'utf8')],
    ['its shop', blocksOf('ts'), readFileSync(join(import.meta.dirname, 'identityShop.ts'), 'utf8')],
  ])('takes its examples from %s, which is run', (_name, examples, source) => {
    expect(examples.length).toBeGreaterThanOrEqual(2);
    for (const part of examples.flatMap((example) => example.split(/\n\n/)))
      expect(`\n${source}\n`.includes(`\n${part.trimEnd()}\n`), part).toBe(true);
  });

  it('shows a shop that works: login, logout, profile and consent', async () => {
    const { server, tellProfile } = shopServer(usher.url, usher.devKey!, secret);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = createUsher({ url: usher.url });
    const { loggedIn, loggedOut, agreed } = shopPage(
      client,
      `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    );
    await loggedIn({ email: 'anna@shop.example', password: 'right' });
    const input = {
      visitor: { userId: 'anna' },
      email: 'anna@shop.example',
      name: 'Anna',
      attributes: { tier: 'gold' },
    };
    expect(await tellProfile(input)).toEqual({ status: 'ACCEPTED', error: null });
    await agreed(true);
    await usher.caughtUp();
    const shown = async () => (await client.slots(['hero', 'offer'])).map((slot) => slot!.content.id);
    expect(await shown()).toEqual(['gold_hello', 'newsletter_offer']);
    await agreed(false);
    await usher.caughtUp();
    expect(await shown()).toEqual(['gold_hello', 'plain']);
    loggedOut();
    expect(await shown()).toEqual(['plain', 'plain']);
    client.close();
    server.closeAllConnections();
    server.close();
  });

  it.each(blocksOf('graphql'))('shows operations that are accepted: %#', async (document) => {
    const { data, errors } = await usher.query(document, {}, 'dev:reader-of-the-docs');
    expect(errors).toBeUndefined();
    const [payload] = Object.values(data) as { error?: unknown; outcome?: { status: string } }[];
    expect(payload!.error ?? null).toBeNull();
    expect(payload!.outcome?.status ?? 'ACCEPTED').toBe('ACCEPTED');
  });

  it('shows what the import prints for its file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'usher-docs-'));
    writeFileSync(join(folder, 'customers.csv'), blocksOf('csv')[0]!);
    const [, ...words] = blocksOf('sh')[0]!.trim().split(' ');
    expect(words[0]).toBe('usher');
    const io = recordedIo({ cwd: folder });
    expect(await runCli([...words.slice(1), '--url', usher.url, '--data', usher.config.data], io)).toBe(1);
    rmSync(folder, { recursive: true });
    const withoutTime = (text: string) => text.replace(/[\d.]+ s$/, '');
    expect([...io.errLines, ...io.outLines].map(withoutTime)).toEqual(
      blocksOf('text')[0]!.trim().split('\n').map(withoutTime),
    );
  });

  it('names every member of a profile, and every claim that a token may have', () => {
    for (const name of [
      'email',
      'name',
      'locale',
      'timeZone',
      'attributes',
      'sub',
      'aud',
      'exp',
      'jti',
      'nbf',
      'visitor',
    ])
      expect(page).toMatch(new RegExp(`^\\| \`${name}\` \\|`, 'm'));
  });
});
