import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { isUsherError } from '../../src/errors.ts';
import { Bundles, bundleLimits } from '../../src/playbook/bundles.ts';
import { bundleHash } from '../../src/playbook/compile.ts';
import { readPlaybook } from '../../src/playbook/read.ts';
import { watchPlaybook } from '../../src/playbook/watch.ts';
import { playbookTextOf } from '../support/playbooks.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'usher-playbook-'));
});
afterEach(() => rm(folder, { recursive: true }));
const write = (path: string, text: string) => writeFile(join(folder, path), text);

const main = 'format: 1\n';
const content = 'content: { a: { type: offer } }\nslots: { s: { fallback: a } }\n';

describe('reading a playbook', () => {
  it('takes every YAML file of the folder, the ones below too, and leaves others alone', async () => {
    await write('playbook.yaml', main);
    await mkdir(join(folder, 'team', 'deep'), { recursive: true });
    await mkdir(join(folder, '.hidden'));
    await write('team/deep/content.yml', content);
    await write('notes.txt', 'rules: [');
    await write('.hidden/x.yaml', 'rules: [');
    const { playbook, problems, playbookText } = await readPlaybook(folder);
    expect(problems.map(({ message }) => message)).toEqual(['no rule shows anything in the slot s; it always shows a']);
    expect(playbook?.slots.has('s')).toBe(true);
    expect(Object.keys(JSON.parse(playbookText).files)).toEqual([
      '<usher>/builtin.yaml',
      'playbook.yaml',
      'team/deep/content.yml',
    ]);
  });

  it('hashes the catalog apart: a price changes it, and not the playbook', async () => {
    await write('playbook.yaml', main);
    await write(
      'products.yaml',
      'catalog:\n  p_1: { name: One, price: 1.005 }\n  "47/11": { name: Other, price: 12 }\n',
    );
    const before = await readPlaybook(folder);
    expect(before.catalog?.products.get('p_1')?.price).toBe(101);
    expect(before.catalog?.products.get('47/11')).toMatchObject({ name: 'Other', price: 1200, category: '' });
    await write(
      'products.yaml',
      'catalog:\n  "47/11": { name: Other, price: 12 }\n  p_1: { name: One, price: 1.01 }\n',
    );
    expect((await readPlaybook(folder)).catalog?.version, 'order and notation do not matter').toBe(
      before.catalog?.version,
    );
    await write('products.yaml', 'catalog: { p_1: { name: One, price: 2 } }\n');
    const after = await readPlaybook(folder);
    expect(after.playbook?.version).toBe(before.playbook?.version);
    expect(after.catalog?.version).not.toBe(before.catalog?.version);
    expect(bundleHash(after.playbookText)).toBe(after.playbook?.version);
    expect(bundleHash(after.catalogText)).toBe(after.catalog?.version);
  });

  it('keeps prices in the minor units of the playbook’s currency', async () => {
    await write('playbook.yaml', 'format: 1\ncurrency: JPY\n');
    await write('products.yaml', 'catalog: { p_1: { name: One, price: 149.5 } }\n');
    expect((await readPlaybook(folder)).catalog?.products.get('p_1')?.price).toBe(150);
  });

  it('tells mistakes of the catalog with the others', async () => {
    await write('playbook.yaml', main);
    await write(
      'a.yaml',
      'catalog:\n  p_1: { name: One, price: 5 }\n  p_2: { name: Two, price: -5 }\n  p_3: { price: 5 }\n',
    );
    await write('b.yaml', 'catalog:\n  p_1: { name: Again, price: 5 }\nrules: {}\n');
    const { playbook, catalog, problems } = await readPlaybook(folder);
    expect([playbook, catalog]).toEqual([null, null]);
    expect(problems.map(({ file, line, column, message }) => `${file}:${line}:${column} ${message}`)).toEqual([
      'a.yaml:3:28 expected a number from 0 to 1000000000, got -5',
      'a.yaml:4:8 name is missing',
      'b.yaml:2:3 the product p_1 is declared twice; the other place is a.yaml:2',
      'b.yaml:3:1 rules cannot stand in a file with a catalog',
    ]);
  });

  it('says what is there when there is no playbook.yaml', async () => {
    await write('rules.yaml', content);
    const error = await readPlaybook(folder).catch((each: unknown) => each);
    expect(isUsherError(error) && error.code).toBe('PLAYBOOK_NOT_FOUND');
    expect((error as Error).message).toContain('it has rules.yaml');
  });

  it('says so when the path is wrong', async () => {
    await expect(readPlaybook(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'PLAYBOOK_NOT_FOUND' });
  });
});

describe('watching a playbook', () => {
  it('tells once of a change that has settled, and not of a save that changes nothing', async () => {
    await write('playbook.yaml', main);
    await write('content.yaml', content);
    const onChange = vi.fn();
    const watcher = watchPlaybook(folder, onChange);
    try {
      await watcher.ready;
      await write('content.yaml', content);
      await vi.waitFor(() => expect(watcher.settled).toBeGreaterThan(0), { timeout: 5_000 });
      expect(onChange).not.toHaveBeenCalled();
      await write('content.yaml', '');
      await write('content.yaml', `${content}# changed\n`);
      await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(1), { timeout: 5_000 });
      await write('new.yaml', 'rules: {}\n');
      await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(2), { timeout: 5_000 });
    } finally {
      watcher.close();
    }
  });

  it('goes on when the playbook is away for a moment', async () => {
    await write('playbook.yaml', main);
    const onChange = vi.fn();
    const onError = vi.fn();
    const watcher = watchPlaybook(folder, onChange, onError);
    try {
      await watcher.ready;
      await rm(join(folder, 'playbook.yaml'));
      await vi.waitFor(() => expect(onError).toHaveBeenCalled(), { timeout: 5_000 });
      await write('playbook.yaml', `${main}# back\n`);
      await vi.waitFor(() => expect(onChange).toHaveBeenCalledTimes(1), { timeout: 5_000 });
    } finally {
      watcher.close();
    }
  });
});

describe('stored bundles', () => {
  const text = (name: string) => playbookTextOf({ 'c.yaml': `content: { ${name}: { type: offer } }` });
  const catalog = '{"products":[]}';

  it('are read and compiled once, and then at hand', async () => {
    const playbook = text('a');
    const stored = new Map([
      [bundleHash(playbook), playbook],
      [bundleHash(catalog), catalog],
    ]);
    const read = vi.fn(async (hash: string) => stored.get(hash) ?? null);
    const bundles = new Bundles(read);
    const hashes = [bundleHash(playbook), bundleHash(catalog)] as const;
    expect(bundles.get(...hashes)).toBeNull();
    const loaded = await bundles.load(...hashes);
    expect(loaded.playbook.contents.has('a')).toBe(true);
    expect(bundles.get(...hashes)).toEqual(loaded);
    expect(bundles.playbook(hashes[0])).toBe(loaded.playbook);
    await bundles.load(...hashes);
    expect(read).toHaveBeenCalledTimes(2);
  });

  it('that are missing, damaged or of another version are BUNDLE_MISSING', async () => {
    const broken = playbookTextOf({ 'c.yaml': 'contentz: {}' });
    const bundles = new Bundles(async (hash) =>
      hash === bundleHash(broken) ? broken : hash === 'damaged' ? catalog : null,
    );
    await expect(bundles.loadPlaybook('nothing')).rejects.toMatchObject({ code: 'BUNDLE_MISSING' });
    await expect(bundles.load('nothing', 'damaged')).rejects.toMatchObject({ code: 'BUNDLE_MISSING' });
    await expect(bundles.loadPlaybook('damaged')).rejects.toThrow(`hashes to ${bundleHash(catalog)}`);
    await expect(bundles.loadPlaybook(bundleHash(broken))).rejects.toThrow('unknown key contentz');
  });

  it('are kept as many as the limit says', async () => {
    const texts = Array.from({ length: bundleLimits.playbooks + 1 }, (_, i) => text(`c${i}`));
    const bundles = new Bundles(async (hash) => texts.find((each) => bundleHash(each) === hash) ?? null);
    for (const each of texts.slice(0, -1)) await bundles.loadPlaybook(bundleHash(each));
    expect(bundles.playbook(bundleHash(texts[0]!))).not.toBeNull();
    await bundles.loadPlaybook(bundleHash(texts.at(-1)!));
    expect(texts.filter((each) => bundles.playbook(bundleHash(each)) !== null)).toHaveLength(bundleLimits.playbooks);
  });
});
