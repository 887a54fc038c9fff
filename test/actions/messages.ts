import type { Attempt, OutgoingMessage } from '../../src/actions/destination.ts';

export function message(n: number, changes: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return {
    id: n.toString(16).padStart(32, '0'),
    visitor: `u:shopper${n}`,
    action: 'cart_mail',
    to: `shopper${n}@example.com`,
    payload: { action: 'cart_mail', visitor: `u:shopper${n}`, with: { total: 12.5, name: 'Zoë 👩‍🚀' } },
    mail: {
      subject: `Your cart ${n}, Zoë`,
      text: `It still has ${n} things.\n.\nA line of one dot is above.\n`,
      html: `<p>It still has <b>${n}</b> things, Zoë.</p>`,
      unsubscribeUrl: `https://shop.example/unsubscribe?a=${n}`,
    },
    attemptAt: Date.now(),
    ...changes,
  };
}

/** An attempt that nothing ends. */
export const attempt: Attempt = { signal: new AbortController().signal, beforeFinal: async () => {} };
export const attemptWith = (changes: Partial<Attempt>): Attempt => ({ ...attempt, ...changes });
