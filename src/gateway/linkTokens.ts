import { createHmac, timingSafeEqual } from 'node:crypto';
import type { JsonObject } from '../model/json.ts';

/** What a link of a message says, signed, so that whoever follows it cannot change it. */
export interface MessageLink {
  /** `offer`: what the message promises. `unsubscribe`: no more of its kind. */
  readonly use: 'offer' | 'unsubscribe';
  /** The action's id. */
  readonly id: string;
  readonly visitor: string;
  readonly action: string;
  readonly destination: string;
  /** Of an offer: what the rule gave, `{discountPercent: 10}`. */
  readonly values: JsonObject;
  /** Of an unsubscription: to what consent ends. */
  readonly purpose: string | null;
  /** ms since the epoch; null: never. */
  readonly expiresAt: number | null;
}

/** Characters of a token that is looked at. */
const longest = 8_192;

/** The same link gives the same token, so that each attempt sends the same message. */
export function signLink(link: MessageLink, secret: string): string {
  const body = Buffer.from(JSON.stringify(link)).toString('base64url');
  return `${body}.${signatureOf(body, secret).toString('base64url')}`;
}

/** null: it was not signed with this secret. Whether it has expired, and what it is for, is for the caller to ask. */
export function readLink(token: string, secret: string): MessageLink | null {
  if (token.length > longest) return null;
  const [body = '', signature = '', ...more] = token.split('.');
  const given = Buffer.from(signature, 'base64url');
  const right = signatureOf(body, secret);
  if (more.length > 0 || given.length !== right.length || !timingSafeEqual(given, right)) return null;
  return JSON.parse(Buffer.from(body, 'base64url').toString()) as MessageLink;
}

/** Visit tokens are signed with the same secret; nothing that is signed as the one can be taken for the other. */
function signatureOf(body: string, secret: string): Buffer {
  return createHmac('sha256', secret).update(`usher message link\0${body}`).digest();
}
