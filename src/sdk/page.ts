import type { PageContext } from './types.ts';

/** Longer texts of the page are cut: an address with a session in it must not make an event too large. */
const maxChars = 2_000;

/** What is known of the page the visitor is on; empty outside a browser. */
export function pageContext(page?: string): PageContext {
  if (typeof document === 'undefined') return page === undefined ? {} : { page };
  const named = page ?? document.querySelector<HTMLMetaElement>('meta[name="usher-page"]')?.content;
  return {
    url: location.href.slice(0, maxChars),
    path: location.pathname.slice(0, maxChars),
    title: document.title.slice(0, maxChars),
    ...(document.referrer === '' ? {} : { referrer: document.referrer.slice(0, maxChars) }),
    ...(named === undefined || named === '' ? {} : { page: named }),
    locale: navigator.language,
    timeZone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    viewport: `${innerWidth}x${innerHeight}`,
  };
}

/** Seconds of visible time at which `time_spent` is sent. */
export const timeSpentAtSeconds: readonly number[] = [10, 30, 60, 120, 300];

/**
 * Counts for how long one page view was visible. `tell` gets the whole seconds so far at each mark, and on leaving if they grew.
 * @returns ends the page view
 */
export function watchTimeSpent(tell: (seconds: number) => void): () => void {
  let visibleMs = 0;
  let visibleSince = document.visibilityState === 'visible' ? performance.now() : null;
  let told = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const seconds = () => Math.floor((visibleMs + (visibleSince === null ? 0 : performance.now() - visibleSince)) / 1000);
  const tellNow = () => {
    const now = seconds();
    if (now <= told) return;
    told = now;
    tell(now);
  };
  const plan = () => {
    clearTimeout(timer);
    const next = timeSpentAtSeconds.find((mark) => mark > told && mark > seconds());
    if (visibleSince === null || next === undefined) return;
    const waitMs = next * 1000 - (visibleMs + performance.now() - visibleSince);
    timer = setTimeout(() => {
      // A timer may come a little early; the mark itself is what is told.
      if (seconds() >= next) tellNow();
      plan();
    }, waitMs + 5);
  };
  const onVisibility = () => {
    if (document.visibilityState === 'visible') {
      visibleSince ??= performance.now();
      plan();
    } else if (visibleSince !== null) {
      visibleMs += performance.now() - visibleSince;
      visibleSince = null;
      // A page that a phone puts away may never run again: this is the last certain moment.
      tellNow();
      clearTimeout(timer);
    }
  };
  document.addEventListener('visibilitychange', onVisibility);
  addEventListener('pagehide', tellNow, { capture: true });
  plan();
  return () => {
    tellNow();
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', onVisibility);
    removeEventListener('pagehide', tellNow, { capture: true });
  };
}
