import { createHmac } from 'node:crypto';

/** Fewer could be guessed; the specification asks for 24 to 64. */
const secretBytesMin = 24;
const prefix = 'whsec_';

/**
 * The key of a secret: `whsec_` and base64, as the Standard Webhooks specification writes it, or else the bytes of the text.
 * @throws Error that does not show the secret
 */
export function signingKey(secret: string): Buffer {
  const key = secret.startsWith(prefix) ? fromBase64(secret.slice(prefix.length)) : Buffer.from(secret, 'utf8');
  if (key.length < secretBytesMin) {
    throw new Error(`expected a secret of at least ${secretBytesMin} bytes, came one of ${key.length}`);
  }
  return key;
}

function fromBase64(text: string): Buffer {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new Error(`expected base64 after ${prefix}`);
  return Buffer.from(text, 'base64');
}

/** The headers of https://www.standardwebhooks.com: one signature a key, so that a receiver may change its secret at leisure. */
export function signedHeaders(
  message: { readonly id: string; readonly attemptAt: number; readonly body: string },
  keys: readonly Buffer[],
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(message.attemptAt / 1000));
  const signed = `${message.id}.${timestamp}.${message.body}`;
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
