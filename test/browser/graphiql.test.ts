import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { describeInBrowser, openBrowser } from './chromium.ts';

async function open(page: Page, usher: TestUsher): Promise<void> {
  await page.goto(`${usher.url}/graphql`);
  await page.getByRole('tab', { name: 'TrackAnEvent' }).waitFor();
}

/** Replaces what stands in an editor, key by key, as a person does. */
async function type(page: Page, editor: string, text: string): Promise<void> {
  await page.locator(editor).first().click();
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.type(text);
}

async function select(page: Page, name: string): Promise<void> {
  await page.locator('.graphiql-tab-button', { hasText: name }).click();
  await expect.poll(() => page.getByRole('tab', { name }).getAttribute('aria-selected')).toBe('true');
}

/**
 * Runs a tab and waits for its answer. GraphiQL parses a tab's text a moment after showing it and shows no sign of it; asked before
 * that, it says that it cannot infer the operation, and is asked again.
 */
async function run(page: Page, tab: string, expected: string): Promise<void> {
  await page.getByRole('tab', { name: tab }).click();
  await page
    .locator('.graphiql-query-editor .view-line', { hasText: new RegExp(`(mutation|query|subscription)\\s${tab}`) })
    .waitFor();
  do {
    await page.locator('button.graphiql-execute-button').click();
    await expect
      .poll(() => answer(page), { timeout: 10_000 })
      .toMatch(new RegExp(`Cannot infer operation|${expected}`));
  } while ((await answer(page)).includes('Cannot infer operation'));
}

/** What the right half shows; the editor draws spaces as no-break spaces. */
async function answer(page: Page): Promise<string> {
  const lines = await page.locator('.graphiql-response .view-line').allTextContents();
  return lines.join('\n').replaceAll('\u00a0', ' ');
}

describeInBrowser('GraphiQL', () => {
  it('completes an event’s properties while they are typed, without internet', async () => {
    await using usher = await startTestUsher();
    await using browser = await openBrowser();
    const page = await browser.page();
    await open(page, usher);
    await type(
      page,
      '.graphiql-query-editor .monaco-editor',
      'mutation { trackEvent(input: { event: { cartItemAdded: { ',
    );
    await page.keyboard.press('Control+Space');
    const offered = page.locator('.suggest-widget.visible .monaco-list-row');
    await offered.first().waitFor();
    const names = await offered.locator('.label-name').allTextContents();
    expect(names).toEqual(expect.arrayContaining(['productId', 'quantity', 'price']));
    expect(browser.foreign).toEqual([]);
  });

  it('has tabs that run as they are', async () => {
    await using usher = await startTestUsher();
    await using browser = await openBrowser();
    const page = await browser.page();
    await open(page, usher);
    await run(page, 'TrackAnEvent', '"status": "ACCEPTED"');
    expect(await answer(page)).toContain('"source": "RULE"');
    await run(page, 'Slots', '"sentence": "Shown because you viewed p_017');
    await run(page, 'Visitor', '"id": "dev:alice"');
    expect(browser.foreign).toEqual([]);
    expect(browser.faults).toEqual([]);
  });

  it('shows a subscription the changes of the visitor in the header pane, and nobody else’s', async () => {
    await using usher = await startTestUsher();
    await using browser = await openBrowser();
    const [alice, bob] = [await browser.page(), await browser.page()];
    await open(alice, usher);
    await open(bob, usher);
    await select(bob, 'Changes');
    await type(
      bob,
      '.graphiql-editor-tool .graphiql-editor:not(.hidden) .monaco-editor',
      '{"Authorization": "Bearer dev:bob',
    );
    await run(alice, 'Changes', '"kind": "SNAPSHOT"');
    await run(bob, 'Changes', '"kind": "SNAPSHOT"');
    const track =
      'mutation { trackEvent(input: { type: "product_viewed", properties: { productId: "p_017" } }) { outcome { status } } }';
    await usher.query(track, {}, 'dev:bob');
    await expect.poll(() => answer(bob), { timeout: 10_000 }).toContain('"kind": "CHANGE"');
    await usher.caughtUp();
    expect(await answer(alice)).toContain('"kind": "SNAPSHOT"');
    await usher.query(track, {}, 'dev:alice');
    await expect.poll(() => answer(alice), { timeout: 10_000 }).toContain('"kind": "CHANGE"');
  });
});
