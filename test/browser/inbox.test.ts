import { beforeAll, expect, it } from 'vitest';
import { smtpDestination } from '../../src/actions/smtp.ts';
import { attempt, message } from '../actions/messages.ts';
import { startTestUsher } from '../support/startUsher.ts';
import { buildWeb, describeInBrowser, openBrowser } from './chromium.ts';

describeInBrowser('the inbox', () => {
  beforeAll(buildWeb);

  it('shows mails as they come, each as its reader sees it, its text and its headers', async () => {
    await using usher = await startTestUsher();
    await using browser = await openBrowser();
    const shop = smtpDestination({ url: usher.mailUrl!, from: 'Fell & Fire <hello@fellandfire.example>' });
    const page = await browser.page({ viewport: { width: 1280, height: 860 } });
    await page.goto(`${usher.url}/inbox`);
    await page.getByText('No mail yet').waitFor();
    await page.getByText('live', { exact: true }).waitFor();
    await page.evaluate(() => Object.assign(window, { notReloaded: true }));

    const picture = `${usher.url}/playbook/images/p_017.svg`;
    const html = `<div style="font-family:sans-serif"><h1>Still there</h1><table><tr>
      <td><img src="${picture}" width="96" alt="Tent"></td><td><b>Trail tent</b><br>1 × $249.00</td></tr></table>
      <p><a href="${usher.url}/graphql?link">Back to your cart</a></p>
      <script>parent.document.title = 'taken over'; document.body.textContent = 'scripted'</script>
      <img src="nothing" onerror="document.body.textContent = 'scripted'"></div>`;
    const mail = {
      subject: 'Your tent is waiting',
      text: 'It is still there.',
      html,
      unsubscribeUrl: 'https://shop.example/u',
    };
    await shop.deliver(message(1, { mail, to: 'alice@example.com' }), attempt);

    const frame = page.frameLocator('iframe');
    await frame.getByRole('heading', { name: 'Still there' }).waitFor();
    await expect
      .poll(() =>
        frame
          .locator('img')
          .first()
          .evaluate((img: HTMLImageElement) => img.naturalWidth)
          .catch(() => 0),
      )
      .toBeGreaterThan(0);
    expect(await frame.locator('body').textContent()).not.toBe('scripted');
    expect(await page.title()).toBe('Inbox · Usher');
    if (process.env['USHER_TEST_PICTURES'] !== undefined)
      await page.screenshot({ path: `${process.env['USHER_TEST_PICTURES']}/inbox.png` });

    await page.getByRole('button', { name: 'Text' }).click();
    await page.locator('pre', { hasText: 'It is still there.' }).waitFor();
    await page.getByRole('button', { name: 'Headers' }).click();
    await page.getByText(`<${message(1).id}@fellandfire.example>`).waitFor();
    await page.getByText('List-Unsubscribe-Post').waitFor();

    await page.getByRole('button', { name: 'Mail', exact: true }).click();
    const opened = page.context().waitForEvent('page');
    await frame.getByRole('link', { name: 'Back to your cart' }).click();
    expect((await opened).url()).toBe(`${usher.url}/graphql?link`);

    await page.goto(`${usher.url}/inbox#1`);
    await shop.deliver(message(2, { to: 'bob@example.com' }), attempt);
    await page.getByRole('link', { name: /bob@example.com/ }).waitFor();
    expect(await page.getByRole('heading', { level: 2 }).textContent()).toBe('Your tent is waiting');
    await page.getByRole('link', { name: /bob@example.com/ }).click();
    await page.getByRole('heading', { name: 'Your cart 2, Zoë' }).waitFor();
    await page.goBack();
    await page.getByRole('heading', { name: 'Your tent is waiting' }).waitFor();
    expect(await page.evaluate(() => (window as { notReloaded?: boolean }).notReloaded)).toBe(true);
    if (process.env['USHER_TEST_PICTURES'] !== undefined) {
      await page.setViewportSize({ width: 420, height: 860 });
      await page.screenshot({ path: `${process.env['USHER_TEST_PICTURES']}/inbox-narrow.png` });
    }
    await shop.close();
    // What a mail's own scripts were kept from is told by the browser, and is no fault of the page.
    expect(
      browser.faults.filter((fault) => !/sandboxed|Content Security Policy|inbox\/mails\/nothing/.test(fault)),
    ).toEqual([]);
    expect(browser.foreign).toEqual([]);
  });
});
