import type { Page } from 'playwright-core';
import { beforeAll, expect, it } from 'vitest';
import { startTestUsher, type TestUsher } from '../support/startUsher.ts';
import { buildWeb, describeInBrowser, openBrowser } from './chromium.ts';

const upsell = 'usher-slot[name=product_upsell]';

async function visit(page: Page, usher: TestUsher, name: string, hash = ''): Promise<void> {
  await page.goto(`${usher.url}/?as=${name}${hash}`);
  await page.getByText('live', { exact: true }).waitFor();
}

/** A fact of the right half, as it is read there. */
function fact(page: Page, name: string) {
  return page.locator('.fact', { has: page.locator('dt', { hasText: name }) }).locator('dd');
}

describeInBrowser('the start page', () => {
  beforeAll(buildWeb);

  it('shows the warranty when p_017 is looked at with more than 100.00 in the cart, without a reload', async () => {
    await using usher = await startTestUsher();
    await using browser = await openBrowser();
    const page = await browser.page();
    await visit(page, usher, 'alice', '#/product/p_017');
    await page.evaluate(() => Object.assign(window, { notReloaded: true }));
    await page.locator(`${upsell}[source]:not([content=extra_warranty])`).waitFor();

    const price = Number((await page.locator('.productwords .price').textContent())!.replace(/[^0-9.]/g, ''));
    for (let value = 0; value <= 100; value += price) await page.getByRole('button', { name: 'Add to cart' }).click();
    await expect
      .poll(async () => Number((await fact(page, 'Cart').textContent())!.match(/[0-9.]+/)![0]))
      .toBeGreaterThan(100);

    await page.getByRole('link', { name: 'Shop', exact: true }).click();
    await page.locator('usher-slot[name=home_hero][source]').waitFor();
    await page.goBack();
    await page.locator(`${upsell}[content=extra_warranty][source=rule]`).waitFor();
    expect(await page.locator(upsell).evaluate((slot) => slot.shadowRoot!.textContent)).toContain('Protect your');

    const entry = page.locator('.entry', { hasText: 'upsell_over_100' }).first();
    expect(await entry.locator('.what').textContent()).toContain('product viewed');
    expect(await entry.locator('.changed', { hasText: 'product_upsell' }).locator('.why').textContent()).toMatch(
      /^Shown because you viewed p_017 with [0-9.]+ in the cart/,
    );
    expect(await entry.locator('.stages li').count()).toBeGreaterThanOrEqual(4);
    expect(await entry.locator('.sum').textContent()).toMatch(/ms from click to page/);
    expect(await page.evaluate(() => (window as { notReloaded?: boolean }).notReloaded)).toBe(true);
    expect(browser.faults).toEqual([]);
    expect(browser.foreign).toEqual([]);
  });

  it('keeps two shoppers apart: what one does changes only that one’s page', async () => {
    await using usher = await startTestUsher();
    await using browser = await openBrowser();
    const [alice, bob] = [await browser.page(), await browser.page()];
    await visit(alice, usher, 'alice', '#/product/p_017');
    await visit(bob, usher, 'bob', '#/product/p_017');
    await expect.poll(() => fact(bob, 'Views').textContent()).toMatch(/^1/);

    for (const event of [
      { type: 'cart_item_added', properties: { productId: 'p_001', quantity: 1, price: 250 } },
      { type: 'product_viewed', properties: { productId: 'p_017' } },
    ]) {
      const { data } = await usher.query(
        'mutation ($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status } } }',
        { input: event },
        'dev:alice',
      );
      expect(data.trackEvent.outcome.status).toBe('ACCEPTED');
    }
    await alice.locator(`${upsell}[content=extra_warranty]`).waitFor();
    await expect.poll(() => fact(alice, 'Cart').textContent()).toMatch(/^\$250\.00/);

    expect(await bob.locator(upsell).getAttribute('content')).not.toBe('extra_warranty');
    // All of alice's is folded and pushed; an event of bob's own, sent after it, shows that his line is alive too.
    await bob.getByRole('link', { name: 'Shop', exact: true }).click();
    await bob.locator('.entry', { hasText: 'hero' }).first().waitFor();
    expect(await bob.locator('.entry', { hasText: 'cart item added' }).count()).toBe(0);
    expect(await bob.locator('.entry', { hasText: 'upsell_over_100' }).count()).toBe(0);
    expect(await fact(bob, 'Cart').textContent()).toMatch(/^\$0\.00/);
    expect(browser.faults).toEqual([]);
  });

  it('goes from a search to an order, and empties the cart with it', async () => {
    await using usher = await startTestUsher();
    await using browser = await openBrowser();
    const page = await browser.page();
    await visit(page, usher, 'alice');
    const name = (await page.locator('.cardname').first().textContent())!;
    await page.getByLabel('Search the shop').fill(name);
    await page.keyboard.press('Enter');
    await page
      .getByRole('button', { name: `Add ${name} to the cart` })
      .first()
      .click();
    await page.getByRole('link', { name: 'Cart, 1 item' }).click();
    await page.getByRole('link', { name: 'Check out' }).click();
    await page.getByRole('button', { name: 'Place the order' }).click();
    await page.getByRole('heading', { name: 'Thank you' }).waitFor();
    await expect.poll(() => fact(page, 'Orders').textContent()).toBe('1');
    await expect.poll(() => fact(page, 'Cart').textContent()).toMatch(/^\$0\.00/);
    const { data } = await usher.query(
      '{ visitor { visitor counts { folded duplicate failed } cart { lines { productId } } } }',
    );
    expect(data.visitor).toMatchObject({ counts: { duplicate: 0, failed: 0 }, cart: { lines: [] } });
    expect(browser.faults).toEqual([]);
  });

  it('comes back by itself, with what happened meanwhile, when Usher is started again', async () => {
    await using first = await startTestUsher();
    await using browser = await openBrowser();
    const page = await browser.page();
    await visit(page, first, 'alice', '#/product/p_017');
    await page.locator(`${upsell}[source]:not([content=extra_warranty])`).waitFor();
    await first.stop();
    await page.getByText('reconnecting', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Add to cart' }).click();
    await using second = await first.restart({ port: first.port });
    await page.getByText('live', { exact: true }).waitFor();
    await expect.poll(() => fact(page, 'Cart').textContent(), { timeout: 15_000 }).toMatch(/1 product/);
    expect(second.port).toBe(first.port);
  });
});
