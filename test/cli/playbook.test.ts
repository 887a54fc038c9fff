import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { check } from '../../src/cli/check.ts';
import type { Command } from '../../src/cli/command.ts';
import { describe as describeCommand } from '../../src/cli/describe.ts';
import { schema } from '../../src/cli/schema.ts';
import { recordedIo } from '../support/cliIo.ts';

const root = resolve(import.meta.dirname, '../..');
let broken: string;
beforeAll(async () => {
  broken = await mkdtemp(join(tmpdir(), 'usher-broken-'));
  await writeFile(join(broken, 'playbook.yaml'), 'format: 1\n');
  const rule =
    '  r:\n    when: product_viewed\n    if: prodct.price > 5\n    then: [{ show: { slot: s, content: a } }]\n';
  await writeFile(
    join(broken, 'rules.yaml'),
    `content: { a: { type: offer } }\nslots: { s: { fallback: a } }\nrules:\n${rule}`,
  );
});
afterAll(() => rm(broken, { recursive: true }));

async function run(command: Command, positionals: string[], options: Record<string, string | boolean> = {}) {
  const io = recordedIo({ cwd: root });
  const code = await command.run({ positionals, options }, io);
  return { code, out: io.outLines.join('\n') };
}

/** A playbook of its own, with this text beside `format: 1`. */
async function inFolder(text: string, use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'usher-check-'));
  try {
    await writeFile(join(folder, 'playbook.yaml'), 'format: 1\n');
    await writeFile(join(folder, 'rest.yaml'), text);
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('usher check', () => {
  it('finds no mistake in the demo store, which is what it checks unless told otherwise', async () => {
    const { code, out } = await run(check, []);
    expect(code).toBe(0);
    expect(out).toContain('rules/cart.yaml:');
    expect(out).toContain('warning: the rule gift_wrap is a draft and does not run');
    expect(out).toContain('views_by_category: a window of 30m in 30 steps of 1m');
    expect(out).toMatch(
      /^playbooks\/demo-store: 1 warning, no error\. 22 event types, 6 segments, 36 rules, 5 slots, 44 contents, 60 products; version [0-9a-f]{16}$/m,
    );
  });

  it('prints the place of a mistake, the line with a mark under it, the nearest name and what was expected', async () => {
    const { code, out } = await run(check, [broken]);
    expect(code).toBe(1);
    expect(out.split('\n')).toEqual([
      `${broken}/rules.yaml:6:9: error: prodct is not a known name`,
      '     6 |     if: prodct.price > 5',
      '       |         ^^^^^^',
      '         did you mean product?',
      '         expected one of cart, consent, device, event, now, page, product, segments, session, traits, visitor',
      '',
      '1 error',
    ]);
  });

  it('prints problems as JSON for tools', async () => {
    const { code, out } = await run(check, [broken], { json: true });
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      severity: 'error',
      file: 'rules.yaml',
      line: 6,
      column: 9,
      length: 6,
      nearest: 'product',
    });
  });

  it('tells the grid of each window', async () => {
    await inFolder(
      'traits: { views: { count: page_viewed, over: 30m }, rare: { count: page_viewed, over: 100d } }\n',
      async (folder) => {
        const { code, out } = await run(check, [folder]);
        expect(code).toBe(0);
        expect(out).toContain('views: a window of 30m in 30 steps of 1m\nrare: a window of 100d in 100 steps of 1d\n');
      },
    );
  });

  it('checks again at each change, until it is stopped, and then exits as the last check did', async () => {
    await inFolder('content: { a: { type: offer } }\nslots: { s: { fallback: a } }\n', async (folder) => {
      const stop = new AbortController();
      const io = recordedIo({ cwd: root, signal: stop.signal });
      const told = (line: string) =>
        vi.waitFor(() => expect(io.outLines.join('\n')).toContain(line), { timeout: 5_000 });
      const ended = check.run({ positionals: [folder], options: { watch: true } }, io);
      await told('1 warning, no error');
      await vi.waitFor(() => expect(io.errLines.join('\n')).toContain('Ctrl-C ends this'));
      await writeFile(join(folder, 'more.yaml'), 'rulez: {}\n');
      await told('unknown key rulez');
      await rm(join(folder, 'playbook.yaml'));
      await vi.waitFor(() => expect(io.errLines.join('\n')).toContain('expected playbook.yaml in'), { timeout: 5_000 });
      await writeFile(join(folder, 'playbook.yaml'), 'format: 1\n# back, and changed\n');
      await writeFile(join(folder, 'more.yaml'), 'traits: { views: { count: page_viewed, over: 2h } }\n');
      await told('views: a window of 2h in 12 steps of 10m');
      await writeFile(join(folder, 'more.yaml'), 'slotz: {}\n');
      await told('unknown key slotz');
      stop.abort('SIGINT');
      expect(await ended).toBe(1);
      expect(io.errLines.filter((line) => line.endsWith('has changed')).length).toBeGreaterThanOrEqual(3);
    });
  });

  it('does not watch a folder that is none', async () => {
    await expect(run(check, ['nowhere'], { watch: true })).rejects.toMatchObject({ code: 'PLAYBOOK_NOT_FOUND' });
  });

  it('says so when there is no playbook', async () => {
    await expect(run(check, ['nowhere'])).rejects.toMatchObject({ code: 'PLAYBOOK_NOT_FOUND' });
  });
});

describe('usher describe', () => {
  it('reads each rule aloud', async () => {
    const { code, out } = await run(describeCommand, ['playbooks/demo-store']);
    expect(code).toBe(0);
    expect(out).toContain(
      'upsell_over_100  Upsell a warranty to full carts\n  When a visitor views a product, if the product is p_017',
    );
    expect(out.match(/^\w+ {2}/gm)).toHaveLength(36);
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
  });

  it('reads segments and traits too', async () => {
    const text =
      'traits: { views: { count: page_viewed } }\nsegments: { keen: { name: Keen, if: traits.views > 2 } }\n';
    await inFolder(text, async (folder) => {
      const { out } = await run(describeCommand, [folder]);
      expect(out).toContain('segments.keen  Keen\n  A visitor is in it as long as the trait views is more than 2.');
      expect(out).toContain('traits.views\n  How often: viewing a page.');
    });
  });

  it('reads the rules of a slot, or of an event', async () => {
    const bySlot = await run(describeCommand, [], { slot: 'search_banner' });
    expect(bySlot.out.match(/^\w+ {2}/gm)).toEqual(['search_help  ', 'browsed_then_searched  ']);
    const byEvent = await run(describeCommand, [], { event: 'checkout_started' });
    expect(byEvent.out.match(/^\w+ {2}/gm)).toEqual(['calm_at_the_checkout  ']);
  });

  it('does not read a playbook with mistakes', async () => {
    await expect(run(describeCommand, [broken])).rejects.toMatchObject({ code: 'PLAYBOOK_INVALID' });
  });
});

describe('usher schema', () => {
  it('prints a JSON Schema', async () => {
    const { code, out } = await run(schema, []);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      properties: { rules: {} },
    });
  });
});
