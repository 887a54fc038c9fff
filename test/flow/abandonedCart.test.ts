import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import PostalMime from 'postal-mime';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildWeb, describeInBrowser, openBrowser, type TestBrowser } from '../browser/chromium.ts';
import { MailServer } from '../support/mailServer.ts';
import { describePair } from '../support/pair.ts';
import { startWhole, type WholeUsher } from '../support/startWhole.ts';

/** The demo store, whose carts wait for ten seconds where a shop's wait for half an hour. */
async function hurriedStore(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'usher-store-'));
  await cp(join(import.meta.dirname, '..', '..', 'playbooks', 'demo-store'), folder, { recursive: true });
  const rules = join(folder, 'rules', 'cart.yaml');
  const text = await readFile(rules, 'utf8');
  const hurried = text.replaceAll('for: 30m, key', 'for: 10s, key').replaceAll('duration("2m")', 'duration("5s")');
  expect(hurried).not.toBe(text);
  await writeFile(rules, hurried);
  return folder;
}

const banner = 'usher-slot[name=cart_banner][content=back_to_cart][source=rule]';

describePair('a cart that is left', () => {
  describeInBrowser('in the demo shop', () => {
    let playbook: string;
    let mails: MailServer;
    let usher: WholeUsher;
    let browser: TestBrowser;
    beforeAll(async () => {
      buildWeb();
      playbook = await hurriedStore();
      mails = await MailServer.start({ tls: 'none' });
      usher = await startWhole({ playbook, smtpUrl: [`smtp://127.0.0.1:${mails.port}?tls=offered`] });
      browser = await openBrowser();
    });
    afterAll(async () => {
      await browser[Symbol.asyncDispose]();
      await usher[Symbol.asyncDispose]();
      await mails.close();
      await rm(playbook, { recursive: true });
    });

    async function visit(name: string, hash = ''): Promise<Page> {
      const page = await browser.page();
      await page.goto(`${usher.url}/?as=${name}${hash}`);
      await page.getByText('live', { exact: true }).waitFor();
      return page;
    }
    /** Says where its reminder may go, then fills the cart. */
    async function shop(name: string): Promise<Page> {
      const page = await visit(name, '#/product/p_003');
      await page.getByRole('button', { name: 'Add to cart' }).click();
      await page.goto(`${usher.url}/?as=${name}#/cart`);
      await page.getByLabel('Mail me my cart if I leave it').fill(`${name}@example.com`);
      await page.getByRole('button', { name: 'Yes, to this address' }).click();
      await page.getByText(`your cart follows you to ${name}@example.com`).waitFor();
      return page;
    }
    const mailsTo = async (name: string) =>
      (await mails.taken()).filter(({ to }) => to.includes(`${name}@example.com`));
    async function api(query: string, variables: object, token?: string) {
      const { data, errors } = await usher.query(query, variables, token);
      expect(errors).toBeUndefined();
      return data;
    }

    it('is mailed once when its tab is closed; the link opens it with the discount', async () => {
      const page = await shop('alice');
      await page.close();
      await expect.poll(async () => (await mailsTo('alice')).length, { timeout: 40_000 }).toBe(1);
      const mail = await PostalMime.parse((await mailsTo('alice'))[0]!.raw);
      expect(mail.subject).toBe('Your cart is waiting, with 10 % off');
      const product = (await productsOf(usher)).get('p_003')!;
      expect(mail.text).toContain(`1 x ${product.name}, ${product.price.toFixed(2)} USD`);
      expect(mail.html).toContain(`${product.image}"`);

      const link = new URL(/https?:\/\/\S+offer=\S+/.exec(mail.text!)![0]);
      const later = await browser.page();
      await later.goto(`${usher.url}${link.pathname}${link.search}${link.hash}`);
      await later.getByText('10 % off, by the link of your mail').waitFor();
      await later.getByText(product.name).first().waitFor();
      const total = await later.locator('.total strong').textContent();
      expect(Number(total!.replace(/[^0-9.]/g, ''))).toBeCloseTo(product.price * 0.9, 1);
      // Whose link is changed gets nothing.
      await later.goto(`${usher.url}${link.pathname}${link.search.slice(0, -4)}AAAA${link.hash}`);
      await later.getByText('The link of your mail: expected all of what follows').waitFor();
      expect((await mailsTo('alice')).length).toBe(1);
      expect(browser.faults).toEqual([]);
    });

    it('is not mailed to who comes back in time: a banner waits there', async () => {
      const page = await shop('bob');
      // Somebody who looks on is not away.
      await expect
        .poll(
          async () => {
            await page.goto(`${usher.url}/?as=bob#/product/p_005`);
            await page.getByRole('link', { name: 'Cart' }).click();
            return page.locator(banner).count();
          },
          { timeout: 40_000 },
        )
        .toBe(1);
      expect(await mailsTo('bob')).toEqual([]);
    });

    it('says nothing more once its user has ordered on another device', async () => {
      const identify =
        'mutation ($input: IdentifyInput!) { identify(input: $input) { visit { token } error { code } } }';
      const page = await shop('carol');
      await page.close();
      const first = await api(identify, { input: { token: 'dev:kim' } }, 'dev:carol');
      expect(first.identify.error).toBeNull();
      const { startVisit } = await api('mutation { startVisit { token } }', {});
      const second = await api(identify, { input: { token: 'dev:kim' } }, startVisit.token);
      const { token } = second.identify.visit;
      // The cart of the first device is there.
      await expect
        .poll(async () => (await api('{ visitor { cart { lines { productId } } } }', {}, token)).visitor?.cart.lines)
        .toEqual([{ productId: 'p_003' }]);
      const order = {
        type: 'order_completed',
        properties: { orderId: 'o1', lines: [{ productId: 'p_003', quantity: 1 }] },
      };
      await api(
        'mutation ($input: TrackEventInput!) { trackEvent(input: $input) { outcome { status } } }',
        { input: order },
        token,
      );
      // Another's cart is left after that, so its mail comes after this one's would have.
      const other = await shop('dave');
      await other.close();
      await expect.poll(async () => (await mailsTo('dave')).length, { timeout: 40_000 }).toBe(1);
      expect(await mailsTo('carol')).toEqual([]);
      const slots = '{ personalizedSlots(names: ["cart_banner"]) { source } }';
      expect((await api(slots, {}, token)).personalizedSlots[0].source).toBe('FALLBACK');
    });
  });
});

interface Product {
  readonly id: string;
  readonly name: string;
  readonly price: number;
  readonly image: string;
}
async function productsOf({ url }: WholeUsher): Promise<ReadonlyMap<string, Product>> {
  const { products } = (await (await fetch(`${url}/playbook/products.json`)).json()) as { products: Product[] };
  return new Map(products.map((product) => [product.id, product]));
}
