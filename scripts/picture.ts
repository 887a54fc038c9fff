/**
 * Draws docs/images/first-result.png, the README's picture, from the real page: starts an Usher over an empty folder, shops as
 * the README says, and photographs what came of it. Needs Chromium (USHER_TEST_CHROMIUM, default /usr/bin/chromium).
 */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { startUsher } from '../src/compose.ts';
import { loadConfig } from '../src/config.ts';
import './build-web.ts';

const target = join(import.meta.dirname, '..', 'docs', 'images', 'first-result.png');
/** A README is loaded often, and over slow lines. */
const maxBytes = 300_000;

const data = mkdtempSync(join(tmpdir(), 'usher-picture-'));
const { config } = loadConfig({ flags: { port: 0, data, watch: false, logLevel: 'warn' } });
const usher = await startUsher(config);
const browser = await chromium.launch({
  executablePath: process.env['USHER_TEST_CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});
try {
  const page = await browser.newPage({
    viewport: { width: 1280, height: 860 },
    colorScheme: 'light',
    reducedMotion: 'reduce',
  });
  await page.goto(`${usher.url}/?as=alice`);
  await page.getByText('live', { exact: true }).waitFor();
  const total = async () => Number((await page.locator('.fact dd').first().textContent())!.match(/[0-9.]+/)![0]);
  const add = page.locator('.card .add');
  for (let i = 0; (await total()) <= 100; i++) {
    const before = await total();
    await add.nth(i).click();
    while ((await total()) === before) await page.waitForTimeout(20);
  }
  await page.goto(`${usher.url}/?as=alice#/product/p_017`);
  await page.locator('usher-slot[name=product_upsell][source=rule]').waitFor();
  await page.locator('.entry', { hasText: 'slot shown' }).filter({ hasText: 'product_upsell' }).waitFor();
  mkdirSync(dirname(target), { recursive: true });
  await page.screenshot({ path: target });
  const { size } = statSync(target);
  if (size > maxBytes) throw new Error(`${target} has ${size} bytes; expected at most ${maxBytes}`);
  console.log(`picture: ${target} (${Math.round(size / 1000)} kB)`);
} finally {
  await browser.close();
  await usher.stop();
  rmSync(data, { recursive: true, force: true });
}
