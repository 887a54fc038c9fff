/**
 * The SDK as one script: `<script src="https://HOST/usher.js" async></script>` and `<usher-slot name="…">` on any page.
 * The tag's attributes: `data-token` (`dev:alice` in development), `data-page` (the page's name), `data-url` (another Usher than
 * the one that serves the file), `data-auto="off"` (no page_viewed and no time_spent by itself), `data-client="off"` (only
 * `Usher.createUsher`; the page makes the client). The client is `window.usher`.
 */
import { defineUsherSlot, UsherSlotElement } from './element.ts';
import { createUsher, type Usher } from './usher.ts';

declare global {
  interface Window {
    usher?: Usher;
    Usher?: {
      createUsher: typeof createUsher;
      defineUsherSlot: typeof defineUsherSlot;
      UsherSlotElement: typeof UsherSlotElement;
    };
  }
}

const script = document.currentScript as HTMLScriptElement | null;
window.Usher = { createUsher, defineUsherSlot, UsherSlotElement };

if (script !== null && script.dataset['client'] !== 'off' && window.usher === undefined) {
  const { token, page, url, auto } = script.dataset;
  const usher = createUsher({
    url: url ?? new URL(script.src).origin,
    ...(token === undefined ? {} : { token }),
    ...(page === undefined ? {} : { page }),
  });
  window.usher = usher;
  defineUsherSlot(usher);
  if (auto !== 'off') void usher.pageViewed();
  document.dispatchEvent(new CustomEvent('usher:ready', { detail: { usher } }));
}
