import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { type Engines, freshNamespace, removeNamespace, sharedEngines, whyNoEngines } from '../support/engines.ts';
import { freePorts } from '../support/ports.ts';

/** The commands of the docs, run as they stand there: other ports, engines and names than a reader's are put in their place. */
const root = join(import.meta.dirname, '..', '..');
const read = (page: string) => readFileSync(join(root, page), 'utf8');
const reason = await whyNoEngines();
/** Written before a block whose commands need what these tests do not have. */
const notRun = 'Not run by us:';

interface Block {
  readonly commands: string;
  readonly isRun: boolean;
}

/** The shell blocks of a page, or of one section of it. */
function blocksOf(page: string, section?: string): readonly Block[] {
  const whole = read(page);
  const from = section === undefined ? 0 : whole.indexOf(`## ${section}`);
  const end = section === undefined ? -1 : whole.indexOf('\n## ', from + 1);
  expect(from, `${page} has the section ${section}`).toBeGreaterThanOrEqual(0);
  const part = whole.slice(from, end < 0 ? undefined : end);
  return [...part.matchAll(/([^\n]*)\n+```sh\n([\s\S]*?)```/g)].map((match) => ({
    commands: match[2]!,
    isRun: !match[1]!.includes(notRun),
  }));
}

/** Runs blocks in one shell, as a reader would who pastes one after the other, and answers what they printed. */
async function runAll(
  blocks: readonly Block[],
  engines: Engines,
): Promise<{ code: number; output: string; namespace: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'usher-docs-'));
  const namespace = freshNamespace();
  cpSync(join(root, 'playbooks'), join(folder, 'playbooks'), { recursive: true });
  const written = blocks.filter(({ isRun }) => isRun).map(({ commands }) => commands);
  const ports = [...new Set(written.join('\n').match(/(?<=localhost:|--port )\d+/g))];
  const free = await freePorts(ports.length);
  let script = written.join('\necho "== the next block"\n');
  for (const [i, port] of ports.entries())
    script = script.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), String(free[i]));
  script = script
    .replaceAll('127.0.0.1:19092', engines.kafka)
    .replaceAll('redis://127.0.0.1:16379', engines.redisUrl)
    .replaceAll('http://localhost:', 'http://127.0.0.1:');
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  symlinkSync(join(root, 'bin', 'usher.mjs'), join(bin, 'usher.mjs'));
  // What npx and npm do there, without what they print.
  command(join(bin, 'npx'), `shift; exec "${process.execPath}" "${join(root, 'src', 'main.ts')}" "$@"`);
  command(join(bin, 'npm'), 'test "$*" = "run engines"');
  const child = spawn('bash', ['-euc', script], {
    cwd: folder,
    // A process group of its own: it ends with the test, whatever is still in the background.
    detached: true,
    env: {
      PATH: `${bin}:${process.env['PATH']}`,
      HOME: folder,
      USHER_NAMESPACE: namespace,
      USHER_SHARDS: '4',
      USHER_SESSION_TIMEOUT_MS: '6000',
    },
  });
  const printed = Promise.all([text(child.stdout), text(child.stderr)]);
  const late = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), 150_000);
  const [code] = await once(child, 'exit');
  clearTimeout(late);
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {
    // All have ended already.
  }
  const output = (await printed).join('\n');
  rmSync(folder, { recursive: true, force: true });
  return { code, output, namespace };
}

function command(file: string, line: string): void {
  writeFileSync(file, `#!/bin/sh\n${line}\n`, { mode: 0o755 });
}

describe.skipIf(reason !== null)(reason === null ? 'the commands of the docs' : `skipped: ${reason}`, () => {
  it.each([
    ['README.md', 'Run it as a cluster', /shard 0 +at/],
    ['docs/operations.md', undefined, /ACCEPTED[\s\S]*shard 0 +at[\s\S]*ACCEPTED/],
  ] as const)(
    'of %s succeed, one after the other',
    async (page, section, shows) => {
      const engines = await sharedEngines();
      const blocks = blocksOf(page, section);
      expect(blocks.filter(({ isRun }) => isRun)).not.toEqual([]);
      const { code, output, namespace } = await runAll(blocks, engines);
      await removeNamespace(engines, namespace);
      expect(code, output).toBe(0);
      expect(output).toMatch(shows);
    },
    180_000,
  );
});
