import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, expect, it } from 'vitest';
import { startTestUsher } from '../support/startUsher.ts';
import { buildWeb, describeInBrowser, openBrowser } from './chromium.ts';

/** Somebody else's page, on another origin. */
async function foreignPage(html: string) {
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(html));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const track = 'mutation ($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status } } }';

describeInBrowser('usher.js on a foreign page', () => {
  beforeAll(buildWeb);

  it('puts a slot on the page with two tags, and changes it without a reload', async () => {
    await using usher = await startTestUsher();
    await using site = await foreignPage(`<!doctype html><html lang="en"><title>Plain</title>
      <script src="${usher.url}/usher.js" data-token="dev:alice" data-page="product" async></script>
      <usher-slot name="product_upsell">Ask us anything.</usher-slot></html>`);
    await using browser = await openBrowser();
    const page = await browser.page();
    await page.goto(site.url);
    await page.locator('usher-slot[source=fallback]').waitFor();
    for (const input of [
      { type: 'cart_item_added', properties: { productId: 'p_001', quantity: 1, price: 250 } },
      { type: 'product_viewed', properties: { productId: 'p_017' } },
    ]) {
      await usher.query(track, { input }, 'dev:alice');
    }
    await page.locator('usher-slot[content=extra_warranty][source=rule]').waitFor();
    expect(await page.locator('usher-slot').evaluate((slot) => slot.shadowRoot!.textContent)).toContain('Protect your');

    // By itself it said that the page was viewed, and what was shown, once each.
    await expect
      .poll(async () => {
        const { data } = await usher.query('{ visitor { visitor counts { folded duplicate failed } } }');
        return data.visitor;
      })
      .toMatchObject({ visitor: { pageViews: 1 }, counts: { folded: 5, duplicate: 0, failed: 0 } });
    expect(browser.faults).toEqual([]);
    expect(browser.foreign).toEqual([]);
  });

  it('shows what stands inside the slot when Usher cannot be reached', async () => {
    await using usher = await startTestUsher();
    await using site = await foreignPage(`<!doctype html><html lang="en"><title>Plain</title>
      <script src="${usher.url}/usher.js" data-url="http://127.0.0.1:1" data-token="dev:alice"></script>
      <usher-slot name="product_upsell"><b id="inside">Ask us anything.</b></usher-slot></html>`);
    await using browser = await openBrowser();
    const page = await browser.page();
    await page.goto(site.url);
    await page.waitForFunction(() => window.customElements.get('usher-slot') !== undefined);
    expect(await page.locator('#inside').isVisible()).toBe(true);
  });

  it('brings what was done in the last moment before the page is left', async () => {
    await using usher = await startTestUsher();
    await using site = await foreignPage(`<!doctype html><html lang="en"><title>Plain</title>
      <script src="${usher.url}/usher.js" data-token="dev:alice" data-auto="off"></script></html>`);
    await using browser = await openBrowser();
    const page = await browser.page();
    await page.goto(site.url);
    await page.evaluate(() => window.usher!.track('search_performed', { query: 'first' }));
    // After this call has answered: leaving ends the script that asked for it.
    await page.evaluate(() => {
      setTimeout(async () => {
        void window.usher!.track('search_performed', { query: 'in flight' });
        await Promise.resolve();
        await Promise.resolve();
        void window.usher!.track('search_performed', { query: 'queued' });
        location.href = 'about:blank';
      });
    });
    await page.waitForURL('about:blank');
    await expect
      .poll(async () => (await usher.query('{ visitor { visitor counts { folded } } }')).data.visitor)
      .toMatchObject({ visitor: { searches: 3, lastSearch: 'queued' }, counts: { folded: 3 } });
  });

  it('makes anonymous visitors that stay who they are over a reload, and differ from each other', async () => {
    await using usher = await startTestUsher();
    await using site = await foreignPage(`<!doctype html><html lang="en"><title>Plain</title>
      <script src="${usher.url}/usher.js"></script></html>`);
    await using browser = await openBrowser();
    const [one, two] = [await browser.page(), await browser.page()];
    const idOf = async (page: typeof one) => {
      await page.goto(site.url);
      const outcome = await page.evaluate(() => window.usher!.track('search_performed', { query: 'tea' }));
      expect(outcome.status).toBe('ACCEPTED');
      const seen = () => page.evaluate(async () => (await window.usher!.visitor())?.id ?? null);
      await expect.poll(seen).not.toBeNull();
      return seen();
    };
    const first = await idOf(one);
    expect(await idOf(one)).toBe(first);
    expect(await idOf(two)).not.toBe(first);
  });

  it('lets no content of a slot bring markup or script addresses into the page', async () => {
    await using usher = await startTestUsher();
    await using site = await foreignPage(`<!doctype html><html lang="en"><title>Plain</title>
      <script src="${usher.url}/usher.js" data-client="off"></script><usher-slot name="x">inside</usher-slot></html>`);
    await using browser = await openBrowser();
    const page = await browser.page();
    await page.goto(site.url);
    const rendered = await page.evaluate(() => {
      const bad = {
        title: '<img src=x onerror="window.broken=1">',
        text: '${1}',
        url: 'javascript:window.broken=1',
        image: 'data:text/html,<script>window.broken=1</script>',
        button: 'Go',
      };
      const slot = { name: 'x', content: { id: 'c', type: 'offer', data: bad }, source: 'RULE', version: 1 };
      // A client that decides one content, at once.
      window.Usher!.defineUsherSlot({
        track: async () => ({}),
        subscribe: (_: unknown, tell: (update: unknown) => void) => {
          tell({ kind: 'SNAPSHOT', cursor: '', slots: [slot], cause: null });
          return () => {};
        },
      } as never);
      return new Promise<{ text: string; tags: string[] }>((resolve) => {
        document.addEventListener('usher:content', () =>
          setTimeout(() => {
            const root = document.querySelector('usher-slot')!.shadowRoot!;
            resolve({
              text: root.querySelector('[part=title]')!.textContent!,
              tags: [...root.querySelectorAll('a, img, script')].map((element) => element.outerHTML),
            });
          }),
        );
      });
    });
    expect(rendered).toEqual({ text: '<img src=x onerror="window.broken=1">', tags: [] });
    expect(await page.evaluate(() => 'broken' in window)).toBe(false);
  });
});
