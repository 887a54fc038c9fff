import { computed, signal } from '@preact/signals';

/** As `/inbox/mails.json` tells it. */
export interface Mail {
  readonly number: number;
  readonly receivedAt: number;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly hasHtml: boolean;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

/** The newest first; null until they came. */
export const mails = signal<readonly Mail[] | null>(null);
/** false: mail goes to another server, and this page has none. */
export const isLocal = signal(true);
export const connected = signal<boolean | null>(null);

/** The number after the # names a mail, so that back, forward and reload work; without one the newest is shown. */
const asked = signal(numberOf(location.hash));
export const shown = computed(() => {
  const all = mails.value ?? [];
  return all.find(({ number }) => number === asked.value) ?? all[0] ?? null;
});

export function start(): void {
  addEventListener('hashchange', () => {
    asked.value = numberOf(location.hash);
  });
  const updates = new EventSource('/inbox/updates');
  // What came while the line was down is in the list.
  updates.onopen = () => {
    connected.value = true;
    void load();
  };
  updates.onmessage = () => void load();
  updates.onerror = () => {
    // Closed for good: this Usher keeps no mail, or is none.
    connected.value = false;
    if (updates.readyState === EventSource.CLOSED) void load();
  };
}

async function load(): Promise<void> {
  try {
    const response = await fetch('/inbox/mails.json');
    const loaded = (await response.json()) as { isLocal: boolean; mails: Mail[] };
    isLocal.value = loaded.isLocal;
    mails.value = loaded.mails;
  } catch {
    // The line tells that Usher is away, and when it is back.
  }
}

function numberOf(hash: string): number {
  return Number(hash.slice(1));
}
