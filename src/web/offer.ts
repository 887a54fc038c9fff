import { signal } from '@preact/signals';
import { usher } from './state.ts';

/** What the link of a mail promised, when Usher says that it holds. */
export interface Offer {
  readonly discountPercent: number;
  readonly expiresAt: string | null;
}

export const offer = signal<Offer | null>(null);
/** Why the link of a mail promises nothing; null: it does, or there was none. */
export const offerProblem = signal<string | null>(null);
const token = new URLSearchParams(location.search).get('offer');

/** A price with what the link takes off, to the cent. */
export function reduced(price: number): number {
  return Math.round(price * (100 - (offer.value?.discountPercent ?? 0))) / 100;
}

const query = 'query Offer($token: String!) { offer(token: $token) { offer { values expiresAt } error { message } } }';
interface Answer {
  readonly data: {
    readonly offer: {
      readonly offer: {
        readonly values: { readonly discountPercent?: unknown };
        readonly expiresAt: string | null;
      } | null;
      readonly error: { readonly message: string } | null;
    };
  };
}

/** Asks Usher what the link of this address promises: a shop honours what is signed, not what an address says. */
export async function loadOffer(): Promise<void> {
  if (token === null) return;
  try {
    const response = await fetch(`${usher.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables: { token } }),
    });
    const { offer: answer } = ((await response.json()) as Answer).data;
    const percent = answer.offer?.values.discountPercent;
    if (typeof percent === 'number' && percent > 0 && percent < 100)
      offer.value = { discountPercent: percent, expiresAt: answer.offer!.expiresAt };
    else offerProblem.value = answer.error?.message ?? 'The link promises nothing that this shop knows.';
  } catch {
    offerProblem.value = `Usher at ${usher.url} does not say whether the offer holds.`;
  }
}
